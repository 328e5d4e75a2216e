"""A FAKE of LiteLLM's API for virtual keys, also over HTTP.

What it takes for true is what LiteLLM 1.106.2 did when it was asked: budgets as floats, expiries
rounded to milliseconds, metadata taken as a whole, and a key whose value there is already answered
with 200 and not made.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

MASTER_KEY = "sk-master-0123456789"
DEFAULTS: dict[str, Any] = {
    "models": [],
    "max_budget": None,
    "budget_duration": None,
    "rpm_limit": None,
    "tpm_limit": None,
    "max_parallel_requests": None,
    "metadata": {},
}
Answer = tuple[int, Any]


class Refusal(Exception):
    """The HTTP status, and LiteLLM's message."""


class FakeLiteLLM:
    """keys: token -> what it keeps, in the order they were made. says: path -> what it answers
    instead. journal: the requests but for lists."""

    def __init__(self, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.keys: dict[str, dict[str, Any]] = {}
        self.clock = clock
        self.says: dict[str, Callable[[], Answer]] = {}
        self.journal: list[tuple[str, Any]] = []
        self.lists = 0

    def answer(self, path: str, query: dict[str, list[str]], body: Any, bearer: str) -> Answer:
        if path in self.says:
            return self.says[path]()
        if bearer != f"Bearer {MASTER_KEY}":
            return 401, error("Authentication Error, Invalid proxy server token passed.", 401)
        if path == "/key/list":
            return 200, self.list(int(query["page"][0]), int(query["size"][0]))
        self.journal.append((path, body))
        try:
            act = {"/key/generate": self.generate, "/key/update": self.update, "/key/delete": self.delete}[path]
            return 200, act(body)
        except Refusal as refusal:
            status, message = refusal.args
            return status, error(message, status)

    def list(self, page: int, size: int) -> dict[str, Any]:
        assert 1 <= size <= 100
        self.lists += 1
        rows = list(reversed(self.keys.values()))
        return {
            "keys": rows[(page - 1) * size : page * size],
            "total_count": len(rows),
            "current_page": page,
            "total_pages": -(-len(rows) // size),
        }

    def generate(self, body: dict[str, Any]) -> dict[str, Any]:
        value = body["key"]
        token = hashlib.sha256(value.encode()).hexdigest()
        if any(row["key_alias"] == body["key_alias"] for row in self.keys.values()):
            raise Refusal(400, f"Key with alias '{body['key_alias']}' already exists.")
        if len(value) < 16:
            raise Refusal(
                400, "{'error': 'Invalid key format. LiteLLM Virtual Key must be at least 16 characters long.'}"
            )
        row = {"token": token, "key_alias": body["key_alias"], "expires": None, "spend": 0.0, **DEFAULTS}
        self._set(row, body)
        self.keys.setdefault(token, row)
        return {**row, "key": value}

    def update(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["key"] not in self.keys:
            raise Refusal(404, "Key not found.")
        self._set(self.keys[body["key"]], body)
        return {"key": body["key"]}

    def delete(self, body: dict[str, Any]) -> dict[str, Any]:
        if not all(token in self.keys for token in body["keys"]):
            raise Refusal(404, "{'error': 'No keys found'}")
        for token in body["keys"]:
            del self.keys[token]
        return {"deleted_keys": body["keys"]}

    def _set(self, row: dict[str, Any], body: dict[str, Any]) -> None:
        for name in DEFAULTS.keys() & body.keys():
            row[name] = json.loads(json.dumps(body[name]))
        if row["max_budget"] is not None:
            row["max_budget"] = float(row["max_budget"])
        if "duration" in body:
            row["expires"] = self._expiry(body["duration"])

    def _expiry(self, duration: str | None) -> str | None:
        if duration is None:
            return None
        found = re.fullmatch(r"(\d+)s", duration)
        if not found:
            raise Refusal(400, "Authentication Error, Invalid duration format")
        moment = self.clock() + timedelta(seconds=int(found[1]))
        return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{math.floor(moment.microsecond / 1000):03}Z"

    # What somebody else does to it

    def add(self, alias: str | None, value: str, **changes: Any) -> dict[str, Any]:
        token = hashlib.sha256(value.encode()).hexdigest()
        self.keys[token] = {"token": token, "key_alias": alias, "expires": None, "spend": 0.0, **DEFAULTS, **changes}
        return self.keys[token]

    def by_alias(self, alias: str) -> dict[str, Any]:
        (row,) = [row for row in self.keys.values() if row["key_alias"] == alias]
        return row


def error(message: str, status: int) -> dict[str, Any]:
    return {"error": {"message": message, "type": "auth_error", "param": "None", "code": str(status)}}


@contextmanager
def serve(fake: FakeLiteLLM) -> Iterator[int]:
    """The port of 127.0.0.1 that the fake listens on."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(None)

        def do_POST(self) -> None:
            self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def _answer(self, body: Any) -> None:
            url = urlsplit(self.path)
            status, answer = fake.answer(url.path, parse_qs(url.query), body, self.headers["Authorization"])
            text = answer if isinstance(answer, str) else json.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

"""HTTP as vLLM has it: keys, errors, streams, clients that hang up; and what a test may want to know of a request.

Facts from vLLM 0.32's own source: a wrong key gets 401 `{"error": "Unauthorized"}`, the scheme of
Authorization in any case (serve/middleware/authenticate.py); errors are `{"error": {"message", "type",
"param", "code"}}`, a missing field 400 and not FastAPI's 422 (serve/exception_handling); a request
whose client is gone is aborted, streamed or not (serve/utils/api_utils.py, `with_cancellation`).
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, TypeVar

from .metrics import Metrics
from .uploads import Body, HungUp, Refused

QUIET = ("/health", "/metrics", "/ping")
HOP_HEADERS = ("Host", "X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "Forwarded", "X-Real-IP")
"""What a proxy in front sets or must not let through, of every request on stderr."""
ERROR_TYPES = {400: "BadRequestError", 404: "NotFoundError", 422: "UnprocessableEntityError"}
ENDS_THE_ENGINE = b"STANDIN: end"
"""In a request: what a request does that an engine cannot bear."""
JSON_LIMIT = 64 * 1024 * 1024

Item = TypeVar("Item")
Route = Callable[["Exchange"], None]


class Engine(ThreadingHTTPServer):
    """What all requests share. `routes`: by method and path. `tool_options`: whether tools may be called by the
    model's own choice, and whether at all.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(
        self,
        address: tuple[str, int],
        names: list[str],
        api_keys: list[str],
        routes: Mapping[tuple[str, str], Route],
        tool_options: tuple[bool, bool],
    ) -> None:
        self.names = names
        self.api_keys = api_keys
        self.routes = routes
        self.tool_options = tool_options
        self.metrics = Metrics(names[0])
        self.ready = not os.environ.get("STANDIN_NEVER_READY")
        self.fails = bool(os.environ.get("STANDIN_FAILS"))
        self.token_seconds = float(os.environ.get("STANDIN_TOKEN_SECONDS", "0"))
        self.upload_limit = int(os.environ.get("VLLM_MAX_AUDIO_CLIP_FILESIZE_MB", "25")) << 20
        self.ids = count(1)
        super().__init__(address, Exchange)


class Exchange(BaseHTTPRequestHandler):
    """A client's connection: one request and its answer after the other."""

    server: Engine
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # status line and headers in one packet; flushed with every event

    def setup(self) -> None:
        super().setup()
        self._gone = select.poll()
        self._gone.register(self.connection, select.POLLRDHUP)

    def version_string(self) -> str:
        return "inference-fleet-stand-in"

    def log_message(self, format: str, *args: Any) -> None:
        if not self.path.startswith(QUIET):
            print(f"INFO:     {self.client_address[0]} - {format % args}", flush=True)

    def handle_expect_100(self) -> bool:
        go_on = super().handle_expect_100()
        self.wfile.flush()
        return go_on

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition("?")[0]
        try:
            self._tell_request()
            self.body = Body(self.rfile, self.headers)
            try:
                self._check_key(path)
                route = self.server.routes.get((self.command, path))
                if not route:
                    raise Refused(404, "Not Found")
                if self.server.fails and self.command == "POST":
                    raise Refused(500, "STANDIN_FAILS asks for a failure")
                route(self)
            except Refused as error:
                # With the rest unread the connection would be reset, and the answer perhaps lost.
                self.body.drain()
                self._refuse(error)
            self.body.drain()
        except Refused as error:
            self.close_connection = True
            self._refuse(error)
        except (HungUp, ConnectionError):
            self.close_connection = True
            say(f"INFO client hung up: {self.command} {path} stopped")

    def _tell_request(self) -> None:
        if self.path.startswith(QUIET):
            return
        headers = {name: ", ".join(self.headers.get_all(name, [])) for name in HOP_HEADERS if name in self.headers}
        say(
            json.dumps(
                {
                    "stand-in": "request",
                    "method": self.command,
                    "path": self.path,
                    "from": self.client_address[0],
                    "headers": headers,
                    "authorization": "Authorization" in self.headers,
                }
            )
        )

    def _check_key(self, path: str) -> None:
        if path.startswith("/v1") and self.server.api_keys:
            scheme, _, key = self.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or key not in self.server.api_keys:
                raise Refused(401, "Unauthorized")

    def _refuse(self, error: Refused) -> None:
        if error.status == 401:
            return self.send_json({"error": str(error)}, error.status)
        kind = ERROR_TYPES.get(error.status, "InternalServerError")
        body = {"message": str(error), "type": kind, "param": None, "code": error.status}
        return self.send_json({"error": body}, error.status)

    def send_json(self, body: dict[str, Any], status: int = 200) -> None:
        self.send_whole(json.dumps(body).encode(), "application/json", status)

    def send_whole(self, body: bytes, content_type: str, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    @contextmanager
    def stream(self, content_type: str) -> Iterator[Callable[[bytes], None]]:
        """Give what sends one chunk; the body ends with the block."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        yield self._send_chunk
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _send_chunk(self, data: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def read_json(self) -> dict[str, Any]:
        """The request, its `model` being one that is served."""
        raw = bytearray()
        for block in self.body.blocks():
            raw += block
            if len(raw) > JSON_LIMIT:
                raise Refused(400, "the body is too long for JSON")
        if ENDS_THE_ENGINE in raw:
            say("ERROR EngineCore encountered a fatal error.")
            os._exit(0)  # as vLLM does, whose API server ends well when its engine core dies
        try:
            request = json.loads(bytes(raw))
        except ValueError:
            raise Refused(400, "the body is not JSON") from None
        if not isinstance(request, dict):
            raise Refused(400, "the body is not an object")
        request["model"] = self.served(request.get("model"))
        return request

    def served(self, name: str | None) -> str:
        """The model's name, or the first one where none is asked for."""
        if name and name not in self.server.names:
            raise Refused(404, f"The model `{name}` does not exist.")
        return name or self.server.names[0]

    def generate(self, items: Iterable[Item]) -> Iterator[Item]:
        """The items one by one, each after the time a token takes. Raises HungUp once the client is gone."""
        for item in items:
            if self._gone.poll(self.server.token_seconds * 1000):
                raise HungUp
            self.server.metrics.add("generation_tokens_total", 1)
            yield item

    @contextmanager
    def running(self, prompt_tokens: int) -> Iterator[None]:
        """Counts as one request, in /metrics, as long as the block is under way."""
        metrics = self.server.metrics
        metrics.add("num_requests_running", 1)
        try:
            yield
        finally:
            metrics.add("num_requests_running", -1)
        metrics.add("prompt_tokens_total", prompt_tokens)
        metrics.add("request_success_total", 1)

    def next_id(self, prefix: str) -> str:
        return f"{prefix}-{next(self.server.ids)}"


def say(line: str) -> None:
    """One write for a line: threads share stderr."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def event(data: dict[str, Any] | str, name: str = "") -> bytes:
    """A server-sent event."""
    text = data if isinstance(data, str) else json.dumps(data)
    return (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()


def health(exchange: Exchange) -> None:
    exchange.send_whole(b"", "text/plain", 200 if exchange.server.ready else 503)


def version(exchange: Exchange) -> None:
    exchange.send_json({"version": "0.0.0+standin"})


def metrics(exchange: Exchange) -> None:
    exchange.send_whole(exchange.server.metrics.as_text().encode(), "text/plain; version=0.0.4")


def models(exchange: Exchange) -> None:
    cards = [{"id": name, "object": "model", "created": 0, "owned_by": "stand-in"} for name in exchange.server.names]
    exchange.send_json({"object": "list", "data": cards})

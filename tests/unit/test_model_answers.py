"""inference.fleet.model_answers against a server with TLS."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import TYPES
from ansible_collections.inference.fleet.plugins.modules import model_answers
from ansible_collections.inference.fleet.tests.unit.authority import Pair, issue
from ansible_collections.inference.fleet.tests.unit.running import Module

KEY = "sk-the-key"
ANSWER = {
    "choices": [{"index": 0}],
    "data": [{"embedding": [1.0], "b64_json": "cG5n"}],
    "text": "",
    "results": [{"index": 0}],
}
Answer = dict[str, Any]
Ask = Callable[..., Answer]


class Caddy(ThreadingHTTPServer):
    """asked: path -> the key. answers: name of a model -> status and body; otherwise a good answer."""

    daemon_threads = True

    def __init__(self, folder: Path, own: Pair) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        (folder / "own.crt").write_text(own.cert)
        (folder / "own.key").write_text(own.key)
        self.cert = own.cert
        self.asked: dict[str, str] = {}
        self.answers: dict[str, tuple[int, bytes]] = {}
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "own.crt", folder / "own.key")
        self.socket = context.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that refuses the certificate is no fault of the test."""


class Handler(BaseHTTPRequestHandler):
    server: Caddy

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked[self.path] = self.headers["Authorization"]
        named = [answer for name, answer in self.server.answers.items() if name.encode() in body]
        good = b"RIFF" if self.path.endswith("/speech") else json.dumps(ANSWER).encode()
        status, answer = named[0] if named else (200, good)
        self.send_response(status)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_given: Any) -> None:
        pass


@pytest.fixture
def caddy(tmp_path: Path) -> Iterator[Caddy]:
    start = datetime.now(UTC) - timedelta(days=1)
    caddy = Caddy(tmp_path, issue("gpu1.lan", start=start))
    threading.Thread(target=caddy.serve_forever, daemon=True).start()
    yield caddy
    caddy.shutdown()
    caddy.server_close()


@pytest.fixture
def ask(caddy: Caddy, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Ask:
    (tmp_path / "master_key").write_text(f"{KEY}\n")
    main = Module(model_answers.main, capsys)

    def ask(check: bool = False, **given: Any) -> Answer:
        given = {"ca": caddy.cert, "timeout": 20, **given}
        given.setdefault("url", f"https://gpu1.lan:{caddy.server_port}")
        given.setdefault("models", [model("chat")])
        return main(check, key_file=str(tmp_path / "master_key"), **given)

    return ask


def model(type: str) -> dict[str, Any]:
    return {"name": f"a-{type}", "type": type, "in_gateway": True, "image": "own/vllm:1"}


def test_models_of_all_types_are_asked_with_the_key(ask: Ask, caddy: Caddy) -> None:
    assert ask(models=[model(type) for type in TYPES]) == {"faults": {}}
    assert caddy.asked == dict.fromkeys(
        [
            "/v1/chat/completions",
            "/v1/embeddings",
            "/v1/rerank",
            "/models/a-stt/v1/audio/transcriptions",
            "/models/a-tts/v1/audio/speech",
            "/models/a-image/v1/images/generations",
        ],
        f"Bearer {KEY}",
    )


def test_a_model_that_does_not_answer_is_named_and_the_key_is_not(ask: Ask, caddy: Caddy) -> None:
    caddy.answers = {"a-chat": (503, f"no replica for {KEY}".encode()), "a-tts": (200, b"")}
    answer = ask(models=[model(type) for type in TYPES])
    assert answer["faults"] == {"a-chat": "answered 503: no replica for ***", "a-tts": "expected sound, got nothing"}
    assert answer["failed"] and answer["msg"].endswith("a-tts: expected sound, got nothing")
    assert KEY not in json.dumps(answer)


def test_caddy_with_another_certificate_is_not_given_the_key(ask: Ask, caddy: Caddy) -> None:
    (fault,) = ask(ca=issue().cert)["faults"].values()
    assert fault.startswith("no answer: ") and "certificate" in fault.lower()
    (fault,) = ask(url=f"https://gpu2.lan:{caddy.server_port}")["faults"].values()
    assert "gpu2.lan" in fault
    assert caddy.asked == {}


def test_caddys_own_certificate_in_a_file_is_enough(ask: Ask, tmp_path: Path) -> None:
    assert ask(ca=None, ca_file=str(tmp_path / "own.crt"))["faults"] == {}
    assert "no model was asked: " in ask(ca=None, ca_file=str(tmp_path / "none"))["msg"]
    assert "no model was asked: " in ask(ca="no certificate")["msg"]


def test_a_host_without_caddy(ask: Ask) -> None:
    (fault,) = ask(url="https://gpu1.lan:1")["faults"].values()
    assert "refused" in fault


def test_an_answer_that_does_not_end_is_a_fault(ask: Ask, caddy: Caddy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Handler, "do_POST", lambda _self: done.wait(20))
    done = threading.Event()
    (fault,) = ask(timeout=1)["faults"].values()
    done.set()
    assert "timed out" in fault


def test_check_mode_and_a_host_without_models_ask_nothing(ask: Ask, caddy: Caddy) -> None:
    assert ask(True) == ask(models=[]) == {"faults": {}}
    assert caddy.asked == {}

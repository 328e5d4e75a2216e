"""Whether an engine answers, on real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.health import is_healthy

Serve = Callable[[Iterable[bytes]], int]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """A server on a port, which sends these parts, a tenth of a second apart, to whoever asks."""
    listeners = []
    done = threading.Event()

    def serve(parts: Iterable[bytes]) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def answer() -> None:
            connection, _address = listener.accept()
            with connection:
                asked.append(connection.recv(1000))
                for part in parts:
                    if done.wait(0.1):
                        return
                    connection.sendall(part)

        threading.Thread(target=answer, daemon=True).start()
        return int(listener.getsockname()[1])

    yield serve
    done.set()
    for listener in listeners:
        listener.close()


asked: list[bytes] = []


@pytest.mark.parametrize(
    ("parts", "healthy"),
    [
        ([b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"], True),
        ([b"HTTP/1.", b"0 200", b" OK\r\n"], True),
        ([b"HTTP/1.1 503 Service Unavailable\r\n\r\n"], False),
        ([b"HTTP/1.1 404 Not Found\r\n\r\n"], False),
        ([b"HTTP/1.1 2000 OK\r\n\r\n"], False),
        ([b"200 HTTP/1.1 200 OK\r\n"], False),
        ([b"HTTP/1.1 "], False),
        ([], False),
        ([b"x" * 1_000_000], False),
    ],
)
def test_a_model_is_healthy_when_its_health_answers_200(parts: list[bytes], healthy: bool, serve: Serve) -> None:
    asked.clear()
    port = serve(parts)
    assert is_healthy("127.0.0.1", port) is healthy
    assert asked[0].startswith(f"GET /health HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode())


def test_a_model_that_answers_a_byte_at_a_time_cannot_hold_the_run(serve: Serve) -> None:
    begun = time.monotonic()
    assert not is_healthy("127.0.0.1", serve([b"H"] * 100), seconds=0.5)
    assert time.monotonic() - begun < 3


def test_a_port_on_which_nobody_listens_is_not_healthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert not is_healthy("127.0.0.1", port)

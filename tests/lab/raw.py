"""Requests written byte by byte, as no client library would."""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

CLIENTS = 8
ANSWER_SECONDS = 30
CLOSED = 0


@dataclass(frozen=True)
class Answer:
    """status: CLOSED if the server closed the connection without an answer."""

    status: int
    body: bytes = b""


class Wire:
    """A TLS connection, kept alive, and reopened when the server closes it."""

    def __init__(self, address: str, trust: ssl.SSLContext) -> None:
        self._address = address
        self._trust = trust
        self._socket: ssl.SSLSocket | None = None

    def exchange(self, request: bytes, method: str = "GET") -> Answer:
        """Sends the bytes as one request and returns the answer. method: decides whether to expect a body."""
        was_open = self._socket is not None
        answer = self._exchange(request, method)
        return self._exchange(request, method) if was_open and answer.status == CLOSED else answer

    def statuses(self, stream: bytes, seconds: float = 3) -> list[int]:
        """The answers to all requests that the server finds in the bytes, until it closes or is silent this long."""
        self.close()
        connection = self._connect()
        connection.settimeout(seconds)
        heard = b""
        with suppress(OSError):
            connection.sendall(stream)
        with suppress(OSError):
            while part := connection.recv(65536):
                heard += part
        self.close()
        return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3}) ", heard)]

    def break_off(self, part: bytes) -> None:
        """Closes the connection within a request, when the request may have reached its target."""
        self.close()
        self.send(part)
        time.sleep(0.3)
        with suppress(OSError):
            self._connect().unwrap()
        self.close()

    def send(self, part: bytes) -> None:
        """Sends the bytes, until the server closes the connection, and reads nothing."""
        with suppress(OSError):
            self._connect().sendall(part)

    def close(self) -> None:
        if self._socket:
            self._socket.close()
        self._socket = None

    def _connect(self) -> ssl.SSLSocket:
        if self._socket is None:
            plain = socket.create_connection((self._address, 443), ANSWER_SECONDS)
            self._socket = self._trust.wrap_socket(plain, server_hostname=self._address)
        return self._socket

    def _exchange(self, request: bytes, method: str) -> Answer:
        connection = self._connect()
        with suppress(OSError):  # it may hang up before it has heard all, and has answered then
            connection.sendall(request)
        try:
            response = http.client.HTTPResponse(connection, method=method)
            response.begin()
            answer = Answer(response.status, response.read())
        except TimeoutError:
            raise
        except (OSError, http.client.HTTPException):
            self.close()
            return Answer(CLOSED)
        if response.will_close:
            self.close()
        return answer


def exchange_all(address: str, trust: ssl.SSLContext, requests: Iterable[bytes]) -> list[Answer]:
    """The answers in the order of the requests, over a few parallel connections."""
    own = threading.local()

    def exchange(request: bytes) -> Answer:
        if not hasattr(own, "wire"):
            own.wire = Wire(address, trust)
        answer: Answer = own.wire.exchange(request, request.split(b" ", 1)[0].decode("latin-1"))
        return answer

    with ThreadPoolExecutor(CLIENTS) as pool:
        return list(pool.map(exchange, requests))

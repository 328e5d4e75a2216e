"""A load generator with little overhead: requests are prepared, answers are barely parsed.

Closed loops over persistent connections: a client sends its next request as soon as it has its
answer. Both are bounded, in count and in time.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from playbook import BenchError

WARM_UP = 3  # first answers of each connection, not counted
PATIENCE_S = 120


@dataclass(frozen=True)
class Target:
    """The address, and the whole request as sent. tls: none for plain HTTP."""

    address: str
    port: int
    request: bytes
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


@dataclass(frozen=True)
class Answer:
    """Seconds from sending a request to the first byte of the answer's body, and to its last."""

    first: float
    whole: float


def post(host: str, path: str, key: str, body: Mapping[str, Any]) -> bytes:
    content = json.dumps(body).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def alone(target: Target, count: int) -> list[Answer]:
    """One client: `count` answers, one after the other."""
    return asyncio.run(_run(target, clients=1, count=count))


def together(target: Target, clients: int, seconds: float) -> list[Answer]:
    """Several clients in parallel for a time: the answers that arrived in that time."""
    return asyncio.run(_run(target, clients=clients, seconds=seconds))


async def _run(target: Target, clients: int, count: int = 0, seconds: float = 0) -> list[Answer]:
    loop = asyncio.get_running_loop()
    connections: list[_Client] = []
    try:
        async with asyncio.timeout(PATIENCE_S + seconds):
            for _number in range(clients):
                connection = _Client(target.request)
                connections.append(connection)
                name = target.server_name if target.tls else None
                await loop.create_connection(
                    lambda one=connection: one, target.address, target.port, ssl=target.tls, server_hostname=name
                )
            await asyncio.gather(*(connection.warm for connection in connections))
            end = time.perf_counter() + seconds if seconds else None
            for connection in connections:
                connection.go_on(count, end)
            found = await asyncio.gather(*(connection.done for connection in connections))
    except TimeoutError:
        raise BenchError(f"no answer from {target.address}:{target.port} for {PATIENCE_S} s") from None
    except OSError as error:
        raise BenchError(f"{target.address}:{target.port}: {error}") from None
    finally:
        for connection in connections:
            connection.close()
    return [answer for answers in found for answer in answers]


class _Client(asyncio.Protocol):
    """Sends, reads, records the time and sends again, all in the loop's callback, without waking a task."""

    def __init__(self, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        self._request = request
        self.warm: asyncio.Future[None] = loop.create_future()
        self.done: asyncio.Future[list[Answer]] = loop.create_future()
        self._transport: asyncio.Transport | None = None
        self._answers: list[Answer] = []
        self._left = WARM_UP
        self._end: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def go_on(self, count: int, end: float | None) -> None:
        """Count this number of answers, or the answers that arrive before `end`."""
        self._answers.clear()
        self._left, self._end = count, end
        self._ask()

    def close(self) -> None:
        self.warm.cancel()
        self.done.cancel()
        if self._transport:
            self._transport.abort()

    def _ask(self) -> None:
        self._read = b""
        self._body_at = -1
        self._length: int | None = None
        self._first = 0.0
        self._sent = time.perf_counter()
        assert self._transport
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._read += data
        if self._body_at < 0 and not self._headers():
            return
        if not self._first and len(self._read) > self._body_at:
            self._first = now - self._sent
        if self._length is None:
            complete = self._read.endswith(b"\r\n0\r\n\r\n")
        else:
            complete = len(self._read) - self._body_at >= self._length
        if complete:
            self._answered(now)

    def _headers(self) -> bool:
        at = self._read.find(b"\r\n\r\n")
        if at < 0:
            return False
        head = self._read[:at].lower()
        if not head.startswith(b"http/1.1 200"):
            self._fail(f"a request was answered with {self._read[:400].decode(errors='replace')}")
            return False
        self._body_at = at + 4
        _, found, value = head.partition(b"\r\ncontent-length:")
        self._length = int(value.split(b"\r\n", 1)[0]) if found else None
        return True

    def _answered(self, now: float) -> None:
        if self._end and now > self._end:
            self.done.set_result(self._answers)
            return
        self._answers.append(Answer(self._first, now - self._sent))
        self._left -= 1
        if self._left:
            self._ask()
        elif self.warm.done():
            self.done.set_result(self._answers)
        else:
            self.warm.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"a connection was lost: {error or 'closed by the other side'}")

    def _fail(self, why: str) -> None:
        waiting = self.done if self.warm.done() else self.warm
        if not waiting.done():
            waiting.set_exception(BenchError(why))

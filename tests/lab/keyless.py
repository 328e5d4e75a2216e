"""Many clients without a valid key, each with a request as large as the server lets it be."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

PART = 1 << 16
ANSWER_SECONDS = 30
NOTHING = 0


@dataclass(frozen=True)
class Keyless:
    """For some seconds, each client sends one request after the other, each on a connection of its own.

    The body has many small objects, which cost LiteLLM the most.
    """

    address: str
    certificate: str
    path: str
    size: int
    clients: int
    seconds: float

    def send_all(self) -> Counter[int]:
        """The number of answers by status; NOTHING where the server closed the connection first."""
        trust = ssl.create_default_context(cafile=self.certificate)
        end = time.monotonic() + self.seconds

        def client(number: int) -> Counter[int]:
            found: Counter[int] = Counter()
            while time.monotonic() < end:
                found[self._send(trust, f"sk-wrong-{number}-{found.total()}")] += 1
            return found

        with ThreadPoolExecutor(self.clients) as pool:
            return sum(pool.map(client, range(self.clients)), Counter())

    def _send(self, trust: ssl.SSLContext, key: str) -> int:
        heard = b""
        with suppress(OSError):
            plain = socket.create_connection((self.address, 443), ANSWER_SECONDS)
            with trust.wrap_socket(plain, server_hostname=self.address) as wire:
                wire.sendall(self._head(key))
                for part in body(self.size):
                    wire.settimeout(0)
                    with suppress(ssl.SSLWantReadError):
                        heard = wire.recv(PART)
                        break
                    wire.settimeout(ANSWER_SECONDS)
                    wire.sendall(part)
                wire.settimeout(ANSWER_SECONDS)
                heard = heard or wire.recv(PART)
        found = re.match(rb"HTTP/1\.1 (\d{3}) ", heard)
        return int(found[1]) if found else NOTHING

    def _head(self, key: str) -> bytes:
        lines = (
            f"POST {self.path} HTTP/1.1",
            f"Host: {self.address}",
            f"Authorization: Bearer {key}",
            "Content-Type: application/json",
            f"Content-Length: {self.size}",
        )
        return "\r\n".join([*lines, "", ""]).encode()


class Clients(Protocol):
    def send_all(self) -> Counter[Any]: ...


class Flood:
    """Waits for the clients at the end of the block. `found`: what their `send_all` returns.

    They have a process of their own, with the lowest priority: what they need of this machine's processors must not
    delay the clients that are measured.
    """

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._pool = ProcessPoolExecutor(1, get_context("spawn"), _yield_processors)

    def __enter__(self) -> Flood:
        self._answers = self._pool.submit(self._clients.send_all)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def ended(self) -> bool:
        return self._answers.done()

    @property
    def found(self) -> Counter[Any]:
        return self._answers.result()


def _yield_processors() -> None:
    """To all other processes. Linux may group processes by session (autogroup), and then compares the groups."""
    os.setsid()
    os.nice(19)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")


def body(size: int) -> Iterator[bytes]:
    """The parts of `{"model":"pair","messages":[[],[],...]}`, together this many bytes."""
    start, end = b'{"model":"pair","messages":[', b"[]]}"
    yield start
    filler = b"[]," * (PART // 3)
    left = size - len(start) - len(end)
    while left > 0:
        part = filler[: min(left, len(filler)) // 3 * 3] or b" " * left
        left -= len(part)
        yield part
    yield end

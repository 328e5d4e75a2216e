"""Very many connections, each of which sends one byte a second and never ends its request."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

AT_A_TIME = 100  # handshakes
CONNECT_SECONDS = 60
KINDS = ("handshake", "head", "body")
"""What never ends: the client's first message of TLS, the head of a request without TLS, the body of a request."""


@dataclass(frozen=True)
class Slow:
    """count: of connections of each kind. seconds: how long each one sends after it was opened.

    They are opened at a bounded rate, and no client needs a key.
    """

    address: str
    certificate: str
    count: int
    seconds: float

    def send_all(self) -> Counter[str]:
        """For each kind, how many connections were `open` at the end and how many the server had `closed`; `refused`
        are those that were never opened."""
        return asyncio.run(self._send_all())

    async def _send_all(self) -> Counter[str]:
        trust = ssl.create_default_context(cafile=self.certificate)
        gate = asyncio.Semaphore(AT_A_TIME)
        clients = [self._client(kind, trust, gate) for _number in range(self.count) for kind in KINDS]
        return Counter(await asyncio.gather(*clients))

    async def _client(self, kind: str, trust: ssl.SSLContext, gate: asyncio.Semaphore) -> str:
        async with gate:
            try:
                connecting = asyncio.open_connection(
                    self.address, 80 if kind == "head" else 443, ssl=trust if kind == "body" else None
                )
                reader, writer = await asyncio.wait_for(connecting, CONNECT_SECONDS)
            except (OSError, TimeoutError):
                return f"{kind} refused"
        end = time.monotonic() + self.seconds
        sent = self._start(kind, trust)
        with suppress(OSError):
            writer.write(sent[:-1])
            while time.monotonic() < end:
                writer.write(sent[-1:])
                await writer.drain()
                # The server says nothing until it closes the connection, with or without an answer.
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 1)
                    break
            else:
                writer.transport.abort()
                return f"{kind} open"
        writer.transport.abort()
        return f"{kind} closed"

    def _start(self, kind: str, trust: ssl.SSLContext) -> bytes:
        """What is sent at once; the last byte is repeated. A hello is cut so that its length promises more."""
        if kind == "handshake":
            sent = ssl.MemoryBIO()
            with suppress(ssl.SSLWantReadError):
                trust.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=self.address).do_handshake()
            return sent.read()[:100]
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            f"Host: {self.address}",
            "Authorization: Bearer sk-unknown",
            "Content-Type: application/json",
            "Content-Length: 100000",
        ]
        return "\r\n".join([*lines, "X-Slow: x"] if kind == "head" else [*lines, "", " "]).encode()

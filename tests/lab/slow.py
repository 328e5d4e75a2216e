"""Very many connections, each of which sends one byte a second and never ends its request."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

AT_A_TIME = 100  # handshakes
CONNECT_SECONDS = 60
HANDSHAKE, HEAD, BODY = ("handshake", "head", "body")
"""What never ends: the client's first message of TLS, the head of a request without TLS, the body of a request."""


@dataclass(frozen=True)
class Slow:
    """counts: kind -> connections, which are opened at a bounded rate. seconds: how long all send after the last
    one was opened. No client needs a key."""

    address: str
    certificate: str
    counts: Mapping[str, int]
    seconds: float

    def send_all(self) -> Counter[str]:
        """For each kind, how many connections were `open` at the end, and how many the server had `closed`."""
        return asyncio.run(self._send_all())

    async def _send_all(self) -> Counter[str]:
        trust = ssl.create_default_context(cafile=self.certificate)
        gate, all_open = asyncio.Semaphore(AT_A_TIME), asyncio.Event()
        kinds = [kind for kind, count in self.counts.items() for _number in range(count)]
        sending = await asyncio.gather(*(self._open(kind, trust, gate, all_open) for kind in kinds))
        all_open.set()
        return Counter(await asyncio.gather(*sending))

    async def _open(
        self, kind: str, trust: ssl.SSLContext, gate: asyncio.Semaphore, all_open: asyncio.Event
    ) -> asyncio.Task[str]:
        port, context = (80, None) if kind == HEAD else (443, trust if kind == BODY else None)
        async with gate:
            connecting = asyncio.open_connection(self.address, port, ssl=context)
            reader, writer = await asyncio.wait_for(connecting, CONNECT_SECONDS)
        return asyncio.create_task(self._send(kind, reader, writer, self._start(kind, trust), all_open))

    async def _send(
        self,
        kind: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        sent: bytes,
        all_open: asyncio.Event,
    ) -> str:
        end, closed = float("inf"), True
        with suppress(OSError):
            writer.write(sent[:-1])
            while closed := time.monotonic() < end:
                writer.write(sent[-1:])
                await writer.drain()
                if all_open.is_set():
                    end = min(end, time.monotonic() + self.seconds)
                # The server says nothing until it closes the connection, with or without an answer.
                with suppress(TimeoutError):
                    await asyncio.wait_for(reader.read(1), 1)
                    break
        writer.transport.abort()
        return f"{kind} {'closed' if closed else 'open'}"

    def _start(self, kind: str, trust: ssl.SSLContext) -> bytes:
        """What is sent at once; the last byte is repeated. A hello is cut so that its length promises more."""
        if kind == HANDSHAKE:
            sent = ssl.MemoryBIO()
            with suppress(ssl.SSLWantReadError):
                trust.wrap_bio(ssl.MemoryBIO(), sent, server_hostname=self.address).do_handshake()
            return sent.read()[:100]
        lines = [
            "POST /v1/chat/completions HTTP/1.1",
            f"Host: {self.address}",
            "Authorization: Bearer sk-unknown",
            "Content-Type: application/json",
            "Content-Length: 30000",  # of a larger one, the key is checked first
        ]
        return "\r\n".join([*lines, "X-Slow: x"] if kind == HEAD else [*lines, "", " "]).encode()

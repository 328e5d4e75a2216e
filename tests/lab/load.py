"""A steady load of requests, to check whether a change loses requests."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import httpx2 as httpx

PATIENCE_S = 180
CONNECTIONS = 64
CHAT = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
DONE = "data: [DONE]"


@dataclass(frozen=True)
class Stream:
    """One kind of request, sent repeatedly. path, model, body: of the request."""

    name: str
    path: str
    model: str
    key: str
    per_second: float
    body: Mapping[str, Any] = field(default_factory=lambda: CHAT)


@dataclass(frozen=True)
class Answer:
    """started: seconds since the load began. first: seconds to the head of the answer. outcome: 200, another status
    with its body, the client's error, or that a stream lacks its end."""

    stream: str
    started: float
    took: float
    outcome: str
    first: float = 0.0


class Load:
    """Sends every stream's requests at its rate until the block ends, whatever the answers take.

    An open loop: a request that waits holds up no other, as with clients that know nothing of each
    other. Connections are kept alive and nothing is tried twice, so that what is lost is seen.
    newcomers: each request comes on a connection of its own instead.
    """

    def __init__(self, url: str, certificate: str, *streams: Stream, newcomers: bool = False) -> None:
        self._url = url
        self._trust = ssl.create_default_context(cafile=certificate)
        self._streams = streams
        self._kept = 0 if newcomers else CONNECTIONS
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.begun = 0.0
        self.answers: list[Answer] = []
        self.crash: BaseException | None = None

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits for the running requests."""
        self._ending.set()
        self._thread.join()
        if self.crash and not error:
            raise self.crash

    def wait_for(self, count: int) -> None:
        """Waits until this number of further requests have been answered."""
        wanted = len(self.answers) + count
        while len(self.answers) < wanted and self._thread.is_alive():
            time.sleep(0.1)

    def failed(self) -> list[Answer]:
        return [answer for answer in self.answers if answer.outcome != "200"]

    def longest(self, stream: str) -> float:
        """The longest wait of a client in seconds."""
        return max(answer.took for answer in self.answers if answer.stream == stream)

    def summary(self) -> str:
        lines = []
        for stream in self._streams:
            mine = [answer for answer in self.answers if answer.stream == stream.name]
            outcomes = Counter(answer.outcome for answer in mine)
            longest = self.longest(stream.name) if mine else 0
            lines.append(f"{stream.name}: {len(mine)} requests, {dict(outcomes)}, longest wait {longest:.1f} s")
        return "\n".join(lines)

    async def _run(self) -> None:
        try:
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=self._kept)
            async with httpx.AsyncClient(
                base_url=self._url, verify=self._trust, timeout=PATIENCE_S, limits=limits, trust_env=False
            ) as client:
                self.begun = time.monotonic()
                await asyncio.gather(*(self._send_all(client, stream) for stream in self._streams))
        except Exception as error:  # raised again when the block is left: this is another thread
            self.crash = error

    async def _send_all(self, client: httpx.AsyncClient, stream: Stream) -> None:
        under_way: set[asyncio.Task[None]] = set()
        due = time.monotonic()
        while not self._ending.is_set():
            task = asyncio.create_task(self._send(client, stream))
            under_way.add(task)
            task.add_done_callback(under_way.discard)
            due += 1 / stream.per_second
            await asyncio.sleep(max(0.0, due - time.monotonic()))
        await asyncio.gather(*under_way)

    async def _send(self, client: httpx.AsyncClient, stream: Stream) -> None:
        started = time.monotonic()
        first = 0.0
        try:
            answer = await self._ask(client, stream)
            first = time.monotonic() - started
            text = (await answer.aread()).decode()
            outcome = _outcome(answer.status_code, text, bool(stream.body.get("stream")))
        except httpx.HTTPError as error:
            outcome = f"{type(error).__name__}: {error}"
        took = time.monotonic() - started
        self.answers.append(Answer(stream.name, started - self.begun, took, outcome, first))

    async def _ask(self, client: httpx.AsyncClient, stream: Stream) -> httpx.Response:
        """The answer's head; its body is not read yet."""
        body = {"model": stream.model, **stream.body}
        headers = {"Authorization": f"Bearer {stream.key}"}
        return await client.send(client.build_request("POST", stream.path, json=body, headers=headers), stream=True)


def _outcome(status: int, text: str, streamed: bool) -> str:
    if status != 200:
        return f"{status}: {text[:200]}"
    if streamed and (not text.rstrip().endswith(DONE) or '"error"' in text):
        return f"cut after {text.count('data: ')} events: {text[-200:]}"
    return "200"

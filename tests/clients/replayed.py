"""For clients that are no library: their requests as their source makes them, sent by httpx."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
from driver import Target

SECONDS = 100


class Status(Exception):
    """An answer that is no success."""

    def __init__(self, answer: httpx.Response) -> None:
        super().__init__(answer.text)
        self.status_code = answer.status_code


def send(target: Target, method: str, path: str, headers: dict[str, str], **body: Any) -> httpx.Response:
    answer = httpx.request(method, target.base + path, headers=headers, timeout=SECONDS, **body)
    if not answer.is_success:
        raise Status(answer)
    return answer


def events(target: Target, path: str, headers: dict[str, str], body: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The first choice of each event, as it comes."""
    with httpx.stream("POST", target.base + path, headers=headers, json=body, timeout=SECONDS) as answer:
        if not answer.is_success:
            answer.read()
            raise Status(answer)
        for line in answer.iter_lines():
            if line.startswith("data: {") and (choices := json.loads(line.removeprefix("data: "))["choices"]):
                yield choices[0]


def in_chunks(target: Target, path: str, headers: dict[str, str], **form: Any) -> httpx.Response:
    """A form whose length the client does not say."""
    made = httpx.Request("POST", target.base, **form)
    body = made.read()
    pieces = (body[start : start + 10_000] for start in range(0, len(body), 10_000))
    return send(target, "POST", path, {**headers, "Content-Type": made.headers["Content-Type"]}, content=pieces)


def arguments(choices: Iterator[dict[str, Any]]) -> str:
    """Of the tool that a streamed answer calls."""
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls") or []]
    return "".join(call["function"].get("arguments") or "" for call in calls)

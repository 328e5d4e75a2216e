"""Chat, completions and embeddings."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from .serving import Exchange, event
from .uploads import Refused

ANSWER = "This is a made-up answer from a stand-in that has no model behind it ."
WORDS = ANSWER.split()
DEFAULT_TOKENS = 16
DIMENSIONS = 64


def chat(exchange: Exchange) -> None:
    request = exchange.read_json()
    if not isinstance(request.get("messages"), list):
        raise Refused(400, "messages: a list is needed")
    if request.get("tools") and not exchange.server.calls_tools:
        _refuse_tools(request.get("tool_choice", "auto"))
    _complete(exchange, request, chat=True)


def _refuse_tools(choice: Any) -> None:
    """As vLLM 0.32 does without a parser of tool calls (renderers/online_renderer.py)."""
    if choice == "auto":
        raise Refused(400, '"auto" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set')
    if choice not in (None, "none"):
        raise Refused(400, f"tool_choice={json.dumps(choice)} requires --tool-call-parser to be set")


def completions(exchange: Exchange) -> None:
    _complete(exchange, exchange.read_json(), chat=False)


def _complete(exchange: Exchange, request: dict[str, Any], chat: bool) -> None:
    prompt = len(str(request["messages"] if chat else request.get("prompt", "")).split())
    limit = request.get("max_completion_tokens") or request.get("max_tokens") or DEFAULT_TOKENS
    said = exchange.generate(made_up(int(limit)))
    with exchange.running(prompt):
        (_stream if request.get("stream") else _whole)(exchange, request, chat, prompt, said)


def made_up(limit: int) -> Iterator[str]:
    for index in range(limit):
        yield (" " if index else "") + WORDS[index % len(WORDS)]


def _frame(exchange: Exchange, request: dict[str, Any], chat: bool, streamed: bool) -> dict[str, Any]:
    kind = ("chat.completion" if chat else "text_completion") + (".chunk" if chat and streamed else "")
    return {
        "id": exchange.next_id("chatcmpl" if chat else "cmpl"),
        "object": kind,
        "created": int(time.time()),
        "model": request["model"],
    }


def _whole(exchange: Exchange, request: dict[str, Any], chat: bool, prompt: int, words: Iterator[str]) -> None:
    parts = list(words)
    text = "".join(parts)
    said = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
    choice = {"index": 0, **said, "logprobs": None, "finish_reason": "length"}
    frame = _frame(exchange, request, chat, streamed=False)
    exchange.send_json({**frame, "choices": [choice], "usage": usage(prompt, len(parts))})


def _stream(exchange: Exchange, request: dict[str, Any], chat: bool, prompt: int, words: Iterator[str]) -> None:
    frame = _frame(exchange, request, chat, streamed=True)

    def choice(said: dict[str, Any], reason: str | None = None) -> bytes:
        part = {"index": 0, **said, "logprobs": None, "finish_reason": reason}
        return event({**frame, "choices": [part]})

    with exchange.stream("text/event-stream; charset=utf-8") as send:
        if chat:
            send(choice({"delta": {"role": "assistant", "content": ""}}))
        generated = 0
        for word in words:
            send(choice({"delta": {"content": word}} if chat else {"text": word}))
            generated += 1
        send(choice({"delta": {}} if chat else {"text": ""}, "length"))
        if (request.get("stream_options") or {}).get("include_usage"):
            send(event({**frame, "choices": [], "usage": usage(prompt, generated)}))
        send(event("[DONE]"))


def embeddings(exchange: Exchange) -> None:
    request = exchange.read_json()
    inputs = request.get("input")
    texts = inputs if isinstance(inputs, list) and inputs else [inputs]
    data = [
        {"index": index, "object": "embedding", "embedding": embedding(str(text))} for index, text in enumerate(texts)
    ]
    tokens = sum(len(str(text).split()) for text in texts)
    with exchange.running(tokens):
        frame = {"id": exchange.next_id("embd"), "object": "list", "model": request["model"]}
        exchange.send_json({**frame, "data": data, "usage": usage(tokens, 0)})


def usage(prompt: int, generated: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}


def embedding(text: str) -> list[float]:
    """A vector of length 1 that depends on the text alone."""
    digest = hashlib.sha256(text.encode()).digest()
    raw = [byte - 127.5 for byte in islice(digest * DIMENSIONS, DIMENSIONS)]
    length = sum(value * value for value in raw) ** 0.5
    return [value / length for value in raw]

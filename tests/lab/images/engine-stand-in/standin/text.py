"""Chat, completions, embeddings and reranking.

Facts from vLLM 0.32's entrypoints/pooling: /v1/embeddings takes texts or tokens; base64 is float32, little-endian;
`dimensions` needs a Matryoshka model, which this one is (pooling_params.py). A reranker answers with the best document
first, with all of them unless `top_n` says less, and its model has no other routes (scoring/serving.py).
"""

from __future__ import annotations

import base64
import hashlib
import struct
import time
from dataclasses import dataclass
from itertools import islice
from typing import Any

from .guided import called_tool, json_text, seen
from .serving import Exchange, event
from .uploads import Refused

ANSWER = "This is a made-up answer from a stand-in that has no model behind it ."
WORDS = ANSWER.split()
DEFAULT_TOKENS = 16
DIMENSIONS = 64
PIECE = 4
"""Characters of JSON in a token."""


@dataclass(frozen=True)
class Answer:
    """pieces: the text, or the arguments of the tool that is called; one is a token."""

    pieces: list[str]
    end: str
    tool: str = ""
    chat: bool = True


def chat(exchange: Exchange) -> None:
    request = exchange.read_json()
    messages = request.get("messages")
    if not isinstance(messages, list):
        raise Refused(400, "messages: a list is needed")
    images, call = seen(messages), called_tool(request, *exchange.server.tool_options)
    if call:
        answer = Answer(*_cut(call.arguments, request, call.end), call.name)
    elif text := json_text(request):
        answer = Answer(*_cut(text, request, "stop"))
    else:
        answer = Answer(made_up(request, images), "length")
    _complete(exchange, request, answer)


def completions(exchange: Exchange) -> None:
    request = exchange.read_json()
    _complete(exchange, request, Answer(made_up(request), "length", chat=False))


def _limit(request: dict[str, Any]) -> int | None:
    limit = request.get("max_completion_tokens") or request.get("max_tokens")
    if limit and int(limit) < 1:
        raise Refused(400, f"max_tokens must be at least 1, got {limit}.")
    return int(limit) if limit else None


def made_up(request: dict[str, Any], first: str = "") -> list[str]:
    """Words without an end, after `first`, which is one token."""
    words = (WORDS[index % len(WORDS)] for index in range(_limit(request) or DEFAULT_TOKENS))
    return [(" " if index else first) + word for index, word in enumerate(words)]


def _cut(text: str, request: dict[str, Any], end: str) -> tuple[list[str], str]:
    """A text that has an end, in tokens, and why it ends."""
    pieces = [text[start : start + PIECE] for start in range(0, len(text), PIECE)]
    limit = _limit(request)
    return (pieces, end) if limit is None or len(pieces) <= limit else (pieces[:limit], "length")


def _complete(exchange: Exchange, request: dict[str, Any], answer: Answer) -> None:
    prompt = len(str(request["messages"] if answer.chat else request.get("prompt", "")).split())
    with exchange.running(prompt):
        (_stream if request.get("stream") else _whole)(exchange, request, answer, prompt)


def _frame(exchange: Exchange, request: dict[str, Any], chat: bool, streamed: bool) -> dict[str, Any]:
    kind = ("chat.completion" if chat else "text_completion") + (".chunk" if chat and streamed else "")
    return {
        "id": exchange.next_id("chatcmpl" if chat else "cmpl"),
        "object": kind,
        "created": int(time.time()),
        "model": request["model"],
    }


def _whole(exchange: Exchange, request: dict[str, Any], answer: Answer, prompt: int) -> None:
    text = "".join(exchange.generate(answer.pieces))
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if answer.tool:
        function = {"name": answer.tool, "arguments": text}
        call = {"id": exchange.next_id("chatcmpl-tool"), "type": "function", "function": function}
        message = {"role": "assistant", "content": None, "tool_calls": [call]}
    said = {"message": message} if answer.chat else {"text": text}
    choice = {"index": 0, **said, "logprobs": None, "finish_reason": answer.end}
    frame = _frame(exchange, request, answer.chat, streamed=False)
    exchange.send_json({**frame, "choices": [choice], "usage": usage(prompt, len(answer.pieces))})


def _stream(exchange: Exchange, request: dict[str, Any], answer: Answer, prompt: int) -> None:
    frame = _frame(exchange, request, answer.chat, streamed=True)

    def choice(said: dict[str, Any], reason: str | None = None) -> bytes:
        part = {"index": 0, **({"delta": said} if answer.chat else said), "logprobs": None, "finish_reason": reason}
        return event({**frame, "choices": [part]})

    def piece(text: str) -> dict[str, Any]:
        if answer.tool:
            return {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}
        return {"content": text} if answer.chat else {"text": text}

    with exchange.stream("text/event-stream; charset=utf-8") as send:
        if answer.chat:
            send(choice({"role": "assistant", "content": ""}))
        if answer.tool:
            begun = {"id": exchange.next_id("chatcmpl-tool"), "type": "function", "index": 0}
            send(choice({"tool_calls": [{**begun, "function": {"name": answer.tool, "arguments": ""}}]}))
        for text in exchange.generate(answer.pieces):
            send(choice(piece(text)))
        send(choice({} if answer.chat else {"text": ""}, answer.end))
        if (request.get("stream_options") or {}).get("include_usage"):
            send(event({**frame, "choices": [], "usage": usage(prompt, len(answer.pieces))}))
        send(event("[DONE]"))


def embeddings(exchange: Exchange) -> None:
    request = exchange.read_json()
    inputs, size = request.get("input"), request.get("dimensions") or DIMENSIONS
    if not isinstance(size, int) or not 1 <= size <= DIMENSIONS:
        raise Refused(
            400, f"Model '{request['model']}' only supports dimensions in range [1, {DIMENSIONS}], got {size}."
        )
    several = isinstance(inputs, list) and inputs and not isinstance(inputs[0], int)
    texts = inputs if several else [inputs]
    vectors = [embedding(str(text), size) for text in texts]
    if request.get("encoding_format") == "base64":
        found: list[Any] = [base64.b64encode(struct.pack(f"<{size}f", *vector)).decode() for vector in vectors]
    else:
        found = vectors
    data = [{"index": index, "object": "embedding", "embedding": one} for index, one in enumerate(found)]
    tokens = sum(len(str(text).split()) for text in texts)
    with exchange.running(tokens):
        frame = {"id": exchange.next_id("embd"), "object": "list", "model": request["model"]}
        exchange.send_json({**frame, "data": data, "usage": usage(tokens, 0)})


def rerank(exchange: Exchange) -> None:
    """The more words a document shares with the query, the better."""
    request = exchange.read_json()
    query, documents, best = request.get("query"), request.get("documents"), request.get("top_n", 0)
    if not isinstance(query, str) or not isinstance(documents, (list, str)) or not isinstance(best, int) or best < 0:
        raise Refused(400, "a query, documents and a top_n of at least 0 are needed; this stand-in takes texts alone")
    texts = documents if isinstance(documents, list) else [documents]
    asked = set(query.split())
    scores = [len(asked & set(str(text).split())) / max(1, len(asked)) for text in texts]
    order = sorted(range(len(texts)), key=lambda index: -scores[index])[: best or None]
    results = [
        {"index": index, "document": {"text": texts[index], "multi_modal": None}, "relevance_score": scores[index]}
        for index in order
    ]
    tokens = sum(len(str(text).split()) + len(query.split()) for text in texts)
    with exchange.running(tokens):
        frame = {"id": exchange.next_id("score"), "model": request["model"]}
        exchange.send_json({**frame, "usage": {"prompt_tokens": tokens, "total_tokens": tokens}, "results": results})


def usage(prompt: int, generated: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}


def embedding(text: str, size: int = DIMENSIONS) -> list[float]:
    """A vector of length 1 that depends on the text alone; a shorter one is the start of the longer one, scaled."""
    digest = hashlib.sha256(text.encode()).digest()
    raw = [byte - 127.5 for byte in islice(digest * DIMENSIONS, size)]
    length = sum(value * value for value in raw) ** 0.5
    return [value / length for value in raw]

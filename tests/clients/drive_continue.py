"""Continue: what its provider `vllm` sends (npm @continuedev/openai-adapters 1.37.0, src/apis/OpenAI.ts; from its
repository core/llm/llms/OpenAI.ts, at 0069b948, and Vllm.ts, at 040f21cd).

It has the key in two headers: with `api-key` beside it for chats and lists, with `x-api-key` for reranking.
"""

from __future__ import annotations

from typing import Any

from driver import (
    BEST,
    DIMENSIONS,
    DOCUMENTS,
    IMAGE_URL,
    PNG,
    QUESTION,
    TOOL,
    Target,
    drive,
    errors,
    fits,
    in_parts,
)
from replayed import arguments, events, send


def headers(target: Target, key: str = "good", second: str = "api-key") -> dict[str, str]:
    value = target.keys[key]
    return {"Content-Type": "application/json", "Authorization": f"Bearer {value}", second: value}


def body(target: Target, model: str, content: Any = QUESTION, **options: Any) -> dict[str, Any]:
    asked = [{"role": "user", "content": content}]
    return {"messages": asked, "model": target.models[model], "stream": True, "max_tokens": 8, **options}


def ask(target: Target, key: str = "good", model: str = "chat", content: Any = QUESTION, **options: Any) -> str:
    choices = events(target, "/chat/completions", headers(target, key), body(target, model, content, **options))
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def chat(target: Target) -> None:
    assert ask(target)


def streaming(target: Target) -> None:
    choices = events(target, "/chat/completions", headers(target), body(target, "slow"))
    in_parts(choice["delta"].get("content") for choice in choices)


def tools(target: Target) -> None:
    sent = body(target, "chat", max_tokens=200, tools=[{"type": "function", "function": TOOL}])
    fits(arguments(events(target, "/chat/completions", headers(target), sent)))


def images_as_input(target: Target) -> None:
    image = {"type": "image_url", "image_url": {"url": IMAGE_URL, "detail": "low"}}
    assert f"{len(PNG)} bytes" in ask(target, model="vision", content=[{"type": "text", "text": "What is it?"}, image])


def completions(target: Target) -> None:
    """For what it suggests while somebody types."""
    sent = {"model": target.models["chat"], "prompt": "def add(", "max_tokens": 8, "stream": True, "stop": ["\n\n"]}
    assert "".join(choice.get("text", "") for choice in events(target, "/completions", headers(target), sent))


def embeddings(target: Target) -> None:
    sent = {"model": target.models["embedding"], "input": DOCUMENTS}
    found = send(target, "POST", "/embeddings", headers(target), json=sent).json()["data"]
    assert len(found) == len(DOCUMENTS) and len(found[0]["embedding"]) > DIMENSIONS


def rerank(target: Target) -> None:
    sent = {"model": target.models["rerank"], "query": "weather in Oslo", "documents": DOCUMENTS}
    results = send(target, "POST", "/rerank", headers(target, second="x-api-key"), json=sent).json()["results"]
    scores = [one["relevance_score"] for one in sorted(results, key=lambda one: one["index"])]
    assert scores.index(max(scores)) == BEST, scores


def model_list(target: Target) -> None:
    answer = send(target, "GET", "/models", headers(target)).json()
    assert target.models["chat"] in {model["id"] for model in answer["data"]}


if __name__ == "__main__":
    drive(
        {
            "chat": chat,
            "streaming": streaming,
            "tools": tools,
            "images as input": images_as_input,
            "completions": completions,
            "embeddings": embeddings,
            "rerank": rerank,
            "list of models": model_list,
            **errors(ask),
        }
    )

"""Open WebUI 0.12.4: what its backend sends (the wheel's open_webui/routers/openai.py, routers/audio/__init__.py,
routers/images.py, retrieval/utils.py, retrieval/models/external.py, utils/headers.py).

aiohttp sends a recording in chunks, since its form has a file that is read while it is sent; a connection of the kind
Azure has the key in two headers; a user's name and so on come along if ENABLE_FORWARD_USER_INFO_HEADERS says so.
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
    is_png,
    is_wave,
    recording,
)
from replayed import arguments, events, in_chunks, send

USER = {
    "X-OpenWebUI-User-Name": "Zo%C3%AB",
    "X-OpenWebUI-User-Id": "3f2a",
    "X-OpenWebUI-User-Email": "zoe@example.com",
    "X-OpenWebUI-User-Role": "user",
    "X-OpenWebUI-Chat-Id": "9c1b",
}


def headers(target: Target, key: str = "good", **more: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {target.keys[key]}", **USER, **more}


def as_json(target: Target, key: str = "good", **more: str) -> dict[str, str]:
    return headers(target, key, **{"Content-Type": "application/json", **more})


def body(target: Target, model: str, content: Any = QUESTION, **options: Any) -> dict[str, Any]:
    asked = [{"role": "user", "content": content}]
    return {"stream": False, "model": target.models[model], "messages": asked, "max_tokens": 8, **options}


def ask(target: Target, key: str = "good", model: str = "chat", content: Any = QUESTION, **options: Any) -> Any:
    """The title of a chat, and the like."""
    sent = body(target, model, content, **options)
    answer = send(target, "POST", "/chat/completions", as_json(target, key), json=sent).json()
    return answer["choices"][0]["message"]["content"]


def chat(target: Target) -> None:
    assert ask(target)


def streaming(target: Target) -> None:
    sent = body(target, "slow", stream=True, stream_options={"include_usage": True})
    in_parts(choice["delta"].get("content") for choice in events(target, "/chat/completions", as_json(target), sent))


def tools(target: Target) -> None:
    sent = body(target, "chat", stream=True, max_tokens=200, tools=[{"type": "function", "function": TOOL}])
    fits(arguments(events(target, "/chat/completions", as_json(target), sent)))


def images_as_input(target: Target) -> None:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": IMAGE_URL}}]
    assert f"{len(PNG)} bytes" in ask(target, model="vision", content=parts)


def embeddings(target: Target) -> None:
    sent = {"input": DOCUMENTS, "model": target.models["embedding"]}
    found = send(target, "POST", "/embeddings", as_json(target), json=sent).json()["data"]
    assert len(found) == len(DOCUMENTS) and len(found[0]["embedding"]) > DIMENSIONS


def transcription(target: Target) -> None:
    form = {"data": {"model": target.models["stt"], "language": "en"}, "files": {"file": ("a.wav", recording())}}
    answer = in_chunks(target, "/audio/transcriptions", headers(target), **form)
    assert f"{len(recording())} bytes" in answer.json()["text"]


def speech(target: Target) -> None:
    sent = {"input": QUESTION, "voice": "alloy", "model": target.models["tts"]}
    is_wave(send(target, "POST", "/audio/speech", as_json(target), json=sent).content)


def images(target: Target) -> None:
    sent = {
        "model": target.models["image"],
        "prompt": "a house",
        "n": 1,
        "size": "64x64",
        "response_format": "b64_json",
    }
    answer = send(target, "POST", "/images/generations", as_json(target), json=sent)
    is_png(answer.json()["data"][0]["b64_json"])


def edits(target: Target) -> None:
    form = {"model": target.models["image"], "prompt": "a red house", "n": "1", "size": "64x64"}
    files = [("image[]", ("a.png", PNG, "image/png"))]
    more = {"data": {**form, "response_format": "b64_json"}, "files": files}
    is_png(send(target, "POST", "/images/edits", headers(target), **more).json()["data"][0]["b64_json"])


def rerank(target: Target) -> None:
    sent = {"model": target.models["rerank"], "query": "weather in Oslo", "documents": DOCUMENTS, "top_n": 3}
    results = send(target, "POST", "/rerank", as_json(target), json=sent).json()["results"]
    scores = [one["relevance_score"] for one in sorted(results, key=lambda one: one["index"])]
    assert scores.index(max(scores)) == BEST, scores


def model_list(target: Target) -> None:
    answer = send(target, "GET", "/models", as_json(target)).json()
    assert target.models["chat"] in {model["id"] for model in answer["data"]}


def two_headers(target: Target) -> None:
    sent = as_json(target, **{"api-key": target.key, "api-version": "2023-03-15-preview"})
    assert send(target, "POST", "/chat/completions", sent, json=body(target, "chat")).json()["choices"]


if __name__ == "__main__":
    drive(
        {
            "chat": chat,
            "streaming": streaming,
            "tools": tools,
            "images as input": images_as_input,
            "embeddings": embeddings,
            "transcription": transcription,
            "speech": speech,
            "images": images,
            "image edits": edits,
            "rerank": rerank,
            "list of models": model_list,
            "key in two headers": two_headers,
            **errors(ask),
        }
    )

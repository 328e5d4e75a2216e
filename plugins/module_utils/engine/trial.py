# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One small request for a model of each type, and whether its answer shows that the model works. Pure."""

from __future__ import annotations

import io
import json
import re
import wave
from collections.abc import Mapping
from typing import Any, Optional

WORD = "Hi"
_BOUNDARY = "inference-fleet-trial"
_RATE = 16_000  # samples a second; what Whisper is trained for
# The API of vLLM-Omni has no smallest size; fewer steps than 2 divide by zero in diffusers' schedulers that have a
# `shift_terminal` (Qwen-Image).
_IMAGE: Mapping[str, Any] = {"prompt": WORD, "n": 1, "size": "256x256", "num_inference_steps": 2}
_CHAT: Mapping[str, Any] = {"messages": [{"role": "user", "content": WORD}], "max_tokens": 1}
_JSON: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "chat": ("/v1/chat/completions", _CHAT),
    "vision": ("/v1/chat/completions", _CHAT),
    "embedding": ("/v1/embeddings", {"input": WORD}),
    "rerank": ("/v1/rerank", {"query": WORD, "documents": [WORD]}),
    "tts": ("/v1/audio/speech", {"input": WORD}),
    "image": ("/v1/images/generations", _IMAGE),
}
# Type -> statuses and text of a refusal by an engine whose model works but needs another request: a model without a
# chat template only completes text, a reranker has no embeddings, a voice is cloned from a recording, and a model that
# edits images needs an image.
_OTHER_USE: Mapping[str, tuple[tuple[int, ...], str]] = {
    "chat": ((400,), "chat template"),
    "vision": ((400,), "chat template"),
    "embedding": ((400, 404, 501), r"does not support Embeddings|(?:detail|message)\W{1,9}Not Found"),
    "tts": ((400, 422), ""),
    "image": ((400, 422), ""),
}
_SHOWN = 200  # characters of an answer


def trial(type: str, name: str) -> tuple[str, bytes, str]:
    """Path, body and content type of a POST that costs the model little. name: of the model, as clients know it."""
    if type == "stt":
        return "/v1/audio/transcriptions", _form({"model": name}, _wav()), f"multipart/form-data; boundary={_BOUNDARY}"
    path, request = _JSON[type]
    return path, json.dumps({"model": name, **request}).encode(), "application/json"


def judge(type: str, status: int, body: bytes) -> Optional[str]:
    """Why the answer does not show that the model works; None if it does.

    status: 0 if there is no answer; then `body` says why.
    """
    text = body.decode("utf-8", "replace")
    if status == 200:
        return None if _is_result(type, body) else f"expected {_RESULTS[type]}, got {_short(text)}"
    statuses, words = _OTHER_USE.get(type, ((), ""))
    if status in statuses and re.search(words, text, re.IGNORECASE):
        return None
    return f"answered {status}: {_short(_message(text))}" if status else f"no answer: {_short(text)}"


_RESULTS: Mapping[str, str] = {
    "chat": "a choice",
    "vision": "a choice",
    "embedding": "a vector",
    "rerank": "a score",
    "stt": "a text",
    "tts": "sound",
    "image": "an image",
}


def _is_result(type: str, body: bytes) -> bool:
    if type == "tts":
        return bool(body) and not body.startswith(b"{")
    try:
        answer = json.loads(body)
        if type in ("chat", "vision"):
            return bool(answer["choices"][0])
        if type == "stt":
            return isinstance(answer["text"], str)
        if type == "rerank":
            return bool(answer["results"][0])
        first = answer["data"][0]
        return bool(first["embedding"] if type == "embedding" else first.get("b64_json") or first.get("url"))
    except (ValueError, LookupError, TypeError, AttributeError):
        return False


def _message(text: str) -> str:
    """The message of an error in the form of OpenAI's API, of FastAPI, or of vLLM; otherwise the whole text."""
    try:
        answer = json.loads(text)
    except ValueError:
        return text
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or text
    return str(error)


def _short(text: str) -> str:
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return (line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…") or "nothing"


def _wav() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(_RATE)
        sound.writeframes(bytes(2 * _RATE // 5))  # 0.2 s of silence
    return file.getvalue()


def _form(fields: Mapping[str, str], sound: bytes) -> bytes:
    """multipart/form-data (RFC 7578)."""
    lines = []
    for name, value in fields.items():
        lines += [f"--{_BOUNDARY}", f'Content-Disposition: form-data; name="{name}"', "", value]
    lines += [f"--{_BOUNDARY}", 'Content-Disposition: form-data; name="file"; filename="silence.wav"']
    lines += ["Content-Type: audio/wav", "", ""]
    return "\r\n".join(lines).encode() + sound + f"\r\n--{_BOUNDARY}--\r\n".encode()

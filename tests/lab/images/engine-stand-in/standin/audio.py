"""Audio to text as vLLM serves it, text to audio as vLLM-Omni does.

Facts of /v1/audio/transcriptions and /translations, from vLLM 0.32's entrypoints/speech_to_text:
`text` is answered as JSON like `json`; srt and vtt are refused; verbose_json cannot be streamed;
a transcription has `usage` in seconds, a translation none; the chunks of a stream have no index;
a file above VLLM_MAX_AUDIO_CLIP_FILESIZE_MB, 25 by default, is refused with 400.

Facts of /v1/audio/speech, from vLLM-Omni's docs/serving/speech_api.md and protocol/audio.py: only
`input` is required; wav by default; `stream_format: audio` streams the bytes, a WAV then with
0xFFFFFFFF for its sizes; `stream: true` or `stream_format: sse` streams speech.audio.* events.
"""

from __future__ import annotations

import base64
import math
import struct
import time
from array import array
from collections.abc import Iterator
from typing import Any

from .serving import Exchange, event
from .text import usage
from .uploads import Form, Refused, read_form

BYTES_PER_SECOND = 32_000
"""How long an upload is said to be: as 16-bit samples at 16 kHz, which is what Whisper hears."""

RATE = 24_000
CYCLE = array("h", (int(8_000 * math.sin(math.tau * step / 100)) for step in range(100))).tobytes()
CYCLES_PER_CHARACTER = 6
"""25 ms of a 240 Hz tone."""
UNKNOWN_SIZE = 0xFFFFFFFF
VOICES = ("stand-in",)


def transcriptions(exchange: Exchange) -> None:
    _hear(exchange, "transcribe", "transcription")


def translations(exchange: Exchange) -> None:
    _hear(exchange, "translate", "translation")


def _hear(exchange: Exchange, task: str, noun: str) -> None:
    form = read_form(exchange.body, exchange.headers)
    upload = form.files.get("file")
    if "file" in form.fields:
        raise Refused(422, "Expected 'file' to be a file-like object, not 'str'.")
    if not upload:
        raise Refused(400, "1 validation error:\n  file: Field required")
    limit = exchange.server.upload_limit
    if upload.size > limit:
        raise Refused(
            400, f"Maximum file size exceeded: {upload.size} bytes, VLLM_MAX_AUDIO_CLIP_FILESIZE_MB allows {limit}"
        )
    model = exchange.served(form.fields.get("model"))
    kind, streamed = _response_format(form)
    said = f"Made-up {noun} by a stand-in that heard nothing: {upload.size} bytes, sha256 {upload.sha256}."
    words = exchange.generate(word if not index else f" {word}" for index, word in enumerate(said.split()))
    seconds = upload.size / BYTES_PER_SECOND
    with exchange.running(0):
        if streamed:
            frame = {
                "id": exchange.next_id(task),
                "object": f"{noun}.chunk",
                "created": int(time.time()),
                "model": model,
            }
            _stream_text(exchange, frame, words, _true(form, "stream_include_usage"))
            return
        text = "".join(words)
        if kind == "verbose_json":
            exchange.send_json(_verbose(text, form.fields.get("language", "en"), seconds))
        elif noun == "translation":
            exchange.send_json({"text": text})
        else:
            exchange.send_json({"text": text, "usage": {"type": "duration", "seconds": math.ceil(seconds)}})


def _response_format(form: Form) -> tuple[str, bool]:
    """The format that is asked for, and whether as a stream."""
    kind, streamed = form.fields.get("response_format", "json"), _true(form, "stream")
    if kind not in ("json", "text", "verbose_json"):
        raise Refused(400, "Currently only support response_format: `text`, `json`, `verbose_json` or `diarized_json`")
    if kind == "verbose_json" and streamed:
        raise Refused(400, "verbose_json format doesn't support streaming case")
    return kind, streamed


def _true(form: Form, name: str) -> bool:
    return form.fields.get(name, "").lower() in ("true", "1", "on", "yes", "y", "t")


def _stream_text(exchange: Exchange, frame: dict[str, Any], words: Iterator[str], with_usage: bool) -> None:
    with exchange.stream("text/event-stream; charset=utf-8") as send:
        count = 0
        for word in words:
            send(event({**frame, "choices": [{"delta": {"content": word}}]}))
            count += 1
        last = {"delta": {"content": ""}, "finish_reason": "stop", "stop_reason": None}
        send(event({**frame, "choices": [last]}))
        if with_usage:
            send(event({**frame, "choices": [], "usage": usage(0, count)}))
        send(event("[DONE]"))


def _verbose(text: str, language: str, seconds: float) -> dict[str, Any]:
    segment: dict[str, Any] = {
        "id": 0,
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "end": seconds,
        "no_speech_prob": None,
        "seek": 0,
        "start": 0.0,
        "temperature": 0.0,
        "text": text,
        "tokens": [],
    }
    return {"duration": seconds, "language": language, "text": text, "segments": [segment], "words": None}


def speech(exchange: Exchange) -> None:
    request = exchange.read_json()
    text, kind = request.get("input"), request.get("response_format", "wav")
    if not isinstance(text, str) or not text.strip():
        raise Refused(400, "Input text cannot be empty")
    if kind not in ("wav", "pcm"):
        raise Refused(400, f"response_format: this stand-in makes wav and pcm, not {kind}")
    words = text.split()
    media = f"audio/{kind}"
    sounds = exchange.generate(_tone(word) for word in words)
    how = request.get("stream_format") or ("sse" if request.get("stream") else None)
    with exchange.running(len(words)):
        if how == "sse":
            _stream_events(exchange, kind, sounds, len(words))
        elif how == "audio":
            with exchange.stream(media) as send:
                if kind == "wav":
                    send(_wav_header(UNKNOWN_SIZE))
                for sound in sounds:
                    send(sound)
        else:
            whole = b"".join(sounds)
            exchange.send_whole((_wav_header(len(whole)) if kind == "wav" else b"") + whole, media)


def voices(exchange: Exchange) -> None:
    exchange.send_json({"voices": list(VOICES), "uploaded_voices": []})


def _stream_events(exchange: Exchange, kind: str, sounds: Iterator[bytes], words: int) -> None:
    with exchange.stream("text/event-stream; charset=utf-8") as send:
        head = _wav_header(UNKNOWN_SIZE) if kind == "wav" else b""
        for sound in sounds:
            audio = base64.b64encode(head + sound).decode()
            head = b""
            name = "speech.audio.delta"
            send(event({"type": name, "audio": audio, "response_format": kind}, name))
        tokens = {"input_tokens": words, "output_tokens": words, "total_tokens": 2 * words}
        send(event({"type": "speech.audio.done", "usage": tokens}, "speech.audio.done"))


def _tone(word: str) -> bytes:
    return CYCLE * (CYCLES_PER_CHARACTER * (len(word) + 1))


def _wav_header(size: int) -> bytes:
    """Of 16-bit mono; `size` of the samples in bytes."""
    whole = size if size == UNKNOWN_SIZE else size + 36
    form = ("<4sI4s4sIHHIIHH4sI", b"RIFF", whole, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16, b"data", size)
    return struct.pack(*form)

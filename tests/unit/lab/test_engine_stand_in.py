"""The engine stand-in, started as its container starts it: answers that clients of vLLM and vLLM-Omni can
read, uploads that arrive whole, and what it reports of the requests that reach it."""

from __future__ import annotations

import base64
import hashlib
import http.client
import io
import json
import os
import queue
import re
import socket
import struct
import subprocess
import sys
import threading
import wave
import zlib
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

STAND_IN = Path(__file__).resolve().parents[2] / "lab" / "images" / "engine-stand-in" / "vllm"
KEY = "key-of-the-tests"
PATIENCE_S = 20
BOUNDARY = "----a-boundary"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        return re.findall(r"^data: (.*)$", self.body.decode(), re.MULTILINE)


class StandIn:
    """A running one, and the lines of its stderr as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        self.port = int(re.findall(r"listening on port (\d+)", self.line("listening on port"))[0])

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.put(line)

    def line(self, wanted: str) -> str:
        """The next line that has this in it; queue.Empty where none comes."""
        while wanted not in (line := self._lines.get(timeout=PATIENCE_S)):
            pass
        return line

    def request(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """A POST where there is a body: JSON, unless it is bytes or an iterator of them, which is sent in chunks."""
        if isinstance(body, dict):
            body = json.dumps(body).encode()
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        sent = {"Authorization": f"Bearer {KEY}", **(headers or {})}
        connection.request("GET" if body is None else "POST", path, body, sent)
        answer = connection.getresponse()
        with closing(connection):
            return Answer(answer.status, answer.headers, answer.read())

    def upload(self, path: str, body: Any) -> Answer:
        return self.request(path, body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})


def start(*options: str, source: str = "example/model", **environment: str) -> Iterator[StandIn]:
    command = [sys.executable, str(STAND_IN), "serve", source, "--served-model-name", "tiny", "--port", "0"]
    command += ["--host", "127.0.0.1", "--api-key", KEY, *options]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}
    )
    with process:
        try:
            yield StandIn(process)
        finally:
            process.kill()


@pytest.fixture(scope="module")
def engine() -> Iterator[StandIn]:
    yield from start()


@pytest.fixture
def slow() -> Iterator[StandIn]:
    """A token in a minute: longer than any test waits."""
    yield from start(STANDIN_TOKEN_SECONDS="60")


@pytest.fixture(scope="module")
def calling() -> Iterator[StandIn]:
    """One that may call tools."""
    yield from start("--enable-auto-tool-choice", "--tool-call-parser", "hermes")


@pytest.fixture(scope="module")
def reranker() -> Iterator[StandIn]:
    yield from start(source="example/reranker")


def form(content: bytes | None = b"RIFF", /, part: str = "file", **fields: str) -> bytes:
    parts = [(f'name="{name}"', value.encode()) for name, value in fields.items()]
    if content is not None:
        parts.append((f'name="{part}"; filename="a.wav"', content))
    text = b"".join(
        b"--%s\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (BOUNDARY.encode(), head.encode(), value)
        for head, value in parts
    )
    return text + b"--%s--\r\n" % BOUNDARY.encode()


def unpack_png(image: bytes) -> tuple[int, int, bytes]:
    """Width, height and rows, every checksum being right."""
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    at, chunks = 8, {}
    while at < len(image):
        (length,) = struct.unpack_from(">I", image, at)
        kind, data = image[at + 4 : at + 8], image[at + 8 : at + 8 + length]
        assert struct.unpack_from(">I", image, at + 8 + length) == (zlib.crc32(kind + data),)
        chunks[kind] = data
        at += length + 12
    assert list(chunks) == [b"IHDR", b"tEXt", b"IDAT", b"IEND"]
    width, height, depth, colour = struct.unpack_from(">IIBB", chunks[b"IHDR"])
    assert (depth, colour) == (8, 2)
    return width, height, zlib.decompress(chunks[b"IDAT"])


def test_a_transcription_names_the_size_and_the_digest_of_what_arrived(engine: StandIn) -> None:
    file = os.urandom(3_000_000)
    text = engine.upload("/v1/audio/transcriptions", form(file, model="tiny")).json["text"]
    assert f"{len(file)} bytes, sha256 {hashlib.sha256(file).hexdigest()}" in text
    assert "stand-in" in text


@pytest.mark.parametrize("content", [b"", b"\r\n", b"\r\n--", b"\r\n------a-boundar", b"x" * (256 * 1024)])
def test_what_looks_like_a_boundary_is_content(engine: StandIn, content: bytes) -> None:
    answer = engine.upload("/v1/audio/transcriptions", form(content))
    assert f"{len(content)} bytes, sha256 {hashlib.sha256(content).hexdigest()}" in answer.json["text"]


@pytest.mark.parametrize("piece", [1, 7, 100_000])
def test_an_upload_in_chunks_arrives_whole(engine: StandIn, piece: int) -> None:
    file = bytes(range(256)) * (4 if piece == 1 else 2_000)
    body = form(file, model="tiny")
    answer = engine.upload("/v1/audio/transcriptions", (body[at : at + piece] for at in range(0, len(body), piece)))
    assert f" {len(file)} bytes, sha256 {hashlib.sha256(file).hexdigest()}" in answer.json["text"]


def test_an_upload_of_hundreds_of_megabytes_is_not_kept() -> None:
    for engine in start(VLLM_MAX_AUDIO_CLIP_FILESIZE_MB="512"):
        block, count = bytes(1 << 20), 300
        head, tail = form(b"").split(b"\r\n\r\n")[0] + b"\r\n\r\n", b"\r\n--%s--\r\n" % BOUNDARY.encode()
        answer = engine.upload("/v1/audio/transcriptions", (part for part in (head, *[block] * count, tail)))
        assert f" {count << 20} bytes" in answer.json["text"]
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{engine.process.pid}/status").read_text())
        assert peak and int(peak[1]) < 100 * 1024


def test_a_file_above_vllms_limit_is_refused(engine: StandIn) -> None:
    answer = engine.upload("/v1/audio/transcriptions", form(bytes((25 << 20) + 1)))
    assert answer.status == 400
    assert "Maximum file size exceeded" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    "body, status",
    [
        (form(None, model="tiny"), 400),
        (form(None, file="not a file"), 422),
        (form(model="another"), 404),
        (form(response_format="srt"), 400),
        (form(response_format="verbose_json", stream="true"), 400),
        (form()[:-20], 400),
        (b"no form", 400),
    ],
)
def test_a_bad_upload_is_reported(engine: StandIn, body: bytes, status: int) -> None:
    answer = engine.upload("/v1/audio/transcriptions", body)
    assert (answer.status, answer.json["error"]["code"]) == (status, status)


def test_formats_of_a_transcription_have_vllms_fields(engine: StandIn) -> None:
    for kind in ("json", "text"):
        answer = engine.upload("/v1/audio/transcriptions", form(bytes(64_000), response_format=kind)).json
        assert answer["usage"] == {"type": "duration", "seconds": 2}
    verbose = engine.upload(
        "/v1/audio/transcriptions", form(bytes(64_000), response_format="verbose_json", language="de")
    ).json
    assert (verbose["duration"], verbose["language"]) == (2, "de")
    assert verbose["segments"][0]["text"] == verbose["text"]
    assert "usage" not in engine.upload("/v1/audio/translations", form()).json


def test_a_transcription_is_streamed(engine: StandIn) -> None:
    answer = engine.upload("/v1/audio/transcriptions", form(stream="true", stream_include_usage="true"))
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    *chunks, usage = map(json.loads, answer.events[:-1])
    assert "4 bytes" in "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks)
    assert {chunk["object"] for chunk in chunks} == {"transcription.chunk"}
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert usage["usage"]["completion_tokens"] == len(chunks) - 1
    assert answer.events[-1] == "[DONE]"


def test_speech_is_a_wav_as_long_as_its_text(engine: StandIn) -> None:
    seconds = []
    for text in ("Hello", "Hello, how are you today?"):
        answer = engine.request("/v1/audio/speech", {"input": text, "voice": "vivian", "model": "tiny"})
        assert answer.headers["Content-Type"] == "audio/wav"
        with wave.open(io.BytesIO(answer.body)) as sound:
            assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (24_000, 1, 2)
            assert len(sound.readframes(sound.getnframes())) == 2 * sound.getnframes()
            seconds.append(sound.getnframes() / sound.getframerate())
    assert 0 < seconds[0] < seconds[1]


def test_streamed_speech_has_the_same_samples(engine: StandIn) -> None:
    request = {"input": "Hello, how are you?", "voice": "vivian", "response_format": "pcm"}
    whole = engine.request("/v1/audio/speech", request)
    assert whole.headers["Content-Type"] == "audio/pcm"
    raw = engine.request("/v1/audio/speech", {**request, "stream_format": "audio"})
    assert raw.headers["Transfer-Encoding"] == "chunked"
    assert raw.body == whole.body
    wav = engine.request("/v1/audio/speech", {**request, "stream_format": "audio", "response_format": "wav"})
    assert wav.body[40:44] == b"\xff" * 4 and wav.body[44:] == whole.body
    *deltas, done = map(json.loads, engine.request("/v1/audio/speech", {**request, "stream": True}).events)
    assert b"".join(base64.b64decode(delta["audio"]) for delta in deltas) == whole.body
    assert done["type"] == "speech.audio.done"


def test_images_have_the_size_asked_for(engine: StandIn) -> None:
    request = {"prompt": "a cat", "n": 2, "size": "96x64", "response_format": "b64_json"}
    answer = engine.request("/v1/images/generations", request).json
    images = [base64.b64decode(image["b64_json"]) for image in answer["data"]]
    assert len(set(images)) == 2
    for image in images:
        width, height, rows = unpack_png(image)
        assert (width, height, len(rows)) == (96, 64, 64 * (1 + 3 * 96))
        assert b"made up by a stand-in" in image


@pytest.mark.parametrize(
    "path, body, status",
    [
        ("/v1/audio/speech", {"voice": "vivian"}, 400),
        ("/v1/audio/speech", {"input": "Hi", "response_format": "mp3"}, 400),
        ("/v1/audio/speech", {"input": "Hi", "model": "another"}, 404),
        ("/v1/images/generations", {"n": 1}, 400),
        ("/v1/images/generations", {"prompt": "a cat", "n": 11}, 400),
        ("/v1/images/generations", {"prompt": "a cat", "size": "big"}, 400),
        ("/v1/images/generations", {"prompt": "a cat", "response_format": "url"}, 400),
        ("/v1/images/generations", {"prompt": "a cat", "model": "another"}, 404),
        ("/v1/nothing", {}, 404),
    ],
)
def test_a_bad_request_is_reported(engine: StandIn, path: str, body: dict[str, Any], status: int) -> None:
    answer = engine.request(path, body)
    assert (answer.status, answer.json["error"]["code"]) == (status, status)


def test_a_wrong_key_gets_vllms_401(engine: StandIn) -> None:
    for headers in ({"Authorization": "Bearer other"}, {"Authorization": KEY}, {"Authorization": ""}):
        answer = engine.request("/v1/chat/completions", {"messages": []}, headers)
        assert (answer.status, answer.json) == (401, {"error": "Unauthorized"})
    assert engine.request("/v1/models", headers={"Authorization": f"bearer {KEY}"}).status == 200
    assert engine.request("/health", headers={"Authorization": ""}).status == 200


def test_a_connection_goes_on_after_an_upload_was_refused(engine: StandIn) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=PATIENCE_S)
    for _attempt in range(2):
        connection.request("POST", "/v1/audio/speech", bytes(5_000_000), {"Authorization": "Bearer other"})
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 401
    connection.close()


def test_chat_is_answered_whole_and_streamed(engine: StandIn) -> None:
    request = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 3}
    whole = engine.request("/v1/chat/completions", request).json
    assert whole["choices"][0]["message"]["content"] == "This is a"
    *chunks, done = engine.request("/v1/chat/completions", {**request, "stream": True}).events
    said = [json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert ("".join(said), done) == ("This is a", "[DONE]")


SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string"},
        "degrees": {"type": "integer", "minimum": 5},
        "winds": {"type": "array", "items": {"$ref": "#/$defs/wind"}},
        "sky": {"enum": ["clear", "grey"]},
        "moon": {"anyOf": [{"type": "null"}, {"type": "string"}]},
    },
    "$defs": {"wind": {"type": "number"}},
}
FITS = {"city": "made up", "degrees": 5, "winds": [0.5], "sky": "clear", "moon": None}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("weather", "time")]
TIME = {"type": "function", "function": {"name": "time"}}
HELLO = {"messages": [{"role": "user", "content": "Hello"}]}


@pytest.mark.parametrize(
    "asked, name, end",
    [
        ({}, "weather", "tool_calls"),
        ({"tool_choice": "required"}, "weather", "tool_calls"),
        ({"tool_choice": TIME}, "time", "stop"),
        ({"max_tokens": 2}, "weather", "length"),
    ],
)
def test_a_tool_is_called_whole_and_streamed(calling: StandIn, asked: dict[str, Any], name: str, end: str) -> None:
    request = {**HELLO, "tools": TOOLS, **asked}
    choice = calling.request("/v1/chat/completions", request).json["choices"][0]
    function = choice["message"]["tool_calls"][0]["function"]
    assert (function["name"], choice["finish_reason"], choice["message"]["content"]) == (name, end, None)
    *chunks, _done = calling.request("/v1/chat/completions", {**request, "stream": True}).events
    choices = [json.loads(chunk)["choices"][0] for chunk in chunks]
    calls = [one["delta"]["tool_calls"][0] for one in choices if "tool_calls" in one["delta"]]
    assert (calls[0]["function"]["name"], calls[0]["type"], choices[-1]["finish_reason"]) == (name, "function", end)
    assert {call["index"] for call in calls} == {0} and not any("id" in call for call in calls[1:])
    assert "".join(call["function"]["arguments"] for call in calls) == function["arguments"]
    assert end == "length" or json.loads(function["arguments"]) == FITS


def test_no_tool_is_called_where_none_is_wanted(calling: StandIn) -> None:
    answered = {"messages": [*HELLO["messages"], {"role": "tool", "tool_call_id": "1", "content": "mild"}]}
    for asked in ({**HELLO, "tool_choice": "none"}, answered):
        choice = calling.request("/v1/chat/completions", {**asked, "tools": TOOLS}).json["choices"][0]
        assert choice["message"]["content"].startswith("This is")


@pytest.mark.parametrize("choice", ["auto", "required", TIME])
def test_tools_need_vllms_options(engine: StandIn, choice: Any) -> None:
    answer = engine.request("/v1/chat/completions", {**HELLO, "tools": TOOLS, "tool_choice": choice})
    assert answer.status == 400
    assert "--tool-call-parser to be set" in answer.json["error"]["message"]


def test_json_fits_the_schema(engine: StandIn) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "a", "schema": SCHEMA}}
    request = {**HELLO, "response_format": wanted}
    message = engine.request("/v1/chat/completions", request).json["choices"][0]["message"]
    assert json.loads(message["content"]) == FITS
    *chunks, _done = engine.request("/v1/chat/completions", {**request, "stream": True}).events
    said = [json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks]
    assert json.loads("".join(said)) == FITS


def test_an_image_in_a_message_is_seen(engine: StandIn) -> None:
    def ask(url: str) -> Answer:
        parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": url}}]
        return engine.request("/v1/chat/completions", {"messages": [{"role": "user", "content": parts}]})

    content = ask("data:image/png;base64,aGVsbG8=").json["choices"][0]["message"]["content"]
    assert content.startswith(f"5 bytes, sha256 {hashlib.sha256(b'hello').hexdigest()}")
    assert [ask(url).status for url in ("data:image/png;base64,a", "https://example.com/a.png")] == [400, 400]


@pytest.mark.parametrize(
    "more", [{"tools": []}, {"tool_choice": "required"}, {"max_tokens": -1}, {"response_format": {"type": "xml"}}]
)
def test_a_bad_chat_is_reported(calling: StandIn, more: dict[str, Any]) -> None:
    assert calling.request("/v1/chat/completions", {**HELLO, **more}).status == 400


def test_embeddings_have_the_dimensions_asked_for(engine: StandIn) -> None:
    def ask(inputs: Any, **more: Any) -> Any:
        return engine.request("/v1/embeddings", {"input": inputs, **more}).json["data"]

    (whole,), (short,) = ask("a"), ask("a", dimensions=8)
    assert (len(whole["embedding"]), len(short["embedding"])) == (64, 8)
    assert sum(value * value for value in short["embedding"]) == pytest.approx(1)
    (packed,) = ask("a", encoding_format="base64")
    assert struct.unpack("<64f", base64.b64decode(packed["embedding"])) == pytest.approx(whole["embedding"])
    assert [len(ask(inputs)) for inputs in (["a", "b"], [1, 2, 3], [[1], [2, 3]])] == [2, 1, 2]
    assert engine.request("/v1/embeddings", {"input": "a", "dimensions": 65}).status == 400


@pytest.mark.parametrize("path", ["/rerank", "/v1/rerank", "/v2/rerank"])
def test_documents_are_ranked(reranker: StandIn, path: str) -> None:
    request = {"query": "weather in Oslo", "documents": ["a cat", "mild weather in Oslo", "Oslo"], "model": "tiny"}
    results = reranker.request(path, request).json["results"]
    assert [one["index"] for one in results] == [1, 2, 0]
    assert results[0]["document"]["text"] == request["documents"][1]
    assert [one["index"] for one in reranker.request(path, {**request, "top_n": 1}).json["results"]] == [1]


def test_only_a_reranker_ranks_and_it_does_nothing_else(engine: StandIn, reranker: StandIn) -> None:
    assert engine.request("/v1/rerank", {"query": "a", "documents": ["a"]}).status == 404
    assert reranker.request("/v1/rerank", {"documents": ["a"]}).status == 400
    assert reranker.request("/v1/chat/completions", HELLO).status == 404


@pytest.mark.parametrize("name", ["image", "image[]"])
def test_an_edit_depends_on_the_image(engine: StandIn, name: str) -> None:
    def edit(image: bytes) -> bytes:
        body = form(image, part=name, prompt="a cat", size="32x32", model="tiny")
        return base64.b64decode(engine.upload("/v1/images/edits", body).json["data"][0]["b64_json"])

    assert unpack_png(edit(b"one"))[:2] == (32, 32)
    assert edit(b"one") != edit(b"two")


@pytest.mark.parametrize(
    "body, status",
    [
        (form(None, prompt="a cat"), 422),
        (form(part="image"), 400),
        (form(part="image", prompt="a cat", response_format="url"), 400),
        (form(part="image", prompt="a cat", n="no"), 400),
    ],
)
def test_a_bad_edit_is_reported(engine: StandIn, body: bytes, status: int) -> None:
    assert engine.upload("/v1/images/edits", body).status == status


def test_headers_of_proxies_are_reported_and_no_key_is(engine: StandIn) -> None:
    headers = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1", "X-Real-IP": "192.0.2.2", "Host": "a.test"}
    engine.request("/v1/models?told=1", headers=headers)
    line = engine.line("told=1")
    reported = json.loads(line)
    assert reported["headers"] == headers
    assert reported["authorization"] is True
    assert KEY not in line


@pytest.mark.parametrize("streamed", [False, True])
def test_a_generation_stops_when_its_client_hangs_up(slow: StandIn, streamed: bool) -> None:
    body = json.dumps({"messages": [], "stream": streamed}).encode()
    with socket.create_connection(("127.0.0.1", slow.port), PATIENCE_S) as client:
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nAuthorization: Bearer {KEY}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        client.sendall(head.encode() + body)
        if streamed:
            assert client.recv(12) == b"HTTP/1.1 200"
        while "vllm:num_requests_running" not in (text := running(slow)) or text.endswith(" 0.0"):
            pass
    assert "POST /v1/chat/completions" in slow.line("client hung up")
    assert running(slow).endswith(" 0.0")


def running(engine: StandIn) -> str:
    text = engine.request("/metrics").body.decode()
    return next(line for line in text.splitlines() if line.startswith("vllm:num_requests_running{"))

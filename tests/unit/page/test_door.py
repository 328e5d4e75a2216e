"""Trying a model through the front door: what the answers are, and what is said when there is none."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.page.fleets import encrypted
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet
from fleet_page import door as module
from fleet_page.door import Door, endpoint, fitting, known_keys

URL = "https://gpu1/v1"


class Stream(httpx.AsyncByteStream):
    """An answer in parts, which may break off."""

    def __init__(self, *parts: bytes, error: Exception | None = None) -> None:
        self._parts, self._error = parts, error

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self._parts:
            yield part
        if self._error:
            raise self._error


def told(words: str | None = None, **more: Any) -> bytes:
    choice: dict[str, Any] = {"delta": {} if words is None else {"content": words}, **more}
    return f"data: {json.dumps({'choices': [choice]})}\n\n".encode()


def opened(answer: Any, key: str = "sk-abc") -> tuple[Door, list[httpx.Request]]:
    seen: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if isinstance(answer, Exception):
            raise answer
        found: httpx.Response = answer
        return found

    return Door(URL, key, None, httpx.MockTransport(handle)), seen


def chat(answer: Any) -> list[str]:
    door, _seen = opened(answer)

    async def ask() -> list[str]:
        async with door:
            return [part async for part in door.chat("a", [{"role": "user", "content": "hi"}], 10)]

    return asyncio.run(ask())


def streamed(*parts: bytes, error: Exception | None = None) -> httpx.Response:
    return httpx.Response(200, stream=Stream(*parts, error=error))


def fault(answer: Any, call: Any = None) -> str:
    with pytest.raises(FleetError) as caught:
        if call is None:
            chat(answer)
        else:
            door, _seen = opened(answer)
            asyncio.run(call(door))
    (words,) = caught.value.faults
    return words


DONE = b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    "parts",
    [
        (told("a"), told("b"), DONE),
        (told("a"), told("b", finish_reason="stop")),
        (b": comment\n\n", b"event: x\n", told("a"), b"\n\n\n", told(), told(None), told("b"), DONE),
        (b"".join([told("a"), told("b"), DONE]),),
        (told("a")[:9], told("a")[9:], told("b").replace(b"data: ", b"data:"), DONE),
        (told("a"), b'data: {"choices": []}\n\n', b'data: {"usage": {}}\n\n', told("b"), DONE, told("never")),
        (told("a").replace(b"\n", b"\r\n"), told("b"), DONE),
    ],
)
def test_an_answer_grows_part_by_part(parts: tuple[bytes, ...]) -> None:
    found = chat(streamed(*parts))
    assert found[-1] == "ab" and found[0] == "a"


def test_the_request_is_that_of_any_client() -> None:
    door, seen = opened(streamed(DONE), " sk-abc\n")

    async def ask() -> None:
        async with door:
            assert [one async for one in door.chat("a", [{"role": "user", "content": "hi"}], 10)] == []

    asyncio.run(ask())
    (request,) = seen
    assert str(request.url) == f"{URL}/chat/completions" and request.headers["authorization"] == "Bearer sk-abc"
    assert json.loads(request.content)["stream"] is True


@pytest.mark.parametrize("key", ["клюҷ", "sk\nx", "sk\x00", "sk-•"])
def test_a_key_that_is_none_is_refused(key: str) -> None:
    with pytest.raises(FleetError, match="the key has characters that no key has"):
        Door(URL, key, None)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ((told("a"),), "the answer broke off before its end"),
        ((), "the answer broke off before its end"),
        (
            (told("a"), b'data: {"error": {"message": "out of memory"}}\n\n'),
            "the model ended its answer: out of memory",
        ),
        ((b'data: {"error": "no"}\n\n',), "the model ended its answer: no"),
        ((b"data: <html>\n\n",), "the answer of the model cannot be read: <html>"),
        ((b"data: null\n\n",), "cannot be read"),
        ((b"data: [1]\n\n",), "cannot be read"),
        ((b'data: {"choices": [1]}\n\n',), "cannot be read"),
        ((b'data: {"choices": {}}\n\n', b'data: {"choices": 5}\n\n'), "cannot be read"),
    ],
)
def test_a_stream_that_is_none_is_a_fault(parts: tuple[bytes, ...], words: str) -> None:
    assert words in fault(streamed(*parts))


def test_a_connection_that_breaks_is_a_fault() -> None:
    words = fault(streamed(told("a"), error=httpx.RemoteProtocolError("peer closed connection")))
    assert words == f"{URL}/: peer closed connection"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (httpx.ReadTimeout(""), "no answer within 120 s; look at the log of the model"),
        (httpx.ConnectTimeout(""), "no answer within 120 s"),
        (httpx.ConnectError("[Errno 111] Connection refused"), "Connection refused"),
        (httpx.ConnectError(""), "ConnectError"),
        (
            httpx.ConnectError("certificate has expired (_ssl.c:997)"),
            "the certificate has expired: see the tab HTTPS and settings",
        ),
        (httpx.ConnectError("self-signed certificate in certificate chain"), "self-signed certificate"),
    ],
)
def test_a_door_that_does_not_open_says_why(error: Exception, words: str) -> None:
    assert fault(error).startswith(f"{URL}/: ") and words in fault(error)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx.Response(401, json={"error": {"message": "Invalid key"}}), "HTTP 401: Invalid key"),
        (httpx.Response(429, json={"error": "budget"}), "HTTP 429: budget"),
        (httpx.Response(400, json={"detail": "no"}), "HTTP 400: {'detail': 'no'}"),
        (httpx.Response(502, text="<h1>Bad gateway</h1>"), "HTTP 502: <h1>Bad gateway</h1>"),
        (httpx.Response(500, text="x" * 10_000), f"HTTP 500: {'x' * 300}"),
        (httpx.Response(500, json=[1]), "HTTP 500: [1]"),
        (httpx.Response(500), "HTTP 500: "),
        (httpx.Response(503, content=b"\xff\xfe"), "HTTP 503: "),
    ],
)
def test_an_answer_that_refuses_is_shown_in_its_words(answer: httpx.Response, words: str) -> None:
    assert fault(answer).startswith(words)


def test_a_long_answer_is_bounded() -> None:
    found = chat(streamed(*(told("x" * 90_000) for _ in range(9))))
    assert max(map(len, found)) == module.MOST_WORDS


def test_other_types_of_models_answer(tmp_path: Path) -> None:
    audio = tmp_path / "a.wav"
    audio.write_bytes(b"RIFF")
    cases: list[tuple[httpx.Response, Any, Any]] = [
        (
            httpx.Response(200, json={"data": [{"embedding": [1, 0.5]}]}),
            lambda door: door.embeddings("a", "x"),
            [1.0, 0.5],
        ),
        (httpx.Response(200, json={"text": "hello"}), lambda door: door.transcription("a", audio), "hello"),
        (httpx.Response(200, content=b"RIFF"), lambda door: door.speech("a", "x", ""), b"RIFF"),
        (httpx.Response(200, json={"data": [{"b64_json": "AA=="}]}), lambda door: door.image("a", "x"), "AA=="),
    ]
    for answer, call, expected in cases:
        door, _seen = opened(answer)
        assert asyncio.run(call(door)) == expected


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"null", b"[]", b"{}", b'{"data": []}', b'{"data": [{}]}', b'{"data": 5}', b'"x"']
)
def test_an_answer_of_another_form_is_a_fault(tmp_path: Path, body: bytes) -> None:
    audio = tmp_path / "a.wav"
    audio.write_bytes(b"RIFF")
    for call in (
        lambda door: door.embeddings("a", "x"),
        lambda door: door.transcription("a", audio),
        lambda door: door.image("a", "x"),
    ):
        assert ": expected " in fault(httpx.Response(200, content=body), call)


def test_a_recording_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    words = fault(httpx.Response(200, json={}), lambda door: door.transcription("a", tmp_path / "gone.wav"))
    assert words == "gone.wav: No such file or directory; choose it again"


@pytest.mark.parametrize("text", ["x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "\x00", "ä"])
def test_a_root_certificate_that_is_none_is_a_fault(text: str) -> None:
    with pytest.raises(FleetError, match="root certificate"):
        Door(URL, "sk-abc", text)


def test_the_way_to_a_model_is_that_of_its_clients() -> None:
    made = fleet(entry(), entry(name="direct", direct=True), direct_keys=[{"name": "jobs"}])
    assert endpoint(made, "qwen3-8b").endswith("/v1")
    with pytest.raises(FleetError, match="nobody: is not in the inventory"):
        endpoint(made, "nobody")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("app: sk-abc\n", {"app": "sk-abc"}),
        ("app: sk-abc\nother: 5\nthird: [x]\n", {"app": "sk-abc"}),
        (encrypted("app: sk-abc\n"), {}),
        ("app: !vault |\n  $ANSIBLE_VAULT\n", {}),
        ("- a\n", {}),
        ("{", {}),
        ("", {}),
        ("!!python/object/apply:os.system [id]\n", {}),
    ],
)
def test_keys_are_those_of_the_file_beside_the_inventory(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    (tmp_path / ".fleet-keys.yml").write_text(text)
    assert known_keys({}, tmp_path) == expected


@pytest.mark.parametrize("name", ["other.yml", "~nobody-at-all/x", "\x00", 5, ["x"], "x" * 5000, "."])
def test_a_file_of_keys_that_cannot_be_read_has_none(tmp_path: Path, name: Any) -> None:
    (tmp_path / ".fleet-keys.yml").write_text("app: sk-abc\n")
    assert known_keys({"fleet_keys_file": name}, tmp_path) == {}


def test_a_relative_file_of_keys_is_beside_the_inventory(tmp_path: Path) -> None:
    (tmp_path / "mine.yml").write_text("app: sk-abc\n")
    assert known_keys({"fleet_keys_file": "mine.yml"}, tmp_path) == {"app": "sk-abc"}
    (tmp_path / "mine.yml").write_bytes(b"\xff\xfe\x00")
    assert known_keys({"fleet_keys_file": "mine.yml"}, tmp_path) == {}


def test_a_key_fits_the_models_that_it_is_limited_to() -> None:
    entries = [{"alias": "some", "models": ["a"]}, {"alias": "all"}, {"alias": "none", "models": []}]
    known = ["some", "all", "none", "gone"]
    assert fitting(known, entries, "a") == known
    assert fitting(known, entries, "b") == ["all", "none", "gone"]

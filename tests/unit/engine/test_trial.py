"""One request for a model of each type, to the engine stand-in too, and the judgement of answers."""

from __future__ import annotations

import base64
import io
import json
import wave
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.trial import judge, trial
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import TYPES
from ansible_collections.inference.fleet.tests.unit.lab.test_engine_stand_in import StandIn, start

TINY = "tiny"  # the name that `start` gives


@pytest.fixture(scope="module")
def engine() -> Iterator[StandIn]:
    yield from start()


@pytest.fixture(scope="module")
def reranker() -> Iterator[StandIn]:
    yield from start(source="example/reranker")


@pytest.mark.parametrize("type", TYPES)
def test_an_engine_accepts_the_trial_of_each_type(engine: StandIn, reranker: StandIn, type: str) -> None:
    path, body, content_type = trial(type, TINY)
    answer = (reranker if type == "rerank" else engine).request(path, body, {"Content-Type": content_type})
    assert (answer.status, judge(type, answer.status, answer.body)) == (200, None)


@pytest.mark.parametrize("type", TYPES)
def test_an_engine_without_the_model_is_a_fault(engine: StandIn, reranker: StandIn, type: str) -> None:
    path, body, content_type = trial(type, "other")
    answer = (reranker if type == "rerank" else engine).request(path, body, {"Content-Type": content_type})
    fault = judge(type, answer.status, answer.body)
    assert fault is not None
    assert fault.startswith("answered 404: ")
    assert "other" in fault


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, b""),
        (200, b"{}"),
        (200, b'{"choices": [], "data": [], "text": null}'),
        (500, b'{"error": {"message": "EngineCore encountered an issue"}}'),
        (502, b""),
        (503, b"no replica"),
        (401, b'{"error": "Unauthorized"}'),
        (404, b'{"error": {"message": "The model `tiny` does not exist."}}'),
        (0, b"timed out"),
    ],
)
def test_every_type_has_faults(type: str, status: int, body: bytes) -> None:
    assert judge(type, status, body)


@pytest.mark.parametrize(
    ("type", "body"),
    [
        ("chat", {"choices": [{"message": {"content": None, "reasoning_content": "S"}, "finish_reason": "length"}]}),
        ("vision", {"choices": [{"message": {"content": ""}}]}),
        ("embedding", {"data": [{"embedding": [0.5]}]}),
        ("stt", {"text": ""}),
        ("image", {"data": [{"b64_json": base64.b64encode(b"png").decode(), "url": None}]}),
    ],
)
def test_an_answer_with_little_in_it_is_enough(type: str, body: dict[str, Any]) -> None:
    assert judge(type, 200, json.dumps(body).encode()) is None


@pytest.mark.parametrize(
    ("type", "status", "message"),
    [
        ("chat", 400, "As of transformers v4.44, default chat template is no longer allowed"),
        ("embedding", 400, "The model does not support Embeddings API"),
        ("embedding", 501, "litellm.APIError: The model does not support Embeddings API"),
        ("embedding", 404, "Not Found"),
        ("embedding", 404, 'litellm.NotFoundError: Hosted_vllmException - {"detail":"Not Found"}'),
        ("tts", 400, "Base task requires 'ref_audio' for voice cloning"),
        ("image", 400, "this model edits images: expected an image"),
    ],
)
def test_a_model_for_another_request_works(type: str, status: int, message: str) -> None:
    assert judge(type, status, json.dumps({"error": {"message": message}}).encode()) is None


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (500, {"error": {"message": "EngineCore\n  died"}}, "answered 500: EngineCore died"),
        (400, {"detail": "bad request"}, "answered 400: bad request"),
        (400, {"object": "error", "message": "max_tokens"}, "answered 400: max_tokens"),
        (401, {"error": "Unauthorized"}, "answered 401: Unauthorized"),
        (422, [1], "answered 422: [1]"),
        (200, {"error": "x"}, 'expected a choice, got {"error": "x"}'),
    ],
)
def test_a_fault_has_the_message_of_the_error(status: int, body: object, fault: str) -> None:
    assert judge("chat", status, json.dumps(body).encode()) == fault


def test_a_fault_shows_no_control_characters_and_only_the_start() -> None:
    fault = judge("chat", 500, b"\x1b[31m" + b"a" * 1000)
    assert fault == "answered 500: [31m" + "a" * 196 + "…"
    assert judge("chat", 503, b"\xff") == "answered 503: \N{REPLACEMENT CHARACTER}"


def test_chat_generates_one_token() -> None:
    path, body, content_type = trial("chat", "qwen3-8b")
    assert (path, content_type) == ("/v1/chat/completions", "application/json")
    assert json.loads(body) == {"model": "qwen3-8b", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 1}


def test_the_sound_is_a_wav_file_of_silence() -> None:
    _path, body, content_type = trial("stt", "whisper")
    form = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts = {
        str(part.get_param("name", header="content-disposition")): part for part in form.walk() if part is not form
    }
    assert content(parts["model"]) == b"whisper"
    with wave.open(io.BytesIO(content(parts["file"]))) as sound:
        assert (sound.getnframes() / sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (0.2, 1, 2)
        assert not any(sound.readframes(sound.getnframes()))


def content(part: Message) -> bytes:
    decoded = part.get_payload(decode=True)
    assert isinstance(decoded, bytes)
    return decoded

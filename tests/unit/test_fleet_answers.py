"""fleet_answers.py: one form of errors for all routes, and nothing of the inside."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

FILE = Path(__file__).resolve().parents[2] / "roles/litellm/files/fleet_answers.py"


def load() -> Any:
    spec = spec_from_file_location("fleet_answers", FILE)
    assert spec and spec.loader
    module = module_from_spec(spec)
    sys.modules["fleet_answers"] = module  # for its dataclasses
    spec.loader.exec_module(module)
    return module


answers = load()
APP = answers.Asker("app", ("gpt-4o", "qwen3"), {"max_budget": 20.0, "budget_duration": "30d"})
CHAT = "/v1/chat/completions"
# Of LiteLLM 1.106.2, as it was seen in front of an engine.
OUTER = (
    "litellm.{0}: {0}: Hosted_vllmException - {1}\n\n"
    "LiteLLM: model group 'a' failed with the error above. No fallback was attempted."
)
DOWN = "no replica of the model a accepts requests; its last start took 95 s"


def error(message: str, **more: Any) -> bytes:
    return json.dumps({"error": {"message": message, "type": None, "param": None, "code": "400", **more}}).encode()


def wrapped(kind: str, inner: Any) -> bytes:
    return error(OUTER.format(kind, inner if isinstance(inner, str) else json.dumps(inner)))


@pytest.mark.parametrize(
    ("status", "body", "expected", "message"),
    [
        (503, wrapped("ServiceUnavailableError", {"error": {"message": DOWN, "code": "upstream_error"}}), 503, DOWN),
        (503, wrapped("ServiceUnavailableError", DOWN).replace(b"Hosted_vllm", b"OpenAI"), 503, DOWN),
        (502, wrapped("BadGatewayError", {"error": {"message": "Bad Gateway"}}), 502, "the engine of the model ended"),
        (500, wrapped("InternalServerError", "Cannot connect to host caddy:9080 ssl:x"), 503, "cannot be reached"),
        (401, error("Authentication Error, Invalid proxy server token passed. Received API Key = sk-...x, Key Hash = "
                    + "ab" * 32), 401, "unknown, expired or blocked key"),
        (422, b'{"detail": [{"type": "missing", "loc": ["body", "file"], "msg": "Field required"}]}', 400,
         "file: Field required"),
        (400, error("Invalid request format: litellm.APIConnectionError: APIConnectionError: Hosted_vllmException - "
                    "'str' object has no attribute 'get'"), 400, "the request has not the form"),
        (500, error("1 validation error for RerankRequest\nhttps://errors.pydantic.dev/2"), 400, answers.FORM),
        (500, error("'int' object is not iterable"), 400, answers.FORM),
        (500, error("Unmapped prompt format. File an issue - https://github.com/BerriAI/litellm"), 400, answers.FORM),
        (401, error("Authentication Error, Rejected Request: api_base is not allowed in request body. Enable with x"),
         400, "not accepted here: api_base"),
        (401, error("Authentication Error, 'functions' must be a list"), 400, "'functions' must be a list"),
        (400, error("Model 'a' only supports dimensions in range [1, 64], got 99"), 400, "Model 'a' only supports"),
        (400, error("x: Invalid model name passed in model=None. Call `/v1/models`"), 400, "model: missing"),
        (403, error("set general_settings::allow_unmanaged_response_ids"), 403, "the request has parts that are not"),
        (400, wrapped("BadRequestError", {"error": {"message": "maximum context length is 8 tokens"}}), 400,
         "maximum context length is 8 tokens"),
        (500, error('Traceback (most recent call last):\n File "/app/x.py", line 3'), 500, "an error inside"),
        (500, b"Internal Server Error", 500, "Internal Server Error"),
        (500, b"", 500, "error"),
        (413, b"[1, 2]", 413, "content too large"),
    ],
)  # fmt: skip
def test_an_error_keeps_its_own_words_alone(status: int, body: bytes, expected: int, message: str) -> None:
    told = answers.told(status, body, APP)
    assert told.status == expected
    assert told.message.startswith(message) or message in told.message
    assert (dict(told.headers).get(b"retry-after") == b"10") == (expected == 503)


@pytest.mark.parametrize(
    "body",
    [
        error("/chat/completions: Invalid model name passed in model=no such. Call `/v1/models` to view models"),
        error("{'error': '/audio/transcriptions: Invalid model name passed in model=no such. Call `/v1/models`'}"),
    ],
)
def test_an_unknown_model_is_404_with_the_names_that_the_key_may_use(body: bytes) -> None:
    told = answers.told(400, body, APP)
    assert (told.status, told.code) == (404, "model_not_found")
    assert (
        told.message == "the model 'no such' does not exist, or the key 'app' may not use it; it may use: gpt-4o, qwen3"
    )


def test_a_model_of_others_is_not_told_from_one_that_does_not_exist() -> None:
    denied = error("The requested model 'theirs' is not available for this API key", type="key_model_access_denied")
    missing = error("/chat/completions: Invalid model name passed in model=theirs. Call `/v1/models`")
    assert answers.told(403, denied, APP) == answers.told(400, missing, APP)
    assert answers.told(404, b"model 'theirs' ", APP, "theirs") == answers.told(400, missing, APP)


@pytest.mark.parametrize(
    ("type", "words"),
    [
        ("requests", "60 requests a minute (rpm_limit)"),
        ("tokens", "60 tokens a minute (tpm_limit)"),
        ("max_parallel_requests", "60 requests at a time (max_parallel_requests)"),
    ],
)
def test_a_limit_is_told_with_its_key_and_its_number(type: str, words: str) -> None:
    raw = (
        f"Rate limit exceeded for api_key: {'ab' * 32}. Limit type: {type}. Current limit: 60, Remaining: 0. Resets: x"
    )
    told = answers.told(429, error(raw), APP)
    assert (told.status, told.code) == (429, "rate_limit_exceeded")
    assert told.message == f"the key 'app' may have {words}; send less, or ask for a higher limit"


def test_a_budget_that_is_spent_is_no_limit_to_try_again() -> None:
    told = answers.told(
        422, error("Budget has been exceeded! Current cost: 21, Max budget: 20", type="budget_exceeded"), APP
    )
    assert (told.status, told.code) == (429, "insufficient_quota")
    assert told.message == "the key 'app' has spent its budget of 20 USD a 30d (max_budget)"
    assert dict(told.headers)[b"x-should-retry"] == b"false"


INSIDE = re.compile(r"caddy|vllm-|litellm\.|\d+\.\d+\.\d+\.\d+|[0-9a-f]{64}|site-packages|Traceback|0x[0-9a-f]")


@pytest.mark.parametrize(
    "inner",
    [
        "Cannot connect to http://caddy:9080/a/v1/chat [Connect call failed ('172.18.0.3', 9080)]",
        "vllm-qwen3-1 closed the connection to 10.0.0.7:8000",
        "no key " + "0123456789abcdef" * 4,
        "ssl:<ssl.SSLContext object at 0x7f00>",
        'File "/opt/venv/lib/python3.11/site-packages/litellm/main.py", line 1',
    ],
)
@pytest.mark.parametrize("status", [400, 500, 502])
def test_no_name_address_or_place_of_the_inside_is_told(inner: str, status: int) -> None:
    told = answers.told(status, wrapped("APIError", inner), APP)
    assert not INSIDE.search(told.message), told.message


@given(st.integers(400, 599), st.binary(max_size=300) | st.text(max_size=300).map(lambda text: error(text)))
def test_any_error_has_one_form(status: int, body: bytes) -> None:
    for path in (CHAT, "/v1/messages"):
        told = answers.told(status, body, APP)
        data = json.loads(told.body(path))
        assert {*data["error"]} == {"message", "type", "param", "code"}
        assert data["error"]["message"] and data["error"]["code"]
        assert (data.get("type") == "error") == (path != CHAT)


def test_an_error_within_a_stream_is_cleaned_and_the_rest_is_not_touched() -> None:
    whole = b'data: {"choices": [{"delta": {"content": "an \\"error\\": yes"}}]}\n\n'
    broken = b"data: " + wrapped("APIError", "lost http://caddy:9080/a/v1") + b"\n\n"
    assert answers.events(whole, CHAT) == whole
    cleaned = answers.events(whole + broken + b"data: [DONE]\n\n", CHAT)
    assert cleaned.startswith(whole)
    assert cleaned.endswith(b"\n\ndata: [DONE]\n\n")
    assert b"caddy" not in cleaned and b"lost the model" in cleaned


def test_a_list_of_models_has_the_aliases_of_those_that_it_has() -> None:
    body = json.dumps({"data": [{"id": "a", "mode": "chat"}, {"id": "known"}]}).encode()
    found = answers.with_aliases(body, {"gpt": "a", "other": "b", "known": "a"})
    assert [one["id"] for one in json.loads(found)["data"]] == ["a", "known", "gpt"]
    assert json.loads(answers.picked(found, "gpt")) == {"id": "gpt", "mode": "chat"}
    assert answers.picked(found, "other") is None


def test_a_key_may_use_its_models_under_their_aliases_too() -> None:
    aliases = {"gpt": "a", "other": "b"}
    assert answers.names_for((), ["a", "b"], aliases) == ("a", "b", "gpt", "other")
    assert answers.names_for(("a",), ["a", "b"], aliases) == ("a", "gpt")
    assert answers.names_for(("other",), ["a", "b"], aliases) == ("other",)


def test_a_transcription_is_given_as_a_text_or_as_openais_events() -> None:
    body = json.dumps({"text": "Guten Tag", "usage": {"type": "duration", "seconds": 2}}).encode()
    assert answers.as_text(body) == b"Guten Tag"
    events = [line.removeprefix("data: ") for line in answers.as_stream(body).decode().split("\n\n") if line]
    assert [json.loads(one)["type"] for one in events[:-1]] == ["transcript.text.delta", "transcript.text.done"]
    assert json.loads(events[1])["usage"]["seconds"] == 2
    assert events[-1] == "[DONE]"

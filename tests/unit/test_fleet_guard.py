"""fleet_guard.py, which LiteLLM loads: unknown keys cost nothing, and a key opens its own models alone."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, TypeVar

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway.caddy_files import gateway_password

FILE = Path(__file__).resolve().parents[2] / "roles/litellm/files/fleet_guard.py"
MASTER = "sk-master"
DISCONNECT = {"type": "http.disconnect"}
Result = TypeVar("Result")


class Refusal(Exception):
    def __init__(self, status_code: int, detail: object) -> None:
        super().__init__(detail)
        self.status_code = status_code


class Database:
    """LiteLLM's table of keys. rows: token -> row."""

    def __init__(self) -> None:
        self.rows: dict[str, SimpleNamespace] = {}
        self.queries: list[list[str]] = []
        self.fails = self.hangs = False
        self.litellm_verificationtoken = self

    def add(self, key: str, **changes: Any) -> None:
        row = {"token": token(key), "blocked": None, "expires": None, **changes}
        self.rows[row["token"]] = SimpleNamespace(**row)

    async def find_many(self, where: dict[str, dict[str, list[str]]]) -> list[SimpleNamespace]:
        self.queries.append(where["token"]["in"])
        if self.fails:
            raise ConnectionError
        if self.hangs:
            await asyncio.sleep(60)
        return [self.rows[one] for one in self.queries[-1] if one in self.rows]


class Application:
    """LiteLLM's own: says what came through. pause: of each request, in seconds."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.heard: list[Any] = []
        self.headers: list[list[tuple[bytes, bytes]]] = []
        self.pause = 0.0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.paths.append(scope["path"])
        self.headers.append(scope.get("headers", []))
        self.heard = [await receive() for _message in range(3)] if scope["type"] == "http" else []
        await asyncio.sleep(self.pause)
        if scope["path"] == "/v1/broken":
            raise ConnectionError


class Stream:
    """LiteLLM's class for the answer of a model. Reads `parts` of a megabyte, and says whether it was closed."""

    def __init__(self, content_type: str, parts: int) -> None:
        self._aiohttp_response = SimpleNamespace(content_type=content_type)
        self.parts = parts
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            for _part in range(self.parts):
                yield bytes(1_000_000)
        finally:
            self.closed = True


async def plain_fallbacks(_router: Any, e: Exception, _disabled: Any, fallbacks: Any, *_rest: Any) -> Any:
    """LiteLLM's own: another model, or the error."""
    if not fallbacks:
        raise e
    return fallbacks


def token(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """What the file imports from LiteLLM. allowed: the models of the request's key."""
    application = Application()
    found = SimpleNamespace(
        application=application,
        logging=type("Logging", (), {}),
        router=type("Router", (), {"async_function_with_fallbacks_common_utils": plain_fallbacks}),
        whisper=type("OpenAIWhisperAudioTranscriptionConfig", (), {"transform_audio_transcription_request": None}),
        app=SimpleNamespace(middleware_stack=application),
        database=Database(),
        llm_model_list=[],
        llm_router=None,
        master_key=MASTER,
        allowed={"own"},
        stream=type("AiohttpResponseStream", (Stream,), {"__aiter__": Stream.__aiter__}),
    )
    found.prisma_client = SimpleNamespace(db=found.database)

    async def can_key_call_resolved_model(model: str, **_options: object) -> None:
        if model not in found.allowed:
            raise Refusal(403, model)

    for name, content in {
        "fastapi": {"HTTPException": Refusal},
        "httpx": {"ReadError": ConnectionResetError},
        "openai": {},
        "litellm": {},
        "litellm.integrations": {},
        "litellm.integrations.custom_logger": {"CustomLogger": object},
        "litellm.litellm_core_utils": {},
        "litellm.litellm_core_utils.litellm_logging": {"Logging": found.logging},
        "litellm.llms": {},
        "litellm.llms.base_llm": {},
        "litellm.llms.base_llm.audio_transcription": {},
        "litellm.llms.base_llm.audio_transcription.transformation": {"AudioTranscriptionRequestData": SimpleNamespace},
        "litellm.llms.openai": {},
        "litellm.llms.openai.transcriptions": {},
        "litellm.llms.openai.transcriptions.whisper_transformation": {
            "OpenAIWhisperAudioTranscriptionConfig": found.whisper
        },
        "litellm.router": {"Router": found.router},
        "litellm.llms.custom_httpx": {},
        "litellm.llms.custom_httpx.aiohttp_transport": {"AiohttpResponseStream": found.stream},
        "litellm.proxy": {"proxy_server": found},
        "litellm.proxy.auth": {},
        "litellm.proxy.auth.auth_checks": {"can_key_call_resolved_model": can_key_call_resolved_model},
    }.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(logging, "setLogRecordFactory", lambda _factory: None)
    return found


@pytest.fixture
def guard(litellm: SimpleNamespace) -> Any:
    spec = spec_from_file_location("fleet_guard", FILE)
    assert spec and spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    module.PAUSE_SECONDS = 0.01  # type: ignore[attr-defined]
    return module


async def ask(
    litellm: SimpleNamespace,
    *authorization: str,
    path: str = "/v1/models",
    kind: str = "http",
    body: Sequence[bytes] = (b"",),
    content_type: str = "application/json",
    length: int = 0,
    gateway: str = "",
) -> int:
    """The status that the gate answers with, or 0 if LiteLLM's application gets the request.

    gateway: Caddy's password."""
    headers = [(b"authorization", one.encode("latin-1")) for one in authorization]
    headers += [(b"fleet-gateway", gateway.encode())] if gateway else []
    headers += [(b"content-type", content_type.encode()), (b"content-length", str(length).encode())]
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    messages[-1]["more_body"] = False
    left = iter([*messages, DISCONNECT, DISCONNECT])
    litellm.reads = 0
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        litellm.reads += 1
        return next(left)

    scope = {"type": kind, "method": "POST", "path": path, "headers": headers}
    await litellm.app.middleware_stack(scope, receive, send)
    return int(sent[0]["status"]) if sent else 0


def run(*asked: Awaitable[Result]) -> list[Result]:
    async def all_of() -> list[Result]:
        return list(await asyncio.gather(*asked))

    return asyncio.run(all_of())


# What LiteLLM alone would do


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([b"[]"], 400),
        ([b" ", b"\n[", b"]"], 400),
        ([b"null"], 400),
        ([b'"x"'], 400),
        ([b"5"], 400),
        ([b' {"model": "a"}'], 0),
        ([b""], 0),
        ([b"model=a"], 0),
    ],
)
def test_a_body_that_is_no_object_is_refused(
    guard: Any, litellm: SimpleNamespace, body: list[bytes], status: int
) -> None:
    assert run(ask(litellm, f"Bearer {MASTER}", path="/v1/chat/completions", body=body)) == [status]


@pytest.mark.parametrize(("kind", "other"), [("ServiceUnavailableError", ["b"]), ("MidStreamFallbackError", None)])
def test_another_model_answers_only_where_no_replica_accepted_the_request(
    guard: Any, litellm: SimpleNamespace, kind: str, other: list[str] | None
) -> None:
    base = type("ServiceUnavailableError", (Exception,), {})
    error = base() if kind == base.__name__ else type(kind, (base,), {})()
    search = litellm.router().async_function_with_fallbacks_common_utils
    if other:
        assert asyncio.run(search(error, False, ["b"], None, None, "a", (), {})) == other
    else:
        with pytest.raises(base):
            asyncio.run(search(error, False, ["b"], None, None, "a", (), {}))


@pytest.mark.parametrize(
    ("given", "form", "format"),
    [
        ({}, None, None),
        ({"response_format": "verbose_json"}, None, "verbose_json"),
        ({"response_format": "text"}, "text", "json"),
        ({"stream": "true", "response_format": "verbose_json"}, "stream", "json"),
        ({"stream": "false"}, None, None),
    ],
)
def test_an_engine_is_asked_for_the_transcription_that_it_has(
    guard: Any, litellm: SimpleNamespace, given: dict[str, Any], form: str | None, format: str | None
) -> None:
    async def hook() -> dict[str, str]:
        guard.ASKED.set({})
        await guard.guard.async_pre_call_hook(None, None, data, "transcription")
        return dict(guard.ASKED.get())

    data = dict(given)
    assert asyncio.run(hook()).get("form") == form
    assert data.get("response_format") == format
    assert "stream" not in data
    asked = litellm.whisper().transform_audio_transcription_request("a", "sound", data, {}).data
    assert asked == {"model": "a", "file": "sound", "response_format": format or "json"}


# Caddy's password


@pytest.fixture
def salt(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("LITELLM_SALT_KEY", "sk-salt")
    return "sk-salt"


@pytest.mark.parametrize("key", ["sk-master-of-before", "sk-unknown"])
def test_caddy_s_password_stands_for_the_master_key_of_this_litellm(
    guard: Any, litellm: SimpleNamespace, salt: str, key: str
) -> None:
    assert run(ask(litellm, f"Bearer {key}", gateway=gateway_password(salt))) == [0]
    assert run(ask(litellm, gateway=gateway_password(salt))) == [0]
    for headers in litellm.application.headers:
        assert [value for name, value in headers if name == b"authorization"] == [f"Bearer {MASTER}".encode()]
        assert b"fleet-gateway" not in dict(headers)


@pytest.mark.parametrize("password", ["wrong", gateway_password("sk-other"), gateway_password("")])
def test_another_password_opens_nothing(guard: Any, litellm: SimpleNamespace, salt: str, password: str) -> None:
    assert run(ask(litellm, "Bearer sk-unknown", gateway=password)) == [401]


def test_without_a_salt_key_no_password_counts(
    guard: Any, litellm: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITELLM_SALT_KEY", raising=False)
    assert run(ask(litellm, "Bearer sk-unknown", gateway=gateway_password(""))) == [401]


def test_a_wrong_password_is_not_passed_on(guard: Any, litellm: SimpleNamespace, salt: str) -> None:
    assert run(ask(litellm, f"Bearer {MASTER}", gateway="wrong")) == [0]
    assert b"fleet-gateway" not in dict(litellm.application.headers[0])


# Keys


def test_passes_on_the_master_key_and_known_keys(guard: Any, litellm: SimpleNamespace) -> None:
    litellm.database.add("sk-known")
    assert run(ask(litellm, "Bearer sk-known"), ask(litellm, f"Bearer {MASTER}")) == [0, 0]
    assert litellm.database.queries == [[token("sk-known")]]


@pytest.mark.parametrize("authorization", ["Bearer sk-unknown", "Bearer unknown", "Bearer \xff", "Bearer sk-master "])
def test_refuses_an_unknown_key_without_reading_the_body(
    guard: Any, litellm: SimpleNamespace, authorization: str
) -> None:
    assert run(ask(litellm, authorization)) == [401]
    assert litellm.reads == 0


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"blocked": True}, 401),
        ({"blocked": False}, 0),
        ({"expires": datetime.now(UTC) - timedelta(seconds=1)}, 401),
        ({"expires": datetime.now(UTC) + timedelta(hours=1)}, 0),
        ({"expires": datetime.now(UTC).replace(tzinfo=None) - timedelta(seconds=1)}, 401),
    ],
)
def test_a_key_that_no_longer_counts_is_unknown(
    guard: Any, litellm: SimpleNamespace, changes: dict[str, Any], status: int
) -> None:
    litellm.database.add("sk-known", **changes)
    assert run(ask(litellm, "Bearer sk-known")) == [status]


def test_a_known_key_is_looked_up_once_a_minute(
    guard: Any, litellm: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    litellm.database.add("sk-known")

    async def twice() -> list[int]:
        return [await ask(litellm, "Bearer sk-known"), await ask(litellm, "Bearer sk-known")]

    assert run(twice()) == [[0, 0]]
    assert len(litellm.database.queries) == 1
    del litellm.database.rows[token("sk-known")]
    monkeypatch.setattr(guard, "monotonic", lambda: time.monotonic() + 61)
    assert run(ask(litellm, "Bearer sk-known")) == [401]


def test_any_number_of_unknown_keys_is_a_few_queries(guard: Any, litellm: SimpleNamespace) -> None:
    asked = [ask(litellm, f"Bearer sk-{number}") for number in range(1200)]
    assert run(*asked, ask(litellm, "Bearer sk-1")) == [401] * 1201
    assert [len(query) for query in litellm.database.queries] == [500, 500, 200]


def test_a_key_that_was_known_is_looked_up_before_unknown_keys(
    guard: Any, litellm: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    litellm.database.add("sk-known")
    run(ask(litellm, "Bearer sk-known"))
    monkeypatch.setattr(guard, "monotonic", lambda: time.monotonic() + 61)
    run(*(ask(litellm, f"Bearer sk-{number}") for number in range(600)), ask(litellm, "Bearer sk-known"))
    assert token("sk-known") in litellm.database.queries[1]


def test_a_key_that_is_created_later_is_found(guard: Any, litellm: SimpleNamespace) -> None:
    async def before_and_after() -> list[int]:
        before = await ask(litellm, "Bearer sk-new")
        litellm.database.add("sk-new")
        return [before, await ask(litellm, "Bearer sk-new")]

    assert run(before_and_after()) == [[401, 0]]


def test_without_the_database_litellm_answers(guard: Any, litellm: SimpleNamespace) -> None:
    litellm.database.fails = True
    assert run(ask(litellm, "Bearer sk-any")) == [0]
    litellm.database.fails, litellm.database.hangs, guard.QUERY_SECONDS = False, True, 0.01
    assert run(ask(litellm, "Bearer sk-any")) == [0]
    litellm.database.hangs = False
    assert run(ask(litellm, "Bearer sk-any")) == [401], "what was not looked up is not remembered"


@pytest.mark.parametrize(
    ("authorization", "status"),
    [(f"Bearer {MASTER}", 200), ("Bearer sk-wrong", 401), ("", 401), (f"bearer {MASTER}", 401)],
)
def test_says_whether_it_knows_a_key(guard: Any, litellm: SimpleNamespace, authorization: str, status: int) -> None:
    assert run(ask(litellm, *([authorization] if authorization else []), path="/fleet/key")) == [status]
    assert run(ask(litellm, f"Bearer {MASTER}", f"Bearer {MASTER}", path="/fleet/key")) == [401]


@pytest.mark.parametrize(
    ("authorization", "path", "status"),
    [
        ((), "/v1/models", 0),  # LiteLLM refuses it
        (("Basic x",), "/v1/models", 0),
        (("Bearer other-kind",), "/mcp", 0),
        (("Bearer sk-wrong",), "/mcp", 401),
        (("Bearer sk-wrong",), "/chat/completions", 401),
    ],
)
def test_leaves_what_is_no_key_to_litellm(
    guard: Any, litellm: SimpleNamespace, authorization: tuple[str, ...], path: str, status: int
) -> None:
    assert run(ask(litellm, *authorization, path=path)) == [status]
    assert litellm.app.middleware_stack._app.paths == [path] * (status == 0)


def test_leaves_everything_but_requests_to_litellm(guard: Any, litellm: SimpleNamespace) -> None:
    assert run(ask(litellm, "Bearer sk-wrong", kind="lifespan")) == [0]


def test_loaded_twice_it_stands_before_litellm_once(guard: Any, litellm: SimpleNamespace) -> None:
    stack, limited = litellm.app.middleware_stack, litellm.stream.__aiter__
    guard.__spec__.loader.exec_module(guard)
    assert litellm.app.middleware_stack is stack
    assert litellm.stream.__aiter__ is limited
    assert isinstance(stack._app, Application)


# Bodies


@pytest.mark.parametrize("body", [[b""], [b'{"model": "own"}'], [b"{", b"", b"}"]])
def test_litellm_gets_a_body_as_it_was_sent(guard: Any, litellm: SimpleNamespace, body: list[bytes]) -> None:
    assert run(ask(litellm, f"Bearer {MASTER}", body=body)) == [0]
    heard = litellm.app.middleware_stack._app.heard
    assert [one["body"] for one in heard if one is not DISCONNECT] == body[:3]
    assert heard[-1] is DISCONNECT or len(body) == 3


@pytest.mark.parametrize(("sign", "most"), [(b"[", 100_000), (b"{", 100_000), (b"&", 100_000), (b",", 1_000_000)])
@pytest.mark.parametrize("parts", [1, 2])
def test_refuses_a_body_of_very_many_parts(
    guard: Any, litellm: SimpleNamespace, sign: bytes, most: int, parts: int
) -> None:
    part = b"x" + sign * (most // parts)
    assert run(ask(litellm, f"Bearer {MASTER}", body=[part] * parts)) == [0]
    for rest in ([], [b"discarded", b"and this"]):
        assert run(ask(litellm, f"Bearer {MASTER}", body=[part] * parts + [sign, *rest])) == [400]
        assert litellm.reads == parts + 1 + len(rest), "all of the body, and nothing after it"


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("multipart/form-data; boundary=x", 0),
        ("Multipart/Form-Data ;boundary=x", 0),
        ("multipart/form-datax", 400),
        ("application/x-www-form-urlencoded", 400),
        ("application/json; x=multipart/form-data", 400),
    ],
)
def test_files_are_left_to_litellm(guard: Any, litellm: SimpleNamespace, content_type: str, status: int) -> None:
    assert run(ask(litellm, f"Bearer {MASTER}", body=[b"[" * 200_000], content_type=content_type)) == [status]


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data"])
def test_the_bodies_of_a_key_are_limited_together(guard: Any, litellm: SimpleNamespace, content_type: str) -> None:
    for key in ("sk-one", "sk-other"):
        litellm.database.add(key)
    litellm.app.middleware_stack._app.pause = 0.1
    large = {"content_type": content_type, "length": 100_000_000}
    asked = [ask(litellm, "Bearer sk-one", **large) for _request in range(3)]
    assert run(*asked, ask(litellm, "Bearer sk-other", **large), ask(litellm, "Bearer sk-one")) == [0, 0, 429, 0, 0]
    assert run(ask(litellm, "Bearer sk-one", **large)) == [0]
    assert run(ask(litellm, "Bearer sk-one", **{**large, "length": 300_000_000}, body=[b"one", b"two"])) == [429]
    assert litellm.reads == 2, "a body that is not read resets the connection, and the answer is lost"


def test_a_request_that_fails_holds_nothing(guard: Any, litellm: SimpleNamespace) -> None:
    for _request in range(3):
        with pytest.raises(ConnectionError):
            run(ask(litellm, f"Bearer {MASTER}", path="/v1/broken", length=200_000_000))
    assert not litellm.app.middleware_stack._held


# Answers


@pytest.mark.parametrize(
    ("content_type", "most"), [("application/json", 256), ("text/event-stream", 64), ("audio/wav", 256)]
)
def test_an_answer_without_an_end_is_cut_off(
    guard: Any, litellm: SimpleNamespace, content_type: str, most: int
) -> None:
    async def read(parts: int) -> int:
        stream = litellm.stream(content_type, parts)
        try:
            return len([part async for part in stream])
        except ConnectionResetError as error:
            assert str(error) == f"the model's answer has more than {most} MB"
            return -1
        finally:
            assert stream.closed

    assert run(read(most), read(most + 1), read(10_000)) == [most, -1, -1]


# Models


def hook(guard: Any, data: dict[str, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = asyncio.run(guard.guard.async_pre_call_hook(object(), None, data, "acompletion"))
    return answer


@pytest.mark.parametrize("data", [{"model": "own"}, {"model": None}, {}, {"model": "own", "temperature": 1}])
def test_passes_on_requests_for_models_of_the_key(guard: Any, data: dict[str, Any]) -> None:
    assert hook(guard, data) is data


@pytest.mark.parametrize(
    ("data", "status"),
    [
        ({"model": "closed"}, 403),
        ({"model": "own", "user_config": {}}, 400),
        ({"model": "own", "specific_deployment": True}, 400),
    ],
)
def test_refuses_requests_beyond_the_key(guard: Any, data: dict[str, Any], status: int) -> None:
    with pytest.raises(Refusal) as refused:
        hook(guard, data)
    assert refused.value.status_code == status


def test_no_log_line_is_a_clients(guard: Any) -> None:
    text = "pair\r\nFORGED \x1b[2J\x9b31m\u2028\x00\tx"
    try:
        raise ValueError(text)
    except ValueError:
        record = guard.Record("LiteLLM", 40, "x.py", 1, "no model %s", (text,), sys.exc_info())
    lines = logging.Formatter("%(message)s").format(record).split("\n")
    assert lines[:2] == ["no model pair\\r", "    FORGED \\x1b[2J\\x9b31m\\u2028\\x00\tx"]
    assert lines[2] == "Traceback (most recent call last):"
    assert all(line.startswith("    ") for line in lines[3:])
    assert "\x1b" not in "".join(lines)
    assert guard.Record("LiteLLM", 20, "x.py", 1, "plain", (), None).getMessage() == "plain"

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loaded by LiteLLM in its container: refuses requests before they cost anything, or reach what no key gives access to.

Gate refuses unknown keys before a body is read. LiteLLM alone reads and parses the body first, and then takes 20 ms
of its only event loop for each unknown key.

Gate gives requests that Caddy sends for a master key, current or previous, the master key of this LiteLLM. So Caddy
need not know it, and two LiteLLMs with different master keys can run side by side.

Gate also refuses bodies of very many small parts, for which LiteLLM takes a hundred times their size in memory, and
seconds of its event loop: 8 MB of `{},{},...` took 4 s and over 1 GB, also for requests that it then refuses. And it
refuses bodies that are too much together, since LiteLLM holds each until the model has answered.

Guard refuses requests of a valid key for another model. LiteLLM checks the key for the model of the body, but uses the
model of the query or the path (`?model=`, `/engines/X/`). With other parameters, LiteLLM calls other providers on the
internet, bypasses its own choice of a deployment, or sends a request that may have ended an engine to the next engine.

An answer of a model that does not end is cut off, since LiteLLM keeps all of it.

Answer tells clients in the words of fleet_answers.py what is wrong, and what their key may do. Another model answers
for one (`fallbacks`) only where none of its replicas has accepted the request: LiteLLM alone would do so after any
failure, and so end one engine after the other with a request that ends engines.

Record keeps what clients send, such as names of models, from writing lines of the log or controlling a terminal.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import os
import re
import sys
import traceback
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, MutableMapping
from contextlib import aclosing
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import openai
from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.llms.base_llm.audio_transcription.transformation import AudioTranscriptionRequestData
from litellm.llms.custom_httpx.aiohttp_transport import AiohttpResponseStream
from litellm.llms.openai.transcriptions.whisper_transformation import OpenAIWhisperAudioTranscriptionConfig
from litellm.proxy import proxy_server
from litellm.proxy.auth.auth_checks import can_key_call_resolved_model
from litellm.router import Router

sys.path.append(str(Path(__file__).parent))  # LiteLLM loads this file by its path

import fleet_answers

REFUSED = frozenset(
    {
        "content_policy_fallbacks",
        "context_window_fallbacks",
        "custom_llm_provider",
        "default_fallbacks",
        "deployment_id",
        "fallbacks",
        "max_retries",
        "model_list",
        "num_retries",
        "router_settings_override",
        "specific_deployment",
        "user_config",
    }
)
# PostgreSQL cannot index longer ones, and LiteLLM then repeats the statistics of all clients again and again.
LONGEST_LABEL = 256
MOST_METADATA = 16_000  # characters of JSON, which become a part of the row of each request
KEY_CHECK = "/fleet/key"  # Caddy asks here whether the key of a large request is known
GATEWAY = b"fleet-gateway"  # the header in which Caddy sends its password; Caddy drops it from what clients send
KNOWN_SECONDS = 60  # LiteLLM itself remembers a key as long
PAUSE_SECONDS = 0.2  # between two queries: however many keys are tried, the database sees five queries a second
QUERIED = 500  # keys a query
QUERY_SECONDS = 5
# The most of a body, texts in it included: the text of a million tokens and the tokens of a large batch are below.
MOST = {b"[": 100_000, b"{": 100_000, b"&": 100_000, b",": 1_000_000}

# Bytes of the bodies that LiteLLM holds for one key at a time, so also for an open model.
MOST_HELD = 256_000_000
UNMEASURED = 32_000_000  # for a body of unknown length; Caddy gives those of up to 4 MiB their length
# Bytes of an answer: 100 texts as vectors of 100,000 numbers. LiteLLM keeps 4 KB for each of a stream's events, most of
# which have some 200 bytes: a stream of 64 MB has 300,000 tokens.
MOST_ANSWERED, MOST_STREAMED = 256_000_000, 64_000_000

MODELS = "/v1/models"
KEPT_HEADERS = (b"retry-after", b"x-request-id", b"x-ratelimit-reset-requests", b"x-ratelimit-reset-tokens")
OWN_ALIASES = "fleet-"  # of keys that no client has
# What the request that is being answered wants, and LiteLLM cannot give: `form`, of a transcription.
ASKED: ContextVar[dict[str, str]] = ContextVar("asked")

CONTROL = re.compile("[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\u2028\\u2029]")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Who = Callable[[str], Awaitable[fleet_answers.Asker]]


class Guard(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        if call_type == "transcription":
            _note_form(data)
        found = sorted(REFUSED & data.keys())
        if found:
            raise HTTPException(status_code=400, detail={"error": f"not accepted here: {', '.join(found)}"})
        if any(len(str(one)) > LONGEST_LABEL for one in _labels(data, user_api_key_dict)):
            message = f"expected at most {LONGEST_LABEL} characters in user, in each tag, and in the IDs of a session"
            raise HTTPException(status_code=400, detail={"error": message})
        if any(len(json.dumps(one, default=str)) > MOST_METADATA for one in _metadata(data, "requester_metadata")):
            message = f"expected at most {MOST_METADATA} characters of metadata"
            raise HTTPException(status_code=400, detail={"error": message})
        if isinstance(data.get("model"), str):
            await can_key_call_resolved_model(
                model=data["model"],
                llm_model_list=proxy_server.llm_model_list,
                valid_token=user_api_key_dict,
                llm_router=proxy_server.llm_router,
            )
        return data


def _token(key: str) -> str:
    """What the database has of a key."""
    return hashlib.sha256(key.encode()).hexdigest()


class Keys:
    """The keys that LiteLLM has. A key waits for the next query if it is unknown, or has been known for a while."""

    def __init__(self, query: Callable[[list[str]], Awaitable[Iterable[str]]]) -> None:
        """query: tokens (SHA-256 of keys, in hex) -> those that LiteLLM has."""
        self._query = query
        self._until: dict[str, float] = {}
        self._waiting: dict[str, asyncio.Future[bool]] = {}
        self._querying: asyncio.Task[None] | None = None

    async def has(self, key: str) -> bool:
        if not key.startswith("sk-"):
            return False
        token = _token(key)
        if self._until.get(token, 0) > monotonic():
            return True
        answer = self._waiting.setdefault(token, asyncio.get_running_loop().create_future())
        if self._querying is None or self._querying.done():
            self._querying = asyncio.create_task(self._answer_all())
        return await asyncio.shield(answer)

    async def _answer_all(self) -> None:
        while self._waiting:
            # Keys that were known come first: no number of unknown keys delays the clients of a known one.
            tokens = sorted(self._waiting, key=lambda token: token not in self._until)[:QUERIED]
            answers = {token: self._waiting.pop(token) for token in tokens}
            try:
                found = set(await asyncio.wait_for(self._query(tokens), QUERY_SECONDS))
                for token in tokens:
                    self._until.pop(token, None)
                self._until.update(dict.fromkeys(found, monotonic() + KNOWN_SECONDS))
            except Exception:  # the database does not answer: LiteLLM decides, and says so to the client
                found = set(tokens)
            for token, answer in answers.items():
                answer.set_result(token in found)
            await asyncio.sleep(PAUSE_SECONDS)


class Gate:
    """Before LiteLLM's application (ASGI): answers 401 to a request with an unknown key, without reading its body."""

    def __init__(self, app: App, keys: Keys, who: Who) -> None:
        self._app = app
        self._keys = keys
        self._who = who
        self._held = Counter[str]()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        _admit_gateway(scope)
        key = _bearer(scope)
        asked = scope["path"] == KEY_CHECK
        # Other paths, which only fleet_litellm_admin opens, have other kinds of bearer tokens too.
        judged = asked or (key and (scope["path"].startswith("/v1/") or key.startswith("sk-")))
        if judged and not (_is_master(key) or await self._keys.has(key)):
            return await _respond(send, 401, "unknown, expired or blocked key", "invalid_api_key")
        if asked:
            return await _respond(send, 200)
        size = _length(scope)
        if size + self._held[key] > MOST_HELD:
            await _discard(receive)
            message = f"the requests of this key have more than {MOST_HELD // 1_000_000} MB at a time"
            return await _respond(send, 429, message, "rate_limit_exceeded", [(b"retry-after", b"1")])
        self._held[key] += size
        if scope["path"].startswith("/v1/"):
            send = Answer(scope, send, lambda: self._who(key))
        try:
            await self._pass_on(scope, receive, send)
        finally:
            self._held[key] -= size
            self._held += Counter()  # without keys that have no request

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        if _has_files(scope):
            return await self._app(scope, receive, send)
        parts = await _read(receive)
        if parts is None:
            return await _respond(
                send, 400, "the body has too many objects, lists, fields or commas", "invalid_request"
            )
        if scope["path"].startswith("/v1/") and scope["method"] == "POST" and not _is_object(parts):
            return await _respond(send, 400, "expected a JSON object as the body", "bad_request")

        async def read() -> MutableMapping[str, Any]:
            return parts.popleft() if parts else await receive()

        return await self._app(scope, read, send)


class Answer:
    """Passes an answer on: an error in our words, a list of models with aliases, a transcription in the form asked
    for."""

    def __init__(self, scope: Scope, send: Send, who: Callable[[], Awaitable[fleet_answers.Asker]]) -> None:
        self._path, self._send, self._who = scope["path"], send, who
        self._wanted = ""
        if self._path.startswith(f"{MODELS}/"):
            self._wanted = self._path.removeprefix(f"{MODELS}/")
            scope["path"] = MODELS  # LiteLLM finds no aliases by their name
            scope["raw_path"] = MODELS.encode()
        # What is changed here must not be compressed, which would take time of LiteLLM's only event loop too.
        scope["headers"] = [one for one in scope["headers"] if one[0] != b"accept-encoding"]
        self._asked: dict[str, str] = {}
        ASKED.set(self._asked)
        self._start: MutableMapping[str, Any] | None = None
        self._streams = False
        self._body = b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            kept = message["status"] >= 400 or self._path.startswith(MODELS) or self._asked
            if kept:
                self._start = message
                return
            self._streams = _header(message, b"content-type").startswith(b"text/event-stream")
        elif self._start is not None:
            self._body += message.get("body", b"")
            if not message.get("more_body"):
                await self._whole(self._start)
            return
        elif self._streams and b'"error"' in message.get("body", b""):
            message = {**message, "body": fleet_answers.events(message["body"], self._path)}
        await self._send(message)

    async def _whole(self, start: MutableMapping[str, Any]) -> None:
        status, body, content_type = start["status"], self._body, b"application/json"
        headers = [one for one in start["headers"] if one[0].lower() not in (b"content-length", b"content-type")]
        found: bytes | None = body
        if status < 400 and self._asked:
            stream = self._asked["form"] == "stream"
            content_type = b"text/event-stream; charset=utf-8" if stream else b"text/plain; charset=utf-8"
            found = (fleet_answers.as_stream if stream else fleet_answers.as_text)(body)
        elif status < 400:
            found = fleet_answers.with_aliases(body, _aliases())
            found = fleet_answers.picked(found, self._wanted) if self._wanted else found
        if status >= 400 or found is None:
            asker = await self._who()
            missing = f"model '{self._wanted}' ".encode()
            told = fleet_answers.told(*((404, missing) if found is None else (status, body)), asker, self._wanted)
            status, found = told.status, told.body(self._path)
            headers = [*(one for one in headers if one[0].lower() in KEPT_HEADERS), *told.headers]
            if status >= 500:
                words = (status, self._path, asker.alias or "of no client", told.message)
                proxy_server.verbose_proxy_logger.error("answered %s on %s to the key %s: %s", *words)
        headers += [(b"content-type", content_type), (b"content-length", str(len(found)).encode())]
        await self._send({**start, "status": status, "headers": headers})
        await self._send({"type": "http.response.body", "body": found})


def _header(message: MutableMapping[str, Any], name: bytes) -> bytes:
    return next((value for key, value in message["headers"] if key.lower() == name), b"")


def _note_form(data: MutableMapping[str, Any]) -> None:
    """A stream and a text are made of the JSON that LiteLLM asks for (fleet_answers.py)."""
    asked = ASKED.get({})
    if str(data.pop("stream", "")).lower() == "true":
        asked["form"] = "stream"
    elif data.get("response_format") == "text":
        asked["form"] = "text"
    if asked:
        data["response_format"] = "json"


def _as_asked(
    self: Any, model: str, audio_file: Any, optional_params: dict[str, Any], litellm_params: dict[str, Any]
) -> AudioTranscriptionRequestData:
    """LiteLLM asks for verbose_json where the client says nothing, which vLLM has for Whisper alone."""
    data = {"response_format": "json", **optional_params, "model": model, "file": audio_file}
    return AudioTranscriptionRequestData(data=data)


def _only_without_a_replica(plain: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """plain: LiteLLM's search for a model that answers instead."""

    async def instead(self: Any, e: Exception, disable_fallbacks: Any, fallbacks: Any, *rest: Any, **named: Any) -> Any:
        # A stream that broke off has an exception of a derived class.
        down = type(e).__name__ == "ServiceUnavailableError"
        return await plain(self, e, disable_fallbacks, fallbacks if down else None, *rest, **named)

    return instead


def _aliases() -> dict[str, str]:
    return {
        alias: str(target)
        for alias, target in (getattr(proxy_server.llm_router, "model_group_alias", None) or {}).items()
    }


async def _asker(key: str) -> fleet_answers.Asker:
    """Who has the key. Of the master key, and of a key that cannot be looked up, there is nothing to say."""
    names = [str(one.get("model_name")) for one in proxy_server.llm_model_list or []]
    found: list[Any] = []
    if key and not _is_master(key):
        token = _token(key)
        table = proxy_server.prisma_client.db.litellm_verificationtoken
        try:
            found = await asyncio.wait_for(table.find_many(where={"token": {"in": [token]}}), QUERY_SECONDS)
        except Exception:  # the answer is about something else
            found = []
    row = found[0] if found else None
    alias = str(getattr(row, "key_alias", None) or "")
    settings = {name: getattr(row, name, None) for name in ("max_budget", "budget_duration")}
    models = fleet_answers.names_for(getattr(row, "models", None) or (), names, _aliases())
    return fleet_answers.Asker("" if alias.startswith(OWN_ALIASES) else alias, models, settings)


def _labels(data: MutableMapping[str, Any], key: Any) -> Iterable[Any]:
    """What LiteLLM's statistics are kept by, and its rows are searched by."""
    yield from (data.get("user"), getattr(key, "end_user_id", None))
    yield from (data.get(name) for name in ("litellm_session_id", "litellm_trace_id"))
    yield from (one for name in ("session_id", "trace_id") for one in _metadata(data, name))
    for tags in (data.get("tags"), *_metadata(data, "tags")):
        yield from tags if isinstance(tags, list) else [tags]


def _metadata(data: MutableMapping[str, Any], name: str) -> Iterable[Any]:
    """The value in the metadata of a request, which LiteLLM keeps under two names."""
    for one in (data.get("metadata"), data.get("litellm_metadata")):
        if isinstance(one, dict) and name in one:
            yield one[name]


class Record(logging.LogRecord):
    """Further lines of a record are indented, so that only LiteLLM begins a line."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        if self.exc_info and self.exc_info[0]:
            self.exc_text = _shown("".join(traceback.format_exception(*self.exc_info)).rstrip())

    def getMessage(self) -> str:
        return _shown(super().getMessage())


def _shown(text: str) -> str:
    return CONTROL.sub(lambda found: ascii(found[0])[1:-1], text).replace("\n", "\n    ")


def _admit_gateway(scope: Scope) -> None:
    """Replaces the password of Caddy by the master key; any other is dropped."""
    given = [value for name, value in scope["headers"] if name == GATEWAY]
    if not given:
        return
    salt = os.environ.get("LITELLM_SALT_KEY", "")
    password = hmac.new(salt.encode(), b"Caddy", "sha256").hexdigest().encode()
    right = bool(salt) and hmac.compare_digest(given[0], password)
    dropped = (GATEWAY, b"authorization") if right else (GATEWAY,)
    master = [(b"authorization", f"Bearer {proxy_server.master_key}".encode())] if right else []
    scope["headers"] = [*(one for one in scope["headers"] if one[0] not in dropped), *master]


def _bearer(scope: Scope) -> str:
    """The key of the request, or an empty text."""
    values = [value for name, value in scope["headers"] if name == b"authorization"]
    scheme, _blank, key = values[0].decode("latin-1").partition(" ") if len(values) == 1 else ("", "", "")
    return key if scheme == "Bearer" else ""


def _length(scope: Scope) -> int:
    """Of the body. One of unknown length counts as the largest of them."""
    unknown = any(name == b"transfer-encoding" for name, _value in scope["headers"])
    return UNMEASURED if unknown else sum(int(value) for name, value in scope["headers"] if name == b"content-length")


def _has_files(scope: Scope) -> bool:
    """Whether Starlette reads a form with files, and limits the number of its parts."""
    types = [value.split(b";")[0].strip().lower() for name, value in scope["headers"] if name == b"content-type"]
    return types == [b"multipart/form-data"]


async def _read(receive: Receive) -> deque[MutableMapping[str, Any]] | None:
    """The messages with the body, or None if it has more of a sign than it may."""
    parts: deque[MutableMapping[str, Any]] = deque()
    found = Counter[bytes]()
    more = True
    while more:
        parts.append(await receive())
        more = parts[-1].get("more_body", False)
        found.update({sign: parts[-1].get("body", b"").count(sign) for sign in MOST})
        if any(found[sign] > most for sign, most in MOST.items()):
            if more:
                await _discard(receive)
            return None
    return parts


def _is_object(parts: Iterable[MutableMapping[str, Any]]) -> bool:
    """Whether the body is empty, a form, or begins as an object does. Of anything else LiteLLM makes a 500."""
    start = next((found for part in parts if (found := part.get("body", b"").lstrip())), b"{")
    return not start.startswith((b"[", b'"', b"null", b"true", b"false", *(str(digit).encode() for digit in range(10))))


async def _discard(receive: Receive) -> None:
    """Reads the rest of a body: a connection that is closed before is reset, and the answer may be lost with it."""
    while (await receive()).get("more_body"):
        pass


def _is_master(key: str) -> bool:
    return hmac.compare_digest(key.encode(), str(proxy_server.master_key).encode())


async def _valid(tokens: list[str]) -> list[str]:
    rows = await proxy_server.prisma_client.db.litellm_verificationtoken.find_many(where={"token": {"in": tokens}})
    now = datetime.now(UTC)
    return [row.token for row in rows if not row.blocked and (row.expires is None or _aware(row.expires) > now)]


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


async def _respond(
    send: Send, status: int, message: str = "", code: str = "", more: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    body = json.dumps({"error": error}, separators=(",", ":")).encode() if message else b"{}"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _limited(plain: Callable[[Any], AsyncGenerator[bytes, None]]) -> Callable[[Any], AsyncGenerator[bytes, None]]:
    """The parts of a model's answer, up to its limit. plain: those of LiteLLM's own class."""

    async def parts(answer: Any) -> AsyncGenerator[bytes, None]:
        streamed = answer._aiohttp_response.content_type == "text/event-stream"
        most = MOST_STREAMED if streamed else MOST_ANSWERED
        found = 0
        async with aclosing(plain(answer)) as all_parts:
            async for part in all_parts:
                found += len(part)
                if found > most:
                    raise httpx.ReadError(f"the model's answer has more than {most // 1_000_000} MB")
                yield part

    return parts


def _install(app: Any) -> None:
    """LiteLLM loads this file when its application starts, after Starlette has put the middlewares together."""
    if type(app.middleware_stack).__name__ != Gate.__name__:  # loaded again, it is another class of the same name
        app.middleware_stack = Gate(app.middleware_stack, Keys(_valid), _asker)
    if AiohttpResponseStream.__aiter__.__name__ == "__aiter__":  # LiteLLM's own
        AiohttpResponseStream.__aiter__ = _limited(AiohttpResponseStream.__aiter__)
    openai.DEFAULT_MAX_RETRIES = 0  # which LiteLLM takes for speech and transcriptions
    # It looks for a reason why a request cost nothing; for models without a price that took an eighth of the time.
    Logging._record_zero_cost_diagnostic = lambda *_given, **_named: None
    OpenAIWhisperAudioTranscriptionConfig.transform_audio_transcription_request = _as_asked
    if Router.async_function_with_fallbacks_common_utils.__name__ != "instead":
        plain = Router.async_function_with_fallbacks_common_utils
        Router.async_function_with_fallbacks_common_utils = _only_without_a_replica(plain)


logging.setLogRecordFactory(Record)
guard = Guard()
_install(proxy_server.app)

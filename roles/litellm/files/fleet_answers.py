# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a client is told when something is wrong, from what LiteLLM or an engine says of it: one form for all routes,
and nothing of the inside (names of containers, addresses, hashes of keys, tracebacks). Pure; fleet_guard.py uses it.

Also the forms of a transcription that LiteLLM has not: a text, and OpenAI's stream.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LONGEST = 2_000  # characters of a message
RETRY_SECONDS = 10
MESSAGES = "/v1/messages"  # Anthropic's, whose clients expect errors in a form of their own
CODES = {
    400: "bad_request", 401: "invalid_api_key", 403: "forbidden", 404: "not_found", 409: "conflict",
    413: "content_too_large", 429: "rate_limit_exceeded", 502: "upstream_error", 503: "upstream_error",
    504: "timeout",
}  # fmt: skip
# https://docs.anthropic.com/en/api/errors
ANTHROPIC = {
    400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
    413: "request_too_large", 429: "rate_limit_error", 503: "overloaded_error",
}  # fmt: skip
# LiteLLM's name of a limit (1.106.2, parallel_request_limiter_v3.py) -> the key's setting, and how it reads.
LIMITS = {
    "requests": ("rpm_limit", "{} requests a minute"),
    "tokens": ("tpm_limit", "{} tokens a minute"),
    "max_parallel_requests": ("max_parallel_requests", "{} requests at a time"),
}
_BEHIND = re.compile(r"\s*(LiteLLM: model group |Received Model Group=|Available Model Group Fallbacks=).*", re.DOTALL)
_BEFORE = re.compile(
    r"^\s*(Invalid request format: |litellm\.\w+: |\w+(Error|Exception): |\w+Exception - |/[\w/]+: "
    r"|\w+: (?=Invalid model))+"
)
_INSIDE = (
    (re.compile(r"\bhttps?://[\w.\[\]-]+:\d+\S*"), "the model"),
    (re.compile(r"\bvllm-[a-z0-9-]+-\d+\b"), "the model"),
    (re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}(?::\d+)?\b"), "the host"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "…"),
    (re.compile(r"<[\w.]+ object at 0x[0-9a-f]+>"), "…"),
)
_TRACEBACK = re.compile(r"Traceback \(most recent call last\)|\bFile \"/|site-packages")
_UNKNOWN = re.compile(
    r"Invalid model name passed in model=(?P<name>.*?)(?:\. Call |$)"
    r"|[Mm]odel [`'](?P<other>[^`']+)[`'] (?:is not available|does not exist|is not in|not found|$)"
)
# What Python, pydantic and LiteLLM say of a request that has not the form that they take for granted.
_PYTHON = re.compile(
    r"object has no attribute|argument of type|not subscriptable|unhashable type|indices must be|object is not iterable"
    r"|multiple values for|unexpected keyword|dictionary update sequence|validation error|Unmapped prompt format"
    r"|zero-length, empty document|invalid literal for|could not convert|not supported between instances"
    r"|Unable to get json response|must be a (valid )?dict|expected str"
)
_OF_THE_INSIDE = re.compile(r"(?i)litellm|general_settings|hosted_vllm|BerriAI|pydantic|proxy log")
_REFUSED = re.compile(r"(?:Rejected Request: )?(?P<name>[\w.]+) is not allowed in request body")
_OF_A_KEY = re.compile(r"(?i)\bkey\b|token|expired|authentication error, no")
FORM = "the request has not the form that this route expects: look at the types of its fields"
_LIMIT = re.compile(r"Rate limit exceeded for .*Limit type: (?P<type>\w+)\. Current limit: (?P<most>\d+)", re.DOTALL)


@dataclass(frozen=True)
class Asker:
    """Who asked. alias: of the key. models: that it may use, without a limit all of the host. settings: of the key."""

    alias: str = ""
    models: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return f"the key {self.alias!r}" if self.alias else "this key"


@dataclass(frozen=True)
class Told:
    status: int
    message: str
    code: str
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def body(self, path: str) -> bytes:
        error: dict[str, Any] = {"message": self.message, "type": _type(self.status), "param": None, "code": self.code}
        whole: dict[str, Any] = {"error": error}
        if path.startswith(MESSAGES):
            error["type"] = ANTHROPIC.get(self.status, "api_error")
            whole = {"type": "error", **whole}
        return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def _type(status: int) -> str:
    return "rate_limit_error" if status == 429 else "invalid_request_error" if status < 500 else "server_error"


def told(status: int, body: bytes, asker: Asker, wanted: str = "") -> Told:
    """body: of LiteLLM's answer. wanted: the model of the path, if it has one."""
    raw, code, kind = _found(body)
    message = plain(raw)
    limit = _LIMIT.search(raw)
    unknown = _UNKNOWN.search(raw)
    denied = status == 403 and "model" in kind
    if denied or (unknown and status in (400, 404)):
        name = wanted or (unknown and (unknown["name"] or unknown["other"])) or ""
        if name == "None":
            return Told(400, "model: missing; expected the name of a model", "bad_request")
        return Told(404, _no_model(name, asker), "model_not_found")
    if limit:
        return _limited(limit["type"], limit["most"], asker)
    if kind == "budget_exceeded" or raw.startswith("Budget has been exceeded"):
        return Told(429, _spent(asker), "insufficient_quota", ((b"x-should-retry", b"false"),))
    if refused := _REFUSED.search(raw):
        return Told(400, f"not accepted here: {refused['name']}", "bad_request")
    if status == 401 and not _OF_A_KEY.search(raw):
        status = 400  # LiteLLM reads the body while it looks at the key, which the guard has found valid
    if status == 401:
        return Told(401, "unknown, expired or blocked key", "invalid_api_key")
    if status in (422, 500) and _PYTHON.search(raw):
        status = 400
    if status == 422:
        status = 400  # FastAPI's, for a field that is missing
    if status >= 500 and "Cannot connect to host" in raw:
        status, message = 503, "the models of this host cannot be reached for now"
    if status == 502 and message in ("Bad Gateway", ""):
        message = (
            "the engine of the model ended, or broke the connection, and the request may be why: nothing repeats it"
        )
    code = code if code and not code.isdigit() else CODES.get(status, "error")
    retry = ((b"retry-after", str(RETRY_SECONDS).encode()),) if status == 503 else ()
    return Told(status, message or CODES.get(status, "error").replace("_", " "), code, retry)


def plain(text: str) -> str:
    """The engine's or LiteLLM's own words, without what each layer has put around them."""
    text = _BEFORE.sub("", _BEHIND.sub("", text)).strip()
    inner = _inner(text)
    if inner and inner != text:
        return plain(inner)
    if _TRACEBACK.search(text):
        return "an error inside of the service; the log of LiteLLM on the host has it"
    if _PYTHON.search(text):
        return FORM
    for pattern, shown in _INSIDE:
        text = pattern.sub(shown, text)
    if _OF_THE_INSIDE.search(text):
        return "the request has parts that are not accepted here, or that the model does not have"
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def events(chunk: bytes, path: str) -> bytes:
    """Of a stream: its events with an error in our words."""

    def clean(match: re.Match[bytes]) -> bytes:
        try:
            error = json.loads(match[1])["error"]
            message = plain(str(error["message"] if isinstance(error, dict) else error))
        except (KeyError, TypeError, ValueError):
            return match[0]
        found = error.get("code") if isinstance(error, dict) else None
        status = int(found) if str(found).isdigit() else 500
        return b"data: " + Told(status, message, CODES.get(status, "error")).body(path)

    return re.sub(rb'(?m)^data: (\{.*"error":.*\})\r?$', clean, chunk)


def picked(body: bytes, name: str) -> bytes | None:
    """The entry of that name in a list of models."""
    found = [one for one in json.loads(body).get("data", ()) if one.get("id") == name]
    return json.dumps(found[0], separators=(",", ":")).encode() if found else None


def with_aliases(body: bytes, aliases: Mapping[str, str]) -> bytes:
    """The list of models with the aliases of those that it has."""
    listed = json.loads(body)
    known = {one.get("id"): one for one in listed.get("data", ())}
    missing = [(alias, known[target]) for alias, target in aliases.items() if target in known and alias not in known]
    listed["data"] = [*listed.get("data", ()), *({**card, "id": alias} for alias, card in missing)]
    return json.dumps(listed, separators=(",", ":")).encode()


def as_text(body: bytes) -> bytes:
    """A transcription as a text alone."""
    return str(json.loads(body)["text"]).encode()


def as_stream(body: bytes) -> bytes:
    """A transcription as the events of OpenAI's stream. It has ended, so its text is one part."""
    found = json.loads(body)
    done = {"type": "transcript.text.done", "text": found["text"]}
    if found.get("usage"):
        done["usage"] = found["usage"]
    parts = ({"type": "transcript.text.delta", "delta": found["text"]}, done)
    return b"".join(b"data: " + json.dumps(one).encode() + b"\n\n" for one in parts) + b"data: [DONE]\n\n"


def _found(body: bytes) -> tuple[str, str, str]:
    """The message, the code and the type of an error, in any of the forms that there are."""
    try:
        data = json.loads(body)
    except ValueError:
        return body.decode(errors="replace"), "", ""
    error = data.get("error", data.get("detail", data)) if isinstance(data, dict) else data
    if isinstance(error, list):  # FastAPI's
        lines = [f"{'.'.join(map(str, one.get('loc', ())[1:]))}: {one.get('msg')}" for one in error if _is_map(one)]
        return "; ".join(lines), "", ""
    if not isinstance(error, dict):
        return str(error), "", ""
    return (*(str(error.get(name) or "") for name in ("message", "code", "type")),)


def _inner(text: str) -> str:
    """The message of an error that is in the text as JSON, or as Python writes a dictionary."""
    start = text.find("{")
    if start < 0 or start > 40 or not text.rstrip().endswith("}"):
        return ""
    for read in (json.loads, ast.literal_eval):
        try:
            data = read(text[start:])
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
        error = data.get("error", data.get("detail", data)) if _is_map(data) else None
        message = error.get("message") if _is_map(error) else error
        if isinstance(message, str):
            return message
    return ""


def _is_map(value: Any) -> bool:
    return isinstance(value, dict)


def _no_model(name: str, asker: Asker) -> str:
    there = f"; it may use: {', '.join(asker.models)}" if asker.models else ""
    return (
        f"the model {name[:200]!r} does not exist, or {asker.name} may not use it{there}"
        if name
        else (f"{asker.name} may not use this model{there}")
    )


def _limited(type: str, most: str, asker: Asker) -> Told:
    setting, words = LIMITS.get(type, (type, "{} " + type))
    message = f"{asker.name} may have {words.format(most)} ({setting}); send less, or ask for a higher limit"
    return Told(429, message, "rate_limit_exceeded")


def _spent(asker: Asker) -> str:
    most, period = asker.settings.get("max_budget"), asker.settings.get("budget_duration")
    budget = f"its budget of {most:g} USD" if isinstance(most, (int, float)) else "its budget"
    each = f" a {period}" if period else ""
    return f"{asker.name} has spent {budget}{each} (max_budget)"


def names_for(models: Iterable[str], everything: Iterable[str], aliases: Mapping[str, str]) -> tuple[str, ...]:
    """The names that a key may use. models: of the key; none for all."""
    own = set(models)
    known = list(dict.fromkeys([*everything, *aliases]))
    return tuple(sorted(one for one in known if not own or one in own or aliases.get(one) in own))

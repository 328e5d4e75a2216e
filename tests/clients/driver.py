"""What drivers of clients share. A driver is a program: it reads `given(target)` as JSON, tries one feature after the
other as an application would, and writes feature -> "works", "raises TYPE" for an error that has to come, or "fails:
REASON".

The root certificate comes by the environment (SSL_CERT_FILE and the like), as docs/access.md says.
"""

from __future__ import annotations

import base64
import io
import json
import logging
import sys
import threading
import time
import wave
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg=="
)
IMAGE_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
QUESTION = "How is the weather in Oslo?"
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "degrees": {"type": "integer"}},
    "required": ["city", "degrees"],
    "additionalProperties": False,
}
TOOL = {"name": "weather", "description": "The weather of a city", "parameters": SCHEMA}
DOCUMENTS = ["Bread needs flour", "The weather in Oslo is mild", "A cat"]
BEST = 1
DIMENSIONS = 16
TOO_LARGE = 33_000_000
"""Characters, more than Caddy takes on /v1 by default."""
APART_S = 0.3
"""Least time between the first and the last of eight parts, of which each takes 0.2 s; on a busy machine."""


@dataclass(frozen=True)
class Target:
    """url: of the host, without a path. keys: `good`, `wrong`, and `limited`, which is spent soon. models: name by use:
    a type, `real` (a chat model on vLLM itself), `slow` (one of 0.2 s a token), `down` (no replica is up), `unknown`.
    said: what the message of an error has to have in it, by key or model; unsaid: what none may have in it.
    """

    url: str
    keys: Mapping[str, str]
    models: Mapping[str, str]
    said: Mapping[str, list[str]]
    unsaid: list[str]

    @property
    def base(self) -> str:
        return f"{self.url}/v1"

    @property
    def key(self) -> str:
        return self.keys["good"]


Feature = Callable[[Target], str | None]


def given(target: Target) -> dict[str, Any]:
    """`shared`: for the driver that is not in Python."""
    shared = {
        "apart_s": APART_S,
        "best": BEST,
        "dimensions": DIMENSIONS,
        "documents": DOCUMENTS,
        "png": base64.b64encode(PNG).decode(),
        "question": QUESTION,
        "recording": base64.b64encode(recording()).decode(),
        "schema": SCHEMA,
        "too_large": TOO_LARGE,
        "tool": TOOL,
        "waiting": WAITING,
    }
    return {"target": asdict(target), "shared": shared}


def drive(features: Mapping[str, Feature]) -> None:
    """The features that wait begin first, and run beside the others."""
    target = Target(**json.load(sys.stdin)["target"])
    order = sorted(features, key=lambda name: name not in WAITING)
    with ThreadPoolExecutor(len(WAITING) + 1) as pool:
        tried = {name: pool.submit(_try, features[name], target) for name in order}
        found = {name: tried[name].result() for name in features}
    json.dump(found, sys.stdout)


WAITING = ("no replica up", "retries")


def _try(feature: Feature, target: Target) -> str:
    try:
        return feature(target) or "works"
    except Exception as error:
        return f"fails: {type(error).__name__}: {str(error)[:300]}"


def raised(call: Callable[[], Any], target: Target, about: str) -> str:
    """What the call raises; about: the key or the model that its message has to tell of."""
    try:
        call()
    except Exception as error:
        told = str(error)
        missing = [one for one in target.said.get(about, []) if one not in told]
        assert not missing, f"{type(error).__name__} does not say {missing}: {told[:300]}"
        leaked = [one for one in target.unsaid if one in told]
        assert not leaked, f"{type(error).__name__} says {leaked}: {told[:300]}"
        status = getattr(error, "status_code", None)
        return f"raises {type(error).__name__}" + (f" ({status})" if status else "")
    raise AssertionError("no error")


def heard(ask: Callable[[], str]) -> str:
    """Caddy answers before it has the body, and hangs up: whether a client that still sends hears that is a matter of
    milliseconds."""
    for _time in range(10):
        if "(" in (told := ask()):
            break
    return told


def errors(chat: Callable[..., Any]) -> dict[str, Feature]:
    """chat(target, key=…, model=…, content=…, max_tokens=…) asks once, and does not repeat the request."""

    def limited(target: Target) -> str:
        for _request in range(3):
            try:
                chat(target, key="limited")
            except Exception:
                break
        return raised(lambda: chat(target, key="limited"), target, "limited")

    return {
        "wrong key": lambda target: raised(lambda: chat(target, key="wrong"), target, "wrong"),
        "unknown model": lambda target: raised(lambda: chat(target, model="unknown"), target, "unknown"),
        "bad request": lambda target: raised(lambda: chat(target, max_tokens=-1), target, "bad"),
        "too large": lambda target: heard(
            lambda: raised(lambda: chat(target, content="x" * TOO_LARGE), target, "large")
        ),
        "over the limit": limited,
        "no replica up": lambda target: raised(lambda: chat(target, model="down"), target, "down"),
    }


class Requests(logging.Handler):
    """Counts what httpx and httpx2 send, by thread: both log a line for each answer."""

    def __init__(self) -> None:
        super().__init__()
        self._sent: Counter[int] = Counter()
        for name in ("httpx", "httpx2"):
            logging.getLogger(name).addHandler(self)
            logging.getLogger(name).setLevel(logging.INFO)

    def emit(self, record: logging.LogRecord) -> None:
        self._sent[threading.get_ident()] += 1

    def during(self, call: Callable[[], Any]) -> int:
        """How many requests it takes until the call fails."""
        before = self._sent[threading.get_ident()]
        try:
            call()
        except Exception:
            return self._sent[threading.get_ident()] - before
        raise AssertionError("no error")


REQUESTS = Requests()


def retries(call: Callable[[Target], Any]) -> Feature:
    """call: a chat with the model that is down, to be repeated once."""

    def feature(target: Target) -> None:
        sent = REQUESTS.during(lambda: call(target))
        assert sent == 2, f"{sent} requests"

    return feature


def in_parts(parts: Iterable[Any]) -> None:
    """The parts come as they are made."""
    times = [time.monotonic() for part in parts if part]
    assert len(times) >= 5, f"{len(times)} parts"
    assert times[-1] - times[0] > APART_S, "all parts at once"


def fits(value: Any) -> None:
    """The value fits SCHEMA."""
    value = json.loads(value) if isinstance(value, str) else value
    assert isinstance(value["city"], str) and isinstance(value["degrees"], int), value


def recording() -> bytes:
    """A second of silence, as WAV."""
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(16_000)
        sound.writeframes(bytes(32_000))
    return file.getvalue()


def is_wave(sound: bytes) -> None:
    assert sound[:4] == b"RIFF" and len(sound) > 1_000, sound[:100]


def is_png(text: str | None) -> None:
    assert base64.b64decode(text or "").startswith(b"\x89PNG"), text

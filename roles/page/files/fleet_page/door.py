# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests to a model through the front door, as any client makes them."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

import httpx
import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from cryptography import x509

SECONDS = 120
CERTIFICATE_SECONDS = 3.0
MOST_WORDS = 200_000
CHAT = ("chat", "vision")
DONE = "[DONE]"
KEYS = ".fleet-keys.yml"


def endpoint(fleet: Fleet, model: str) -> str:
    """The base URL of a model: /v1 with virtual keys, or its direct route."""
    public = fleet.public()
    entry = next((one for one in public["models"] if one["name"] == model), None)
    if not entry:
        raise FleetError(f"{model}: is not in the inventory")
    if entry["in_gateway"]:
        return f"{public['base_url']}/v1"
    if entry["has_direct_route"]:
        return f"{public['base_url']}/models/{model}/v1"
    raise FleetError(f"{model}: has no route for clients; set direct: true, and a direct key")


def known_keys(given: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Alias -> value of the virtual keys in the file that the playbook keys writes; none if it cannot be read."""
    try:
        file = Path(folder, given.get("fleet_keys_file") or KEYS).expanduser()
        data = yaml.safe_load(file.read_text())
    except (OSError, RuntimeError, TypeError, ValueError, yaml.YAMLError):
        return {}
    found = data.items() if isinstance(data, dict) else ()
    return {str(name): value for name, value in found if isinstance(value, str)}


def fitting(aliases: Iterable[str], entries: Iterable[Mapping[str, Any]], model: str) -> list[str]:
    """The virtual keys that may use the model. entries: of fleet_keys."""
    limits = {str(one.get("alias")): one.get("models") for one in entries}
    return [alias for alias in aliases if model in (limits.get(alias) or [model])]


def trust(root_certificate: str | None) -> ssl.SSLContext:
    """Raises FleetError for what is no certificate."""
    context = ssl.create_default_context()
    if root_certificate:
        try:
            context.load_verify_locations(cadata=root_certificate)
        except (ssl.SSLError, TypeError, ValueError) as error:
            raise FleetError(f"the root certificate of the host cannot be read: {error}") from None
    return context


class Door:
    """The front door of a host. transport: for tests. Raises FleetError, as all of it does."""

    def __init__(self, url: str, key: str, root_certificate: str | None, transport: Any = None) -> None:
        key = key.strip()
        if not (key.isascii() and key.isprintable()):
            raise FleetError("the key has characters that no key has; copy it again")
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            verify=trust(root_certificate),
            timeout=SECONDS,
            trust_env=False,
            transport=transport,
        )

    async def __aenter__(self) -> Door:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.aclose()

    async def chat(self, model: str, messages: list[dict[str, Any]], most: int) -> AsyncIterator[str]:
        """The answer so far, after each part."""
        body = {"model": model, "messages": messages, "max_tokens": most, "stream": True}
        answer, whole = "", False
        async with self._errors(), self._client.stream("POST", "/chat/completions", json=body) as response:
            await _refused(response)
            async for line in response.aiter_lines():
                words = line.removeprefix("data:").strip()
                if words == DONE:
                    return
                if not line.startswith("data:") or not words:
                    continue
                part, ends = _part(words)
                answer, whole = answer + part, whole or ends
                yield answer[:MOST_WORDS]
                if len(answer) > MOST_WORDS:
                    return
        if not whole:
            raise FleetError("the answer broke off before its end; look at the log of the model")

    async def embeddings(self, model: str, text: str) -> list[float]:
        data = await self._json("/embeddings", json={"model": model, "input": text})
        with _as_expected("/embeddings", "data[0].embedding"):
            return [float(one) for one in data["data"][0]["embedding"]]

    async def transcription(self, model: str, file: Path) -> str:
        with _opened(file) as audio:
            data = await self._json("/audio/transcriptions", files={"file": (file.name, audio)}, data={"model": model})
        with _as_expected("/audio/transcriptions", "text"):
            return str(data["text"])

    async def speech(self, model: str, text: str, voice: str) -> bytes:
        body = {"model": model, "input": text, **({"voice": voice} if voice else {})}
        return (await self._post("/audio/speech", json=body)).content

    async def image(self, model: str, prompt: str) -> str:
        """Base64 of the picture."""
        body = {"model": model, "prompt": prompt, "n": 1, "response_format": "b64_json"}
        data = await self._json("/images/generations", json=body)
        with _as_expected("/images/generations", "data[0].b64_json"):
            return str(data["data"][0]["b64_json"])

    async def _json(self, path: str, **body: Any) -> Any:
        response = await self._post(path, **body)
        try:
            return response.json()
        except ValueError:
            raise FleetError(f"{path}: expected JSON, got {response.headers.get('content-type')}") from None

    async def _post(self, path: str, **body: Any) -> httpx.Response:
        async with self._errors():
            response = await self._client.post(path, **body)
            await _refused(response)
            return response

    def _errors(self) -> _Errors:
        return _Errors(str(self._client.base_url))


def _part(words: str) -> tuple[str, bool]:
    """Of a line of a stream: its text, and whether the answer ends with it. Raises FleetError."""
    try:
        data = json.loads(words)
        if "error" in data:
            raise FleetError(f"the model ended its answer: {_words(data)}")
        choice = (data.get("choices") or [{}])[0]
        return str((choice.get("delta") or {}).get("content") or ""), bool(choice.get("finish_reason"))
    except (AttributeError, LookupError, TypeError, ValueError):
        raise FleetError(f"the answer of the model cannot be read: {words[:200]}") from None


def _opened(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise FleetError(f"{file.name}: {error.strerror}; choose it again") from None


@contextmanager
def _as_expected(path: str, wanted: str) -> Iterator[None]:
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError):
        raise FleetError(f"{path}: expected {wanted} in the answer, which has none") from None


class _Errors:
    """Turns what the network says into a fault with what to do next."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def __aenter__(self) -> None:
        return None

    async def __aexit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if isinstance(error, httpx.TimeoutException):
            raise FleetError(f"{self._url}: no answer within {SECONDS} s; look at the log of the model") from None
        if isinstance(error, httpx.HTTPError):
            words = " ".join(str(error).split()) or type(error).__name__
            expired = "; the certificate has expired: see the tab HTTPS and settings" if "expired" in words else ""
            raise FleetError(f"{self._url}: {words}{expired}") from None


async def _refused(response: httpx.Response) -> None:
    if response.status_code < 400:
        return
    await response.aread()
    try:
        words = _words(response.json())
    except ValueError:
        words = response.text[:300]
    raise FleetError(f"HTTP {response.status_code}: {words}")


def _words(data: Any) -> str:
    error = data.get("error", data) if isinstance(data, dict) else data
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]


def certificates(urls: Iterable[str]) -> dict[str, x509.Certificate | str]:
    """URL -> its certificate, or why there is none."""
    urls = tuple(urls)
    with ThreadPoolExecutor(8) as threads:
        return dict(zip(urls, threads.map(_certificate, urls), strict=True))


def _certificate(url: str) -> x509.Certificate | str:
    """The certificate, or why there is none. Not verified: its dates are wanted even if it has expired."""
    at = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((at.hostname or "", at.port or 443), CERTIFICATE_SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=at.hostname) as secure,
        ):
            return x509.load_der_x509_certificate(secure.getpeercert(True) or b"")
    except (OSError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__

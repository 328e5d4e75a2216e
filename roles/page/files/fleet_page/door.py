# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Requests to a model through the front door, as any client makes them."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SECONDS = 120
MOST_WORDS = 200_000
CHAT = ("chat", "vision")
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


def known_keys(fleet: Fleet | None, given: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Alias -> value of the virtual keys in the file that the playbook keys writes; none if it cannot be read."""
    file = Path(given.get("fleet_keys_file") or folder / KEYS).expanduser()
    try:
        data = yaml.safe_load(file.read_text())
    except (OSError, yaml.YAMLError, UnicodeError):
        return {}
    return {str(name): str(value) for name, value in data.items()} if isinstance(data, dict) else {}


def trust(root_certificate: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if root_certificate:
        context.load_verify_locations(cadata=root_certificate)
    return context


class Door:
    """The front door of a host."""

    def __init__(self, url: str, key: str, root_certificate: str | None) -> None:
        self._client = httpx.AsyncClient(
            base_url=url,
            headers={"authorization": f"Bearer {key}"},
            verify=trust(root_certificate),
            timeout=SECONDS,
            trust_env=False,
        )

    async def __aenter__(self) -> Door:
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._client.aclose()

    async def chat(self, model: str, messages: list[dict[str, Any]], most: int) -> AsyncIterator[str]:
        """The answer so far, after each part."""
        body = {"model": model, "messages": messages, "max_tokens": most, "stream": True}
        answer = ""
        async with self._errors(), self._client.stream("POST", "/chat/completions", json=body) as response:
            await _refused(response)
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                data = json.loads(line[6:])
                if "error" in data:
                    raise FleetError(f"the model ended its answer: {_words(data)}")
                choices = data.get("choices") or [{}]
                answer += (choices[0].get("delta") or {}).get("content") or ""
                if len(answer) > MOST_WORDS:
                    return
                yield answer

    async def embeddings(self, model: str, text: str) -> list[float]:
        data = await self._json("/embeddings", json={"model": model, "input": text})
        return [float(one) for one in data["data"][0]["embedding"]]

    async def transcription(self, model: str, file: Path) -> str:
        with file.open("rb") as audio:
            data = await self._json("/audio/transcriptions", files={"file": (file.name, audio)}, data={"model": model})
        return str(data.get("text", ""))

    async def speech(self, model: str, text: str, voice: str) -> bytes:
        body = {"model": model, "input": text, **({"voice": voice} if voice else {})}
        return (await self._post("/audio/speech", json=body)).content

    async def image(self, model: str, prompt: str) -> str:
        """Base64 of the picture."""
        body = {"model": model, "prompt": prompt, "n": 1, "response_format": "b64_json"}
        return str((await self._json("/images/generations", json=body))["data"][0]["b64_json"])

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

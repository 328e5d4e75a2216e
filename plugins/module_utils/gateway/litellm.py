# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LiteLLM's API for virtual keys. All I/O of the package gateway is here.

LiteLLM has no port on the host; root reaches it by its address in Docker's network.
"""

from __future__ import annotations

import ast
import http.client
import json
import math
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone
from typing import Any, Optional, Protocol

from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import Action, ObservedKey
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

PORT = 4000
CALL_SECONDS = 120  # after a start, LiteLLM first answers the requests that Caddy held, for up to two minutes
PAGE = 100  # the largest page of /key/list
READINGS = 3  # attempts to read the whole list, in case keys change meanwhile


class NoAnswer(FleetError):
    """LiteLLM did not answer: further calls are useless."""


class Container(Protocol):
    """status: as in Docker. address: in Docker's network, if any."""

    @property
    def status(self) -> str: ...

    @property
    def address(self) -> Optional[str]: ...


class Inspecting(Protocol):
    """What finding LiteLLM needs from Docker."""

    def inspect(self, name: str) -> Optional[Container]: ...


class LiteLLM:
    """The LiteLLM in a container. master_key_file: path on this host of the file with its master key."""

    def __init__(self, docker: Inspecting, container: str, master_key_file: str, port: int = PORT) -> None:
        self._container = container
        self._address = _address(docker, container)
        self._port = port
        self._master_key_file = master_key_file
        self._master_key = _read(master_key_file)

    def keys(self) -> tuple[ObservedKey, ...]:
        """All keys, including those of teams."""
        for _reading in range(READINGS):
            keys, totals = self._read_list()
            if totals == {len(keys)}:
                return tuple(map(ObservedKey.parse, keys.values()))
        raise FleetError("LiteLLM's keys changed while they were read; is another run active? Run again")

    def create(self, action: Action, value: str) -> None:
        body = {"key": value, "key_alias": action.alias, **settings(action, datetime.now(timezone.utc))}
        self._call("POST", "/key/generate", body, hide=[value])

    def update(self, action: Action) -> None:
        self._call("POST", "/key/update", {"key": action.token, **settings(action, datetime.now(timezone.utc))})

    def delete(self, action: Action) -> None:
        self._call("POST", "/key/delete", {"keys": [action.token]})

    def _read_list(self) -> tuple[dict[str, Mapping[str, Any]], set[int]]:
        """Keys by token, and the totals that LiteLLM reported with each page. In the default order, by time
        and then token, pages do not overlap unless keys change meanwhile."""
        keys: dict[str, Mapping[str, Any]] = {}
        totals: set[int] = set()
        page, pages = 1, 1
        while page <= pages:
            answer = self._call("GET", f"/key/list?return_full_object=true&size={PAGE}&page={page}")
            keys.update({key["token"]: key for key in answer["keys"]})
            totals.add(answer["total_count"])
            page, pages = page + 1, answer["total_pages"]
        return keys, totals

    def _call(self, method: str, path: str, body: Optional[object] = None, hide: Iterable[str] = ()) -> Any:
        """hide: secrets that an error must not show, in addition to the master key."""
        connection = http.client.HTTPConnection(self._address, self._port, timeout=CALL_SECONDS)
        headers = {"Authorization": f"Bearer {self._master_key}", "Content-Type": "application/json"}
        try:
            connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = connection.getresponse()
            status, text = response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(
                f"LiteLLM does not answer in container {self._container}: {str(error) or type(error).__name__}; "
                f"its log may say why (docker logs {self._container})"
            ) from None
        finally:
            connection.close()
        if status == 401:
            raise NoAnswer(
                f"LiteLLM in container {self._container} does not accept the master key of {self._master_key_file}: "
                f"it was started with another one; run install, which restarts LiteLLM with that key"
            )
        answer = _json(text)
        if status != 200 or answer is None:
            message = _error(answer) or text.strip()[:200] or "nothing"
            for secret in (self._master_key, *hide):
                message = message.replace(secret, "(secret)")
            raise FleetError(f"LiteLLM: {path.partition('?')[0]}: {message} (HTTP {status})")
        return answer


def _address(docker: Inspecting, name: str) -> str:
    container = docker.inspect(name)
    if container is None:
        raise FleetError(f"there is no container {name} on this host; inference.fleet.install creates it")
    if container.status != "running":
        raise FleetError(
            f"container {name} is {container.status}, not running; its log may say why (docker logs {name})"
        )
    if not container.address:
        raise FleetError(f"container {name} is in no Docker network, so it has no address")
    return container.address


def _read(path: str) -> str:
    """Reads a secret of printable ASCII: Python would show other characters of a header in an error."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            secret = file.read().strip()
    except OSError as error:
        raise FleetError(f"{path}: LiteLLM's master key cannot be read: {error.strerror}") from None
    if not re.fullmatch(r"[!-~]+", secret):
        raise FleetError(f"{path}: expected LiteLLM's master key, one line of printable ASCII")
    return secret


def settings(action: Action, now: datetime) -> dict[str, Any]:
    """The settings as LiteLLM's API takes them, without unchanged ones. Pure."""
    body = {name: after for name, (_before, after) in action.changes.items()}
    if "metadata" in body:  # LiteLLM replaces metadata as a whole
        body["metadata"] = {**action.kept, **body["metadata"]}
    if "expires" in body:
        body["duration"] = _duration(body.pop("expires"), now)
    return body


def _duration(expires: Optional[datetime], now: datetime) -> Optional[str]:
    """The expiry in whole seconds from now, the only form that LiteLLM takes."""
    return f"{max(0, math.ceil((expires - now).total_seconds()))}s" if expires else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _error(answer: Any) -> str:
    """LiteLLM's error message, which may be wrapped in the text of a Python dictionary."""
    error = answer.get("error", answer.get("detail")) if isinstance(answer, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else error
    try:
        inner = ast.literal_eval(str(message))
        return str(inner["error"])
    except (ValueError, SyntaxError, KeyError, TypeError):
        return str(message) if message else ""

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LiteLLM's API for virtual keys: the one place of the gateway wing that touches the world.

LiteLLM has no port on the host; root reaches it by the address that it has in Docker's network.
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
CALL_SECONDS = 30
PAGE = 100  # the most that /key/list gives at once
READINGS = 3  # of the whole list, where keys come and go meanwhile


class NoAnswer(FleetError):
    """LiteLLM did not answer: there is no use in asking it for more."""


class Container(Protocol):
    """status: Docker's word. address: in Docker's network, if it has one."""

    @property
    def status(self) -> str: ...

    @property
    def address(self) -> Optional[str]: ...


class Inspecting(Protocol):
    """What finding LiteLLM needs of Docker."""

    def inspect(self, name: str) -> Optional[Container]: ...


class LiteLLM:
    """The LiteLLM that runs in a container. master_key_file: on this host, where its master key is."""

    def __init__(self, docker: Inspecting, container: str, master_key_file: str, port: int = PORT) -> None:
        self._container = container
        self._address = _address(docker, container)
        self._port = port
        self._master_key_file = master_key_file
        self._master_key = _read(master_key_file)

    def keys(self) -> tuple[ObservedKey, ...]:
        """All that it has, those of teams included."""
        for _reading in range(READINGS):
            keys, totals = self._read_list()
            if totals == {len(keys)}:
                return tuple(map(ObservedKey.parse, keys.values()))
        raise FleetError("the list of LiteLLM's keys changed while it was read; is somebody else at work? Run again")

    def create(self, action: Action, value: str) -> None:
        body = {"key": value, "key_alias": action.alias, **settings(action, datetime.now(timezone.utc))}
        self._call("POST", "/key/generate", body, hide=[value])

    def update(self, action: Action) -> None:
        self._call("POST", "/key/update", {"key": action.token, **settings(action, datetime.now(timezone.utc))})

    def delete(self, action: Action) -> None:
        self._call("POST", "/key/delete", {"keys": [action.token]})

    def _read_list(self) -> tuple[dict[str, Mapping[str, Any]], set[int]]:
        """Keys by their token, and how many LiteLLM said with each page that there are. In its default
        order, by time and then token, a page never has what another had, unless keys come or go meanwhile."""
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
        """hide: what an error must not show, besides the master key."""
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
                f"LiteLLM in container {self._container} does not take the master key of {self._master_key_file}: "
                f"it was started with another one; run install, which starts it with that"
            )
        answer = _json(text)
        if status != 200 or answer is None:
            told = _error(answer) or text.strip()[:200] or "nothing"
            for secret in (self._master_key, *hide):
                told = told.replace(secret, "(secret)")
            raise FleetError(f"LiteLLM: {path.partition('?')[0]}: {told} (HTTP {status})")
        return answer


def _address(docker: Inspecting, name: str) -> str:
    container = docker.inspect(name)
    if container is None:
        raise FleetError(f"there is no container {name} on this host; inference.fleet.install makes it")
    if container.status != "running":
        raise FleetError(
            f"container {name} is {container.status}, not running; its log may say why (docker logs {name})"
        )
    if not container.address:
        raise FleetError(f"container {name} is in no network of Docker's, so it has no address to be asked on")
    return container.address


def _read(path: str) -> str:
    """A secret of printable ASCII: what else stands in a header would be shown in an error of Python's."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            secret = file.read().strip()
    except OSError as error:
        raise FleetError(f"{path}: LiteLLM's master key cannot be read: {error.strerror}") from None
    if not re.fullmatch(r"[!-~]+", secret):
        raise FleetError(f"{path}: expected LiteLLM's master key, one line of printable ASCII")
    return secret


def settings(action: Action, now: datetime) -> dict[str, Any]:
    """As LiteLLM takes them; what is not to change is left out. Pure."""
    body = {name: after for name, (_before, after) in action.changes.items()}
    if "metadata" in body:  # taken as a whole
        body["metadata"] = {**action.kept, **body["metadata"]}
    if "expires" in body:
        body["duration"] = _duration(body.pop("expires"), now)
    return body


def _duration(expires: Optional[datetime], now: datetime) -> Optional[str]:
    """The whole seconds from now on, which is the only way to give LiteLLM an expiry."""
    return f"{max(0, math.ceil((expires - now).total_seconds()))}s" if expires else None


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _error(answer: Any) -> str:
    """LiteLLM's own words. It wraps some of them up as the text of a Python dictionary."""
    error = answer.get("error", answer.get("detail")) if isinstance(answer, Mapping) else None
    message = error.get("message") if isinstance(error, Mapping) else error
    try:
        inner = ast.literal_eval(str(message))
        return str(inner["error"])
    except (ValueError, SyntaxError, KeyError, TypeError):
        return str(message) if message else ""

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker's events and containers, without the SDK: a call of the module takes less processor time without it."""

from __future__ import annotations

import http.client
import json
import select
import socket
import time
from typing import Any, Optional
from urllib.parse import quote

from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.system import docker_api
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import words_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.watch.containers import Seen

# Without exec_create and exec_die, which each health check causes.
_EVENTS = ("create", "start", "die", "destroy", "oom", "pause", "unpause", "rename", "health_status")
_OURS = f"managed-by={MANAGED_BY}"
_SECONDS = 10
_SETTLE_S = 0.1  # other events often follow: a replica that dies is started again
_MOST_CONTAINERS = 1000
_MOST_HEADER = 65536


class Engine:
    """Follows events from the moment it is made. Raises FleetError when Docker does not answer."""

    def __init__(self) -> None:
        self._connection = docker_api.Connection()
        self._events = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._connection.connect()
            found = self._connection.engine()
            if found is None:
                raise FleetError(f"Docker does not answer on {docker_api.SOCKET}")
            self._version = docker_api.api_version(found)
            self._follow()
        except OSError as error:
            self.close()
            raise FleetError(f"Docker does not answer on {docker_api.SOCKET}: {words_of(error)}") from error
        except FleetError:
            self.close()
            raise

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()
        self._events.close()

    def wait(self, seconds: float) -> None:
        """Returns after an event, or when the time is over."""
        if self._comes(seconds):
            time.sleep(_SETTLE_S)
            while self._comes(0):
                pass

    def containers(self, all_of_host: bool = False) -> list[Any]:
        """What Docker reports of each container of this collection, or of the host, in the order of their names."""
        wanted = "" if all_of_host else f"&filters={quote(json.dumps({'label': [_OURS]}))}"
        listed = self.ask(f"/containers/json?all=true{wanted}")
        if not isinstance(listed, list):
            raise FleetError("Docker does not list its containers")
        found = (self.ask(f"/containers/{one['Id']}/json") for one in listed[:_MOST_CONTAINERS])
        return sorted(filter(None, found), key=lambda one: str(one.get("Name")))

    def ours(self) -> tuple[Seen, ...]:
        return tuple(map(Seen.parse, self.containers()))

    def ask(self, path: str) -> Any:
        """None if there is no such thing. Raises FleetError when Docker does not answer."""
        try:
            status, content = self._connection.answer("GET", f"/v{self._version}{path}", seconds=_SECONDS)
            return json.loads(content) if status == 200 else None
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise FleetError(f"Docker does not answer on {docker_api.SOCKET}: {words_of(error)}") from error

    def archived(self, container: str, path: str, most: int) -> Optional[bytes]:
        """The first bytes of a tar archive with a file of a container; None if there is none."""
        with docker_api.Connection() as connection:
            address = f"/v{self._version}/containers/{quote(container)}/archive?path={quote(path)}"
            try:
                status, content = connection.answer("GET", address, seconds=_SECONDS, most=most)
            except (OSError, http.client.HTTPException):
                return None
        return content if status == 200 else None

    def _follow(self) -> None:
        self._events.settimeout(_SECONDS)
        self._events.connect(docker_api.SOCKET)
        wanted = {"type": ["container"], "event": list(_EVENTS), "label": [_OURS]}
        path = f"/v{self._version}/events?filters={quote(json.dumps(wanted))}"
        self._events.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head and len(head) < _MOST_HEADER:
            part = self._events.recv(4096)
            if not part:
                raise FleetError("Docker has ended")
            head += part

    def _comes(self, seconds: float) -> bool:
        """Whether there is something in the stream of events within the time; what it says does not matter."""
        ready, _written, _failed = select.select([self._events], [], [], max(seconds, 0))
        if ready and not self._events.recv(65536):
            raise FleetError("Docker has ended")
        return bool(ready)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker's API over its socket.

Uses only the standard library: the SDK may not be installed yet.
"""

from __future__ import annotations

import http.client
import json
import re
import socket
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SOCKET = "/var/run/docker.sock"
# Versions of the Engine API: of Docker Engine 20.10, the oldest that the collection supports, and of 29.
OLDEST, NEWEST = (1, 41), (1, 52)
_SECONDS = 10


def api_version(engine: Mapping[str, Any]) -> str:
    """The version of the Engine API for an engine that answers `/version` so: the oldest that both accept, since an
    engine answers it in the form of older engines. Docker Engine 29.0 accepts 1.44 to 1.52.

    Raises FleetError if they have none in common.
    """
    first, last = _parsed(engine.get("MinAPIVersion")), _parsed(engine.get("ApiVersion"))
    lowest = first or min(last or OLDEST, OLDEST)
    highest = last or max(lowest, OLDEST)
    chosen = max(lowest, OLDEST)
    if chosen > min(highest, NEWEST):
        remedy = "Docker Engine 20.10 or later is needed: upgrade it" if highest < OLDEST else "upgrade the collection"
        accepts = f"{_text(lowest)} to {_text(highest)}" if first and last else f"up to {_text(highest)}"
        if not last:
            accepts = f"from {_text(lowest)} on"
        raise FleetError(
            f"Docker Engine {engine.get('Version', 'of an unknown version')} accepts the API {accepts}, "
            f"expected one of {_text(OLDEST)} to {_text(NEWEST)}; {remedy}"
        )
    return _text(chosen)


def engine() -> Optional[dict[str, Any]]:
    """What the engine says about itself, or None where no engine answers. Every engine answers this."""
    with Connection() as connection:
        return connection.engine()


def ask(path: str) -> Any:
    """The engine's answer, or None where no engine answers."""
    status, content = request("GET", path)
    try:
        return json.loads(content) if status == 200 else None
    except ValueError:
        return None


def request(method: str, path: str, body: Any = None, seconds: float = _SECONDS) -> tuple[int, bytes]:
    """Status and content of the engine's answer; 0 where no engine that has a common API version answers in time.
    path: without a version. body: data for JSON."""
    data = None if body is None else json.dumps(body)
    with Connection() as connection:
        found = connection.engine()
        try:
            if found is not None:
                return connection.answer(method, f"/v{api_version(found)}{path}", data, seconds)
        except (OSError, http.client.HTTPException, FleetError):
            pass
        return 0, b""


class Connection(http.client.HTTPConnection):
    """One connection to the engine, for several questions."""

    def __init__(self) -> None:
        super().__init__("localhost", timeout=_SECONDS)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)

    def engine(self) -> Optional[dict[str, Any]]:
        try:
            status, content = self.answer("GET", "/version")
            found = json.loads(content) if status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def answer(
        self, method: str, path: str, data: Optional[str] = None, seconds: float = _SECONDS, most: Optional[int] = None
    ) -> tuple[int, bytes]:
        """most: bytes of the content, if only its beginning is wanted; then nothing else can be asked."""
        self.timeout = seconds
        if self.sock:
            self.sock.settimeout(seconds)
        self.request(method, path, data, {"Content-Type": "application/json"} if data else {})
        found = self.getresponse()
        return found.status, found.read(most)


def _parsed(version: Any) -> Optional[tuple[int, int]]:
    """None where an engine does not say."""
    found = re.fullmatch(r"(\d+)\.(\d+)", str(version))
    return (int(found[1]), int(found[2])) if found else None


def _text(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"

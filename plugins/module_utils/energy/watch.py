# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The holders of the GPUs, updated whenever Docker reports that a container started or ended."""

from __future__ import annotations

import json
import select
import shutil
import socket
import threading
import time
from collections.abc import Callable
from typing import Optional
from urllib.parse import quote

from ansible_collections.inference.fleet.plugins.module_utils.energy.holders import Shares, parse_gpus, shares_of
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import run_limited
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.system import docker_api
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

LOOK_S = 300.0  # the longest time between updates: GPUs may be repartitioned without any container event
AGAIN_S = 2.0  # the wait after an error
LIST_S = 30
_OURS = f"managed-by={MANAGED_BY}"


class Watch:
    """shares: the holders; None while they are not known."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._trouble = ""
        self.shares: Optional[Shares] = None

    def start(self) -> None:
        """Runs in its own thread, so that a hanging Docker or driver does not stop the power readings."""
        threading.Thread(target=self._forever, daemon=True).start()

    def _forever(self) -> None:
        while True:
            try:
                self.follow()
            except Exception as error:  # else the thread would end, and nothing would be known any more
                self._report(f"who holds which GPU is not known: {fault_of(error)}")
            self.shares = None
            time.sleep(AGAIN_S)

    def follow(self) -> None:
        """Follows Docker's events. Raises FleetError when Docker ends or does not answer."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as events:
            events.settimeout(LIST_S)
            try:
                events.connect(docker_api.SOCKET)
            except OSError as error:
                words = f"Docker does not answer on {docker_api.SOCKET} ({error.strerror or error})"
                raise FleetError(words) from error
            engine = docker_api.engine()
            if engine is None:
                raise FleetError(f"Docker does not answer on {docker_api.SOCKET}")
            wanted = {"type": ["container"], "event": ["start", "die"], "label": [_OURS]}
            path = f"/v{docker_api.api_version(engine)}/events?filters={quote(json.dumps(wanted))}"
            request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n"
            events.sendall(request.encode())
            while True:
                self.shares = self._look()
                self._report("")
                # The content of the events does not matter: any event is a reason to update.
                ready, _written, _failed = select.select([events], [], [], LOOK_S)
                if ready and not events.recv(65536):
                    raise FleetError("Docker has ended")

    def _look(self) -> Shares:
        listed = docker_api.ask(f"/containers/json?filters={quote(json.dumps({'label': [_OURS]}))}")
        if listed is None:
            raise FleetError("Docker does not list its containers")
        inspected = [docker_api.ask(f"/containers/{one['Id']}/json") for one in listed]
        listing = run_limited([shutil.which("nvidia-smi") or "nvidia-smi", "-L"], LIST_S).text
        gpus = parse_gpus(listing)
        if not gpus:
            raise FleetError(f"nvidia-smi -L lists no GPU: {listing.strip()[:200]}")
        return shares_of(gpus, [HostContainer.parse(one) for one in inspected if one])

    def _report(self, trouble: str) -> None:
        if trouble != self._trouble:
            self._say(trouble or "who holds which GPU is known again")
        self._trouble = trouble

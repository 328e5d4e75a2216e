#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: service_takeover
short_description: Replace the container of a service by a successor without a pause for clients
version_added: 0.3.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Clients reach the service by the name of its container in a network. The successor, C(NAME-next), runs in the same
    network and has no further name there.
  - "In a takeover, the successor gets the name as an alias; the previous container refuses new connections, and is
    removed when its requests have ended; the successor is renamed."
  - Run this module with O(state=settled) first, so that a takeover that was cut off is finished or undone.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
  - nsenter (util-linux) and iptables on the host
options:
  name:
    description: The container of the service.
    type: str
    required: true
  state:
    description:
      - V(planned) only reports whether two containers can run side by side.
      - V(settled) finishes or undoes a takeover that was cut off, and otherwise does nothing.
      - V(taken) lets the successor, which must be ready, take over.
    type: str
    choices: [planned, settled, taken]
    required: true
  network:
    description: The network in which clients reach the service.
    type: str
    required: true
  port:
    description: The port at which the service listens.
    type: int
    required: true
  timeout:
    description:
      - Seconds for the requests of the previous container to end. After that the container is stopped, and killed 30
        seconds later.
    type: int
    default: 120
  image:
    description: The image of the successor, for RV(same_image).
    type: str
    default: ""
  reasons:
    description: Further reasons against two containers side by side, for RV(line).
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: V(settled) reports the plan, V(taken) reports a change.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Replace LiteLLM by litellm-next
  inference.fleet.service_takeover:
    name: litellm
    state: taken
    network: fleet-litellm
    port: 4000
"""

RETURN = r"""
actions:
  description: The steps, in order.
  returned: for V(settled) and V(taken)
  type: list
  elements: str
cut:
  description: How many connections of the previous container were still open when it was stopped.
  returned: for V(settled) and V(taken)
  type: int
seconds:
  description: How long the takeover took.
  returned: for V(settled) and V(taken)
  type: float
side_by_side:
  description: Whether two containers can run side by side.
  returned: for V(planned)
  type: bool
same_image:
  description: Whether the container has the image O(image).
  returned: for V(planned)
  type: bool
line:
  description: What a change means for clients, as one line.
  returned: for V(planned)
  type: str
"""

import re
import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import WEIGHT, Container
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.engine.starts import read_starts
from ansible_collections.inference.fleet.plugins.module_utils.gateway.takeover import (
    Seen,
    carry_out,
    in_words,
    plan,
    reasons_against,
)
from ansible_collections.inference.fleet.plugins.module_utils.system import drain, host_memory
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    name=dict(type="str", required=True),
    state=dict(type="str", choices=["planned", "settled", "taken"], required=True),
    network=dict(type="str", required=True),
    port=dict(type="int", required=True),
    timeout=dict(type="int", default=120),
    image=dict(type="str", default=""),
    reasons=dict(type="list", elements="str", default=[]),
)
PROC = Path("/proc")
PATIENCE_S = 60  # for a container that runs and is not ready: it may be starting, or the host is busy
POLL_S = 1


class Pair:
    """The container and its successor, as `Containers` of gateway/takeover.py."""

    def __init__(self, docker: Docker, name: str, network: str, port: int, timeout: int) -> None:
        self.docker, self.name, self.successor = docker, name, f"{name}-next"
        self._network, self._port, self._timeout = network, port, timeout

    def seen(self, name: str) -> Seen | None:
        container = self.docker.inspect(name)
        return self.described(container) if container else None

    def described(self, container: Container) -> Seen:
        running = container.status == "running"
        return Seen(running, running and self.docker.is_well(container), self.name in container.spec.aliases)

    def serves(self) -> bool:
        seen = self.seen(self.successor)
        return bool(seen and seen.ready)

    def connect(self) -> None:
        self.docker.set_weight(self.successor, WEIGHT)
        self.docker.disconnect(self.successor, self._network)
        self.docker.connect(self.successor, self._network, [self.name])

    def drain(self) -> int:
        process = self.docker.process(self.name)
        if not process:  # it has ended meanwhile
            return 0
        try:
            return drain.drain(process, self._port, self._timeout)
        except FleetError:
            self.accept()
            raise

    def accept(self) -> None:
        drain.accept(self.docker.process(self.name), self._port)

    def remove(self) -> None:
        self._remove(self.name)

    def discard(self) -> None:
        self._remove(self.successor)

    def rename(self) -> None:
        self.docker.rename(self.successor, self.name)

    def _remove(self, name: str) -> None:
        container = self.docker.inspect(name)
        if container:
            self.docker.remove(container.id, name)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True), alone="service_takeover")


def _work(module: AnsibleModule) -> None:
    given = module.params
    pair = Pair(Docker(), *(given[one] for one in ("name", "network", "port", "timeout")))
    if given["state"] == "planned":
        _plan(module, pair)
    if given["state"] == "taken" and module.check_mode:
        module.exit_json(changed=True, actions=[], cut=0, seconds=0.0)
    began = time.monotonic()
    previous, successor = pair.seen(pair.name), pair.seen(pair.successor)
    if successor and successor.running and successor.named and not module.check_mode:
        successor = _patiently(pair, pair.successor)
    steps = plan(previous, successor, given["state"] == "taken")
    if module.check_mode:
        module.exit_json(changed=bool(steps), actions=list(steps), cut=0, seconds=0.0)
    ended = carry_out(steps, pair, pair.serves)
    seconds = round(time.monotonic() - began, 1)
    module.exit_json(changed=bool(steps), actions=list(ended.steps), cut=ended.cut, seconds=seconds)


def _patiently(pair: Pair, name: str) -> Seen | None:
    """The container, once it is ready, does not run any more, or the time is over."""
    deadline = time.monotonic() + PATIENCE_S
    seen = pair.seen(name)
    while seen and seen.running and not seen.ready and time.monotonic() < deadline:
        time.sleep(POLL_S)
        seen = pair.seen(name)
    return seen


def _plan(module: AnsibleModule, pair: Pair) -> None:
    given = module.params
    seen = _patiently(pair, pair.name)
    container = pair.docker.inspect(pair.name)
    runs = bool(seen and seen.running)
    image = given["image"]
    same = bool(image and container and container.spec.image == pair.docker.image_id(image))
    used = _resident(pair.docker.processes(pair.name)) if runs else 0
    against = reasons_against(seen, used, host_memory.available(), given["reasons"])
    line = in_words(pair.name, against, runs, read_starts().get(pair.name))
    module.exit_json(side_by_side=not against, same_image=same, line=line)


def _resident(processes: list[int]) -> int:
    """Bytes of memory of the processes; pages that several share count several times."""
    return sum(_kilobytes(PROC / str(process) / "status", "VmRSS") for process in processes) * 1024


def _kilobytes(path: Path, what: str) -> int:
    try:
        found = re.search(rf"(?m)^{what}:\s*(\d+) kB", path.read_text())
    except OSError:  # the process has ended
        return 0
    return int(found[1]) if found else 0


if __name__ == "__main__":
    main()

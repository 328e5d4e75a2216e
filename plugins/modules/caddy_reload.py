#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: caddy_reload
short_description: Load the configuration of a running Caddy, without the loss of a request
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Compares the Caddyfile with the configuration that Caddy runs, and loads it if the two differ.
  - C(caddy reload) alone loses the requests of connections that are opened or reused in the same moment. So the module
    loads the configuration on other ports first (the port plus 10000), and redirects new connections to them with rules
    of iptables in the network of the container. When the previous servers have ended, it loads the configuration on its
    own ports in the same way, and removes the rules.
  - The global option C(shutdown_delay) of the Caddyfile is how long the previous servers go on with their connections.
    Without it, requests are lost as with C(caddy reload). A reload takes twice this time.
  - If the module is killed in between, the next run completes the reload.
requirements:
  - iptables and nsenter on the host
options:
  name:
    description: The container.
    type: str
    default: caddy
  path:
    description: The Caddyfile in the container. It must be the path with which Caddy was started.
    type: str
    default: /etc/caddy/Caddyfile
  ipv6:
    description: Whether clients reach the container by IPv6 too.
    type: bool
    default: false
  timeout:
    description: Seconds to wait for Caddy's administration endpoint, and for each of the steps.
    type: int
    default: 60
attributes:
  check_mode:
    support: full
    description: Compares, and loads nothing.
  diff_mode:
    support: none
    description: The task that writes the Caddyfile shows the difference.
"""

EXAMPLES = r"""
- name: Load the Caddyfile
  inference.fleet.caddy_reload:
    name: caddy
"""

RETURN = r"""
seconds:
  description: How long the reload took.
  returned: success
  type: float
  sample: 12.4
"""

import ctypes
import http.client
import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.gateway.reload import SHIFT, Ports, reload
from ansible_collections.inference.fleet.plugins.module_utils.system import own_network
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import ask
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    name=dict(type="str", default="caddy"),
    path=dict(type="str", default="/etc/caddy/Caddyfile"),
    ipv6=dict(type="bool", default=False),
    timeout=dict(type="int", default=60),
)
ADMIN = ("127.0.0.1", 2019)  # Caddy's default
EMPTY_SECONDS = 5.0  # after a start, until a Caddy without a configuration is one that found none in its file
POLL_SECONDS = 0.05
LOAD_SECONDS = 300  # Caddy answers after its shutdown_delay
CLONE_NEWNET = 0x40000000


class Running:
    """A Caddy in a container, as `Caddy` of gateway/reload.py. process: of the container, with an ID of this host."""

    def __init__(self, process: int, ipv6: bool, timeout: float) -> None:
        self._process, self._timeout = process, timeout
        self._programs = ("iptables", "ip6tables") if ipv6 else ("iptables",)
        self._pool = ThreadPoolExecutor(1)

    def config(self) -> Any:
        return self._ask("GET", "/config/")

    def load(self, config: Mapping[str, Any]) -> Future[None]:
        return self._pool.submit(self._ask, "POST", "/load", json.dumps(config))

    def listens(self, port: int) -> bool:
        return bool(own_network.count(self._process, port, own_network.LISTEN))

    def redirect(self, ports: Ports) -> None:
        for port in ports:
            for program in self._programs:
                own_network.add(self._process, _rule(port), "nat", program)

    def direct(self, ports: Ports) -> bool:
        there = [
            (port, program)
            for port in ports
            for program in self._programs
            if own_network.has(self._process, _rule(port), "nat", program)
        ]
        for port, program in there:
            own_network.remove(self._process, _rule(port), "nat", program)
        return bool(there)

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self._timeout
        while not condition():
            if time.monotonic() >= deadline:
                raise FleetError(f"gave up after {self._timeout:g} s waiting until {what}")
            time.sleep(POLL_SECONDS)

    def _ask(self, method: str, path: str, body: Optional[str] = None) -> Any:
        connection = http.client.HTTPConnection(*ADMIN, timeout=LOAD_SECONDS)
        try:
            connection.sock = _connected(self._process)
            connection.request(method, path, body.encode() if body else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read().decode()
        finally:
            connection.close()
        if answer.status != 200:
            raise FleetError(f"{method} {path} of Caddy's administration endpoint: {answer.status}: {text.strip()}")
        return json.loads(text) if text.strip() else None


def _rule(port: int) -> list[str]:
    to = str(port + SHIFT)
    return ["PREROUTING", "-p", "tcp", "--syn", "--dport", str(port), "-j", "REDIRECT", "--to-ports", to]


def _connected(process: int) -> socket.socket:
    """To the administration endpoint in the network of the container, which listens there alone."""

    def connect() -> socket.socket:
        library = ctypes.CDLL(None, use_errno=True)
        network = os.open(f"/proc/{process}/ns/net", os.O_RDONLY)
        try:
            if library.setns(network, CLONE_NEWNET):  # of this thread
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        finally:
            os.close(network)
        return socket.create_connection(ADMIN, timeout=LOAD_SECONDS)

    with ThreadPoolExecutor(1) as thread:
        return thread.submit(connect).result()


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True), alone="caddy_reload")


def _work(module: AnsibleModule) -> None:
    given = module.params
    began = time.monotonic()
    try:
        caddy, running = _reached(given["name"], given["ipv6"], 0 if module.check_mode else given["timeout"])
    except FleetError:
        if not module.check_mode:
            raise
        module.exit_json(changed=False, seconds=0.0)  # the container is not there yet
    wanted = _adapted(module, given["name"], given["path"])
    if module.check_mode:
        changed = running != wanted
    elif running:
        changed = reload(running, wanted, caddy)
    else:  # it serves nobody
        caddy.load(wanted).result()
        changed = True
    module.exit_json(changed=changed, seconds=round(time.monotonic() - began, 1))


def _adapted(module: AnsibleModule, name: str, path: str) -> Any:
    """The Caddyfile as JSON. By the command, since the JSON contains the path of the Caddyfile."""
    command = ["docker", "exec", name, "caddy", "adapt", "--config", path, "--adapter", "caddyfile"]
    status, said, faults = module.run_command(command)
    if status:
        raise FleetError(f"{path} in container {name}: caddy adapt: {faults.strip() or said.strip()}")
    return json.loads(said)


def _reached(name: str, ipv6: bool, timeout: float) -> tuple[Running, Any]:
    """Caddy and its configuration; an empty one if it has started from a file without sites, as one that was cut off.
    Raises FleetError if it does not answer in time."""
    deadline, empty = time.monotonic() + timeout, 0.0
    while True:
        process = ((ask(f"/containers/{name}/json") or {}).get("State") or {}).get("Pid")
        fault = "it does not run"
        if process:
            caddy = Running(int(process), ipv6, timeout)
            try:
                running = caddy.config()
                if running:
                    return caddy, running
                fault = "it has no configuration yet"
                empty = empty or time.monotonic()
                if time.monotonic() - empty > EMPTY_SECONDS:
                    return caddy, {}
            except (OSError, http.client.HTTPException, ValueError) as error:
                fault = f"its administration endpoint does not answer: {error}"
        if time.monotonic() >= deadline:
            raise FleetError(f"container {name}: {fault}; see `docker logs {name}`")
        time.sleep(POLL_SECONDS)


if __name__ == "__main__":
    main()

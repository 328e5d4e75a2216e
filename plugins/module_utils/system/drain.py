# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Takes a container from its clients: new connections are refused, and those that exist go on to their end.

A server that is told to stop closes its listening socket, and the kernel resets the connections that the server has not
accepted yet: their requests are lost. A rule in the network of the container refuses a connection before it exists,
so a client such as Caddy can try the next container. The rule ends with the network, when the container ends.
"""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

PROC = Path("/proc")
_PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"  # `su` may leave out the folders of system programs
_COMMAND_SECONDS, _POLL_SECONDS = 60, 0.1
# States of a connection in the kernel's include/net/tcp_states.h, in hex as in /proc/net/tcp.
_ESTABLISHED, _SYN_RECV = "01", "03"


def drain(
    process: int,
    port: int,
    seconds: float,
    host: Optional[str] = None,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
) -> int:
    """Returns how many connections are left when there is none, or the time is over. Arguments: as for `refuse`."""
    refuse(process, port, host)
    end = now() + seconds
    while (left := connections(process, port)) and now() < end:
        pause(_POLL_SECONDS)
    return left


def refuse(process: int, port: int, host: Optional[str] = None) -> None:
    """New connections to the port. IPv4 alone: Caddy reaches containers by IPv4. process: of the container, with an ID
    of this host. host: the address from which connections are accepted nevertheless. Raises FleetError if the host
    refuses the rule."""
    if not _is_refused(process, port, host):
        _iptables(process, "--insert", port, host)


def accept(process: int, port: int, host: Optional[str] = None) -> None:
    """New connections to the port again, if the process still lives. Raises FleetError if the host refuses that."""
    while (PROC / str(process) / "ns/net").exists() and _is_refused(process, port, host):
        _iptables(process, "--delete", port, host)


def own_address(address: str) -> str:
    """The address of this host that a container of that address sees."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((address, 9))  # sends nothing
        return str(probe.getsockname()[0])


def connections(process: int, port: int) -> int:
    """Of clients with the port; 0 if the process is gone."""
    found = 0
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / str(process) / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for _number, local, _remote, state, *_rest in map(str.split, lines):
            found += local.endswith(f":{port:04X}") and state in (_ESTABLISHED, _SYN_RECV)
    return found


def _is_refused(process: int, port: int, host: Optional[str]) -> bool:
    return not _run(_command(process, "--check", port, host)).returncode


def _iptables(process: int, verb: str, port: int, host: Optional[str]) -> None:
    done = _run(_command(process, verb, port, host))
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise FleetError(f"iptables in the network of process {process}: {said}")


def _command(process: int, verb: str, port: int, host: Optional[str]) -> list[str]:
    others = ["!", "-s", host] if host else []
    rule = ["INPUT", *others, "-p", "tcp", "--syn", "--dport", str(port), "-j", "REJECT", "--reject-with", "tcp-reset"]
    return ["nsenter", f"--net={PROC}/{process}/ns/net", "iptables", "--wait", verb, *rule]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C"}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FleetError(f"{command[0]}: {error}") from None

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network of a container: rules of iptables in it, and its TCP sockets. The rules end with the container."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

PROC = Path("/proc")
# States of a socket in the kernel's include/net/tcp_states.h, in hex as in /proc/net/tcp.
ESTABLISHED, SYN_RECV, LISTEN = "01", "03", "0A"
_PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"  # `su` may leave out the folders of system programs
_COMMAND_SECONDS = 60


def add(process: int, rule: Sequence[str], table: str = "filter", program: str = "iptables") -> None:
    """As the first rule of its chain, unless it is there. process: of the container, with an ID of this host. rule:
    begins with its chain. program: iptables, or ip6tables. Raises FleetError if the host refuses the rule."""
    if not has(process, rule, table, program):
        _change(process, "--insert", rule, table, program)


def remove(process: int, rule: Sequence[str], table: str = "filter", program: str = "iptables") -> None:
    """Each rule that is the same, if the process still lives. Arguments and faults: as for `add`."""
    while (PROC / str(process) / "ns/net").exists() and has(process, rule, table, program):
        _change(process, "--delete", rule, table, program)


def has(process: int, rule: Sequence[str], table: str = "filter", program: str = "iptables") -> bool:
    return not _run(process, "--check", rule, table, program).returncode


def count(process: int, port: int, *states: str) -> int:
    """TCP sockets of that local port in one of the states; 0 if the process is gone."""
    found = 0
    for name in ("tcp", "tcp6"):
        try:
            lines = (PROC / str(process) / "net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for _number, local, _remote, state, *_rest in map(str.split, lines):
            found += local.endswith(f":{port:04X}") and state in states
    return found


def _change(process: int, verb: str, rule: Sequence[str], table: str, program: str) -> None:
    done = _run(process, verb, rule, table, program)
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise FleetError(f"{program} in the network of process {process}: {said}")


def _run(process: int, verb: str, rule: Sequence[str], table: str, program: str) -> subprocess.CompletedProcess[str]:
    command = ["nsenter", f"--net={PROC}/{process}/ns/net", program, "--wait", "--table", table, verb, *rule]
    environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C"}
    try:
        return subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_COMMAND_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FleetError(f"{command[0]}: {error}") from None

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.host_lock: who we are, and whether a holder is still alive."""

from __future__ import annotations

import getpass
import os
import shlex
import socket
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        owner = _this_run()
        arguments = {**self._task.args, "owner": owner}
        answer = self._lock(arguments, task_vars)
        holder = answer.get("holder")
        if arguments.get("state") == "absent" or answer.get("failed") or not holder or _same_run(holder, owner):
            return answer
        if holder["host"] == owner["host"] and _started(holder["pid"]) != holder["started"]:
            answer = self._lock({**arguments, "replaces": holder}, task_vars)
            told = f"took over the lock of {_who(holder)}, which has ended without giving it back"
            return {**answer, "warnings": [told]}
        how = "wait for it to end; if that machine is gone, run again with -e fleet_break_lock=true"
        return {**answer, "failed": True, "msg": f"{arguments.get('path', 'the lock')} is held by {_who(holder)}: {how}"}

    def _lock(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        return self._execute_module(
            module_name="inference.fleet.host_lock", module_args=arguments, task_vars=task_vars
        )


def _same_run(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(key) == other[key] for key in ("host", "pid", "started"))


def _this_run() -> dict[str, Any]:
    """The ansible-playbook process: tasks run in forks of it."""
    pid = os.getppid()
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "pid": pid,
        "started": _started(pid),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "command": _command(pid),
    }


def _started(pid: int) -> str:
    """When the process started, in the kernel's clock ticks since boot (proc(5), stat, field
    22); empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _command(pid: int) -> str:
    """The playbook it runs. Extra variables may hold secrets, so options are left out."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return "ansible-playbook"
    playbooks = [word for word in words[1:] if word.endswith((".yml", ".yaml"))]
    return shlex.join(["ansible-playbook", *playbooks[-1:]])


def _who(holder: dict[str, Any]) -> str:
    return f"{holder['user']}@{holder['host']} (PID {holder['pid']}, {holder['command']}) since {holder['since']}"

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.host_lock: identifies this run, and whether a holder still runs."""

from __future__ import annotations

import getpass
import os
import re
import shlex
import socket
import time
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.plugin_utils import failures

POLL_SECONDS = 2
RESTORE_SECONDS = 600
WORK_SECONDS = 1800  # for a module of a run that was killed


class ActionModule(ActionBase):
    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        owner = _this_run()
        arguments = {**self._task.args, "owner": owner}
        wait = given = int(arguments.get("wait", 0))
        patient = {**arguments, "take_over": arguments.get("take_over", False) and not wait}
        answer = self._take(patient, owner, task_vars)
        if answer.get("held"):
            wait = wait or _patience(answer["holder"])
        deadline = time.monotonic() + wait
        if answer.get("held") and wait:
            Display().display(f"waiting for {wait} s at most: the lock is held by {_who(answer['holder'])}")
        while answer.get("held") and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            answer = self._take(patient, owner, task_vars)
        if answer.get("held") and arguments.get("take_over"):
            warning = f"took over the lock of {_who(answer['holder'])}, which did not release it within {wait} s"
            answer = {**self._take(arguments, owner, task_vars), "warnings": [warning]}
        # A restore that waited for the lock goes on: no admin can retry.
        return answer if given else self._alone(answer, arguments, owner, task_vars)

    def _alone(
        self, answer: dict[str, Any], arguments: dict[str, Any], owner: dict[str, Any], task_vars: Any
    ) -> dict[str, Any]:
        """The answer when no module of a run that was killed works on the host any more."""
        deadline = time.monotonic() + WORK_SECONDS
        shown = False
        while (works := answer.get("works")) and not answer.get("failed"):
            who = f"{works['module']} (PID {works['pid']}) of a run that was killed still works on the host"
            if time.monotonic() >= deadline:
                self._take({**arguments, "state": "absent"}, owner, task_vars)
                how = "wait for the module to end, or stop it with -e fleet_break_lock=true"
                return {"failed": True, "msg": f"{who}: {how}"}
            if not shown:
                Display().display(f"waiting for {WORK_SECONDS} s at most: {who}")
            shown = True
            time.sleep(POLL_SECONDS)
            answer = {**answer, **self._take(arguments, owner, task_vars)}
        return answer

    def _take(self, arguments: dict[str, Any], owner: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """held: whether another run holds the lock."""
        answer = self._lock(arguments, task_vars)
        if answer.get("failed") or arguments.get("state") == "absent":
            return answer
        gone = answer.get("holder")
        if gone and gone["machine"] == owner["machine"] and _started(gone["pid"]) != gone["started"]:
            # If two runs find the same ended holder, the slower run finds the lock of the faster one.
            answer = self._lock({**arguments, "replaces": gone}, task_vars)
            answer["warnings"] = [f"took over the lock of {_who(gone)}, which has ended without releasing it"]
        holder = answer.get("holder")
        if not holder or _same_run(holder, owner):
            return answer
        how = "wait for that run to end; if its machine is gone, run again with -e fleet_break_lock=true"
        fault = f"{arguments.get('path', 'the lock')} is held by {_who(holder)}: {how}"
        return {"failed": True, "msg": fault, "held": True, "holder": holder}

    def _lock(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="inference.fleet.host_lock", module_args=arguments, task_vars=task_vars
        )
        return answer


def _same_run(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return all(one.get(key) == other[key] for key in ("machine", "pid", "started"))


def _this_run() -> dict[str, Any]:
    """The ansible-playbook process: tasks run in forks of it."""
    pid = os.getppid()
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": pid,
        "started": _started(pid),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "command": _command(pid),
    }


def _machine() -> str:
    """What tells this machine, or this container on it, from another: its ID (machine-id(5); images may all have the
    same), and the namespace of its process IDs (pid_namespaces(7))."""
    try:
        machine = Path("/etc/machine-id").read_text().strip()
    except OSError:
        machine = ""
    try:
        namespace = os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        namespace = ""
    return f"{machine or socket.gethostname()} {namespace}".rstrip()


def _started(pid: int) -> str:
    """When the process started, in the kernel's clock ticks since boot (proc(5), stat, field
    22); empty where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _command(pid: int) -> str:
    """The process's playbook, without options: extra variables may hold secrets."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return "ansible-playbook"
    return shlex.join(["ansible-playbook", *_playbooks(words[1:])])


def _playbooks(words: list[str]) -> list[str]:
    """The words of a command line that are probably playbooks: files and full names
    (`inference.fleet.install`), except after an option whose value they may be."""
    found = [
        (word, before)
        for before, word in zip(["", *words], words)
        if word.endswith((".yml", ".yaml")) or re.fullmatch(r"\w+\.\w+\.\w+", word)
    ]
    return [word for word, before in found if not before.startswith("-")] or [word for word, _before in found[-1:]]


def _patience(holder: dict[str, Any]) -> int:
    """Seconds to wait for a holder even without `wait`: a restore that the host runs by itself ends soon;
    this run may have caused it by starting Docker."""
    return RESTORE_SECONDS if holder["command"].endswith("reboot_restore") else 0


def _who(holder: dict[str, Any]) -> str:
    return f"{holder['user']}@{holder['host']} (PID {holder['pid']}, {holder['command']}) since {holder['since']}"

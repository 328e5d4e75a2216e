# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""This run of ansible-playbook, as the lock of a host names it. No clock that can be set is part of its identity."""

from __future__ import annotations

import getpass
import hashlib
import os
import re
import shlex
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.work import started

FACT = "inference_fleet_lock"
"""The fact of a host whose lock this run has taken: the run's identity, as in the lock's key `run`."""


def this_run() -> dict[str, Any]:
    """The ansible-playbook process: tasks run in forks of it."""
    pid = os.getppid()
    own = {"machine": _machine(), "boot": _boot(), "pid": pid, "started": started(pid)}
    return {
        "user": getpass.getuser(),
        "host": socket.gethostname(),
        **own,
        "run": _digest(own),
        "since": time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime()),
        "command": command(pid),
    }


def lock_of_this_run(task_vars: Mapping[str, Any]) -> str:
    """This run's identity if it has taken the lock of the host; else empty. A fact of a cache is of another run."""
    pid = os.getppid()
    run = _digest({"machine": _machine(), "boot": _boot(), "pid": pid, "started": started(pid)})
    return run if task_vars.get(FACT) == run else ""


def has_ended(holder: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
    """Whether the holder of a lock is a process of this machine that is gone. own: this run.

    After a reboot the machine has another boot ID. But so have two machines that are copies of one image: then only
    machines of the same name are one machine.
    """
    if holder["machine"] != own["machine"]:
        return False
    if holder.get("boot", own["boot"]) != own["boot"]:
        return bool(holder["host"] == own["host"])
    return bool(started(holder["pid"]) != holder["started"])


def command(pid: int) -> str:
    """The process's playbook, without options: extra variables may hold secrets."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").split("\0")
    except OSError:
        return "ansible-playbook"
    return shlex.join(["ansible-playbook", *playbooks(words[1:])])


def playbooks(words: list[str]) -> list[str]:
    """The words of a command line that are probably playbooks: files and full names
    (`inference.fleet.install`), except after an option whose value they may be."""
    found = [
        (word, before)
        for before, word in zip(["", *words], words)
        if word.endswith((".yml", ".yaml")) or re.fullmatch(r"\w+\.\w+\.\w+", word)
    ]
    return [word for word, before in found if not before.startswith("-")] or [word for word, _before in found[-1:]]


def _digest(own: Mapping[str, Any]) -> str:
    words = " ".join(str(own[key]) for key in ("machine", "boot", "pid", "started"))
    return hashlib.sha256(words.encode()).hexdigest()[:32]


def _boot() -> str:
    """The kernel's random ID of the current boot; empty if this is no Linux."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


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

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which run may change the host, and which module changes it now.

A run holds the lock of a host, a file with an owner (inference.fleet.host_lock). The lock can pass to another run while
the first one lives: an admin breaks it, or the host reboots. So each module that acts holds a lock of the kernel on
the file `work` while it runs. Once it has that lock, it checks that the host's lock still belongs to its run. A run
that takes the host's lock over waits for the end of the module that has `work`. The kernel releases `work` when the
module ends in whatever way.
"""

from __future__ import annotations

import fcntl
import json
import os
import signal
import time
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

RUN = "/run/inference-fleet"
FOLDER = RUN
VARIABLE = "INFERENCE_FLEET_RUN"  # in the environment of a module: its run, if the run has taken the host's lock
TRIES = 60  # one a second
KILL_SECONDS = 5  # from SIGTERM to SIGKILL, which also ends a process that is stopped
# The next run continues where one of these was stopped. (Another one may have stopped services that it starts again.)
RESUMABLE = ("caddy_reload", "model_containers", "recipe_image", "service_takeover")
MARKED = (*RESUMABLE, "host_rules", "litellm_key", "mig_partition")
STOPPABLE = (*MARKED, "service_container")
LOST = "another run has taken over the host's lock, or the host was rebooted, so this run stops; run it again"
_HOLDER = {"user", "host", "machine", "pid", "started", "since", "command"}
_held: list[int] = []  # the descriptor of `work` while this module has the lock


@contextmanager
def working(name: str) -> Iterator[None]:
    """The module is the only one that works on the host, and its run holds the host's lock. Waits a minute for another
    module first. Raises FleetError if the other module still works, or if the run has lost the host's lock.

    name: of the module. A user who may not write the mark has taken no lock, and works without the mark.
    """
    try:
        file = _opened(FOLDER)
    except OSError:
        if os.environ.get(VARIABLE):
            raise
        yield
        return
    with file:
        for _try in range(TRIES):
            if _locks(file):
                break
            time.sleep(1)
        else:
            pid, _started, other = _mark(file)
            what = f"{other} (PID {pid}) still works on the host after {TRIES} s: wait for its end, then run again"
            raise FleetError(f"{os.path.join(FOLDER, 'work')}: {what}")
        check_lock()
        file.truncate(0)
        file.write(f"{os.getpid()} {started(os.getpid())} {name}")
        file.flush()
        _held.append(file.fileno())
        try:
            yield
        finally:
            _held.pop()
            file.truncate(0)


def held() -> tuple[int, ...]:
    """For `pass_fds` of a command that changes the host: the lock stays until the command ends, even if its module is
    killed."""
    return tuple(_held)


def check_lock() -> None:
    """Raises FleetError if the module's run has taken the host's lock and does not hold it any more."""
    run = os.environ.get(VARIABLE)
    if not run:
        return
    path = os.path.join(FOLDER, "lock")
    try:
        with open(path, errors="replace") as file:
            holder = parse_holder(file.read())
    except OSError:
        holder = None
    if not holder or holder.get("run") != run:
        raise FleetError(f"{path}: expected the lock of this run, got {who(holder) if holder else 'no lock'}: {LOST}")


def parse_holder(text: str) -> Optional[dict[str, Any]]:
    """The holder of the host's lock; None for a truncated or damaged file."""
    try:
        holder = json.loads(text)
    except ValueError:
        return None
    return holder if isinstance(holder, dict) and holder.keys() >= _HOLDER else None


def who(holder: Mapping[str, Any]) -> str:
    return f"{holder['user']}@{holder['host']} (PID {holder['pid']}, {holder['command']}) since {holder['since']}"


def worker(folder: str, stops: Container[str] = ()) -> Optional[tuple[int, str]]:
    """Process ID and name of the module that works; None if none does. stops: names of modules to end."""
    with _opened(folder) as file:
        if _locks(file):
            return None
        pid, began, name = _mark(file)
        # A mark that a killed module left is not of the process that has the lock now.
        if name in stops and began and began == started(pid):
            for number in (signal.SIGTERM, signal.SIGKILL):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)
                deadline = time.monotonic() + KILL_SECONDS
                while time.monotonic() < deadline:
                    if _locks(file):
                        return None
                    time.sleep(0.05)
        return pid, name


def started(pid: int) -> str:
    """When the process started, in the kernel's clock ticks since boot (proc(5), stat, field 22). Empty where there is
    no such process."""
    try:
        with open(f"/proc/{pid}/stat", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[19]
    except OSError:
        return ""


def _mark(file: IO[str]) -> tuple[int, str, str]:
    """Process ID, start and name of the module that has the lock; 0 and "module" until it has written its mark."""
    file.seek(0)
    words = file.read().split()
    if len(words) == 3 and words[0].isdigit():
        return int(words[0]), words[1], words[2]
    return 0, "", "module"


def _locks(file: IO[str]) -> bool:
    """Takes the lock if nobody has it."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _opened(folder: str) -> IO[str]:
    os.makedirs(folder, mode=0o755, exist_ok=True)
    return open(
        os.open(os.path.join(folder, "work"), os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600), "a+"
    )

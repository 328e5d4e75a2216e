# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which module changes the host now. A module outlives the run that was killed (`kill -9`), so the next run asks."""

from __future__ import annotations

import fcntl
import os
import signal
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Optional

RUN = "/run/inference-fleet"
FOLDER = RUN
TRIES = 60  # one a second
# The next run continues where one of these was stopped. (Another one may have stopped services that it starts again.)
RESUMABLE = ("model_containers", "recipe_image")
MARKED = (*RESUMABLE, "litellm_key", "mig_partition")


@contextmanager
def working(name: str) -> Iterator[None]:
    """Marks this module as the one that works, until it ends in whatever way. Waits a minute for another one first.

    name: of the module. It works without the mark if another module keeps it (inference.fleet.host_lock has waited
    already, except in a restore, which has to go on), or if its user may not write the mark.
    """
    try:
        file = _opened(FOLDER)
    except OSError:
        yield
        return
    with file:
        for _try in range(TRIES):
            if _locks(file):
                file.seek(0)
                file.truncate()
                file.write(f"{os.getpid()} {name}")
                file.flush()
                break
            time.sleep(1)
        yield


def worker(folder: str, stops: Container[str] = ()) -> Optional[tuple[int, str]]:
    """Process ID and name of the module that works; None if none does. stops: names of modules to end."""
    with _opened(folder) as file:
        if _locks(file):
            return None
        file.seek(0)
        pid, _blank, name = file.read().partition(" ")
    if not pid.isdigit():  # it has not written its mark yet
        return 0, "module"
    if name in stops:
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGTERM)
    return int(pid), name


def _locks(file: IO[str]) -> bool:
    """Takes the lock if nobody has it. The kernel releases it when the process ends."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _opened(folder: str) -> IO[str]:
    os.makedirs(folder, mode=0o755, exist_ok=True)
    return open(os.open(os.path.join(folder, "work"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600), "a+")

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One run of the playbook `watch`, its passwords, and why it ended."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from ansible_collections.inference.fleet.plugins.module_utils.watch.observation import one_line

FORKS = 1000  # one for each host; what is not needed costs nothing
END_SECONDS = 5.0  # from SIGTERM to SIGKILL
OPTIONS = {"become": "--become-password-file", "vault": "--vault-password-file"}
KEPT_LINES = 40
LONGEST_LINE = 1_000
_MATTERS = re.compile(r"^(?:\[?ERROR|fatal:|.*Traceback)")
_NO_MATTER = re.compile(r"^(?:PLAY|TASK|ok:|skipping:|\S+ +: ok=|\[WARNING)|^[\s*]*$")
_NEEDS = {
    "vault": re.compile(r"no vault secrets found|vault password|Decryption failed", re.IGNORECASE),
    "become": re.compile(
        r"missing (?:sudo|become|\w+) password|(?:sudo|become): a password is required", re.IGNORECASE
    ),
}


class WatchSettings(Protocol):
    """program: ansible-playbook. inventory: as it gets it. runtime: a folder in memory that only this user reads."""

    @property
    def program(self) -> Path: ...
    @property
    def ansible_config(self) -> Path: ...
    @property
    def inventory(self) -> Path: ...
    @property
    def runtime(self) -> Path: ...


def why_ended(lines: Iterable[str], code: int) -> str:
    """One line from what ansible-playbook printed at the end."""
    said = [line.strip() for line in lines if not _NO_MATTER.match(line)]
    matter = [line for line in said if _MATTERS.match(line)]
    words = " / ".join((matter or said)[-3:])
    ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
    return f"the playbook watch {ended}: {one_line(words, 400)}" if words else f"the playbook watch {ended}"


def needed_password(words: str) -> str | None:
    """`become` or `vault`, if the words say that this password is missing."""
    return next((name for name, pattern in _NEEDS.items() if pattern.search(words)), None)


class WatchProcess:
    """folder: of this run alone; the process ends by itself soon after it is removed, even if this process was killed.
    passwords: become and vault. They go through pipes and are not kept."""

    def __init__(self, settings: WatchSettings, folder: Path, passwords: Mapping[str, str]) -> None:
        self._folder = folder
        self.hosts = folder / "hosts"
        self.hosts.mkdir(mode=0o700, parents=True)
        self.has_passwords = any(passwords.values())
        self.began = time.monotonic()
        self._lines: deque[str] = deque(maxlen=KEPT_LINES)
        pipes = {name: folder / name for name in OPTIONS if passwords.get(name)}
        for pipe in pipes.values():
            os.mkfifo(pipe, 0o600)
        given = (word for name, pipe in pipes.items() for word in (OPTIONS[name], str(pipe)))
        command = [str(settings.program), "-i", str(settings.inventory), *given, "inference.fleet.watch"]
        self._process = subprocess.Popen(
            [*command, "-e", json.dumps({"dest": str(self.hosts)})],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={
                **os.environ,
                "ANSIBLE_CONFIG": str(settings.ansible_config),
                "ANSIBLE_FORKS": str(FORKS),
                "ANSIBLE_NOCOLOR": "1",
            },
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        for name, pipe in pipes.items():
            threading.Thread(target=self._hand_over, args=(pipe, passwords[name]), daemon=True).start()

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def why(self) -> str:
        """Of a process that has ended."""
        self._reader.join(1.0)
        return why_ended(list(self._lines), self._process.returncode or 0)

    def end(self) -> None:
        """Ends the process and those of its hosts."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
                break
        shutil.rmtree(self._folder, ignore_errors=True)

    def _read(self) -> None:
        assert self._process.stdout
        while line := self._process.stdout.readline(LONGEST_LINE):
            self._lines.append(line.rstrip("\n"))

    def _hand_over(self, pipe: Path, password: str) -> None:
        """Waits until the process reads the pipe, or has ended."""
        while self.lives:
            try:
                handle = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO:  # nobody reads yet
                    return
                time.sleep(0.05)
                continue
            with contextlib.suppress(OSError):
                os.write(handle, f"{password}\n".encode())
            os.close(handle)
            break
        pipe.unlink(missing_ok=True)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Live logs: the playbook `logs` with `follow`, while somebody reads."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections import deque

from fleet_page.command import extra_variables, limited
from fleet_page.settings import Settings

LINES = 5_000  # kept; with the health checks, which the page can leave out
UNREAD_SECONDS = 15.0
AGAIN_SECONDS = 3.0  # after the last look at a log that has ended, until it is read again
LONGEST = 2_000  # characters of a line
LONGEST_READ = 65_536  # at once; the rest of such a line is one of its own


class Follows:
    """One process for each log that is read; viewers of the same log share it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._open: dict[tuple[str, str, str], _Follow] = {}
        self._lock = threading.Lock()

    def lines(self, host: str, kind: str, name: str) -> tuple[list[str], bool]:
        """The last lines, and whether more may come. kind: model or service."""
        with self._lock:
            for key, one in list(self._open.items()):
                unread = time.monotonic() - one.read
                if unread > UNREAD_SECONDS or (unread > AGAIN_SECONDS and not one.lives):
                    one.end()
                    del self._open[key]
            key = (host, kind, name)
            if key not in self._open:
                self._open[key] = _Follow(self._settings, *key)
            found = self._open[key]
        found.read = time.monotonic()
        return list(found.seen), found.lives

    def end(self) -> None:
        with self._lock:
            for one in self._open.values():
                one.end()
            self._open.clear()


class _Follow:
    def __init__(self, settings: Settings, host: str, kind: str, name: str) -> None:
        self.read = time.monotonic()
        self.seen: deque[str] = deque(maxlen=LINES)
        options = [*extra_variables({kind: name, "follow": "true", "lines": "2000"}), *limited(host)]
        command = [str(settings.program), "-i", str(settings.inventory), "inference.fleet.logs", *options]
        environment = {**os.environ, "ANSIBLE_CONFIG": str(settings.ansible_config), "ANSIBLE_NOCOLOR": "1"}
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
        self._prefix = f"{host} "
        threading.Thread(target=self._collect, daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        if self.lives:  # else the number may be another process's by now
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGTERM)

    def _collect(self) -> None:
        others: deque[str] = deque(maxlen=20)
        assert self._process.stdout
        while line := self._process.stdout.readline(LONGEST_READ):
            if line.startswith(self._prefix):
                self.seen.append(line.removeprefix(self._prefix).rstrip("\n")[:LONGEST])
            else:
                others.append(line.rstrip("\n")[:LONGEST])
        if self._process.wait() and not self.seen:
            self.seen.extend(line for line in others if line.strip())

    def _watch(self) -> None:
        while self.lives and time.monotonic() - self.read < UNREAD_SECONDS:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(UNREAD_SECONDS / 3)
        if self.lives:
            self.end()

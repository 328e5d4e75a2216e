# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What the hosts do now: the files that the playbook `watch` writes. It runs only while somebody looks."""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of

from fleet_page.watch_process import WatchProcess, WatchSettings, needed_password

UNSEEN_SECONDS = 60.0  # without a viewer, until the playbook is ended
LOOK_SECONDS = 0.5  # between two looks at the files
INVENTORY_SECONDS = 2.0  # between two looks at the inventory; it must be the same twice
LONGEST_SECONDS = 60.0  # until a playbook that ended by itself is started again
PATIENCE_SECONDS = 120.0  # until a host is forgotten that a new playbook does not write of
WAITS_FOR_PASSWORD = "the inventory has changed; give the password again to watch its hosts"


@dataclass(frozen=True)
class Seen:
    """A host's newest observation. If the host cannot be read now, `observation` is the last one that there was, with
    the fault in it. at: seconds since 1970 of what it shows."""

    observation: Mapping[str, Any]
    at: float

    @property
    def fault(self) -> str | None:
        return self.observation.get("fault")

    @property
    def age(self) -> float:
        return max(0.0, time.time() - self.at)


class Live:
    """Shared by all viewers. inventory_digest: differs when a file of the inventory differs; called every few seconds
    while somebody looks."""

    def __init__(self, settings: WatchSettings, inventory_digest: Callable[[], str] = lambda: "") -> None:
        self._settings = settings
        self._inventory_digest = inventory_digest
        self._folder = settings.runtime / "watch"
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._looked = 0.0
        self._closed = False
        self._seen: dict[str, Seen] = {}
        self._read: dict[str, tuple[tuple[int, int, int], str]] = {}  # file -> its state, host
        self._version = 0
        self._note = ""
        self._needs: str | None = None
        self._passwords: dict[str, str] = {}
        self._process: WatchProcess | None = None
        self._starts = _Starts()

    def look(self) -> None:
        """Says that somebody looks. Every viewer calls this every few seconds."""
        with self._lock:
            self._looked = time.monotonic()
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="watch", daemon=True)
                self._thread.start()

    def give(self, passwords: Mapping[str, str]) -> None:
        """Starts the playbook again with these passwords, become or vault. They are given to it and forgotten."""
        with self._lock:
            self._passwords = {name: text for name, text in passwords.items() if text}
            self._needs, self._note = None, ""
            self._version += 1
            self._starts.again()
        self._wake.set()
        self.look()

    def hosts(self) -> dict[str, Seen]:
        with self._lock:
            return dict(self._seen)

    @property
    def version(self) -> int:
        """Differs when `hosts` or `note` do."""
        with self._lock:
            return self._version

    @property
    def note(self) -> str:
        """Why the hosts are not watched; empty if they are."""
        with self._lock:
            return self._note

    @property
    def needs(self) -> str | None:
        """The password without which a host or the inventory cannot be read, become or vault."""
        with self._lock:
            faults = (one.fault for one in self._seen.values() if one.fault)
            return self._needs or next(filter(None, map(needed_password, faults)), None)

    def close(self) -> None:
        """Ends the playbook. Nothing starts it again."""
        with self._lock:
            self._closed = True
            thread = self._thread
        self._wake.set()
        if thread:
            thread.join()

    def _run(self) -> None:
        while self._is_wanted():
            self._wake.clear()
            try:
                self._step()
            except Exception as error:  # else nothing would be watched any more
                self._say(fault_of(error))
                self._starts.failed()
            self._wake.wait(LOOK_SECONDS)

    def _is_wanted(self) -> bool:
        with self._lock:
            if not self._closed and time.monotonic() - self._looked <= UNSEEN_SECONDS:
                return True
            self._thread = None
            process, self._process = self._process, None
        if process:
            process.end()
        return False

    def _step(self) -> None:
        with self._lock:
            given, self._passwords = self._passwords, {}
        changed = self._starts.inventory_changed(self._inventory_digest)
        if self._process and not self._process.lives:
            self._ended(self._process.why())
        if self._process and changed and self._process.has_passwords and not given:
            self._say(WAITS_FOR_PASSWORD)
        elif self._process and (given or changed):
            self._end()
        if self._process is None and (given or changed or (self._starts.due() and not self._needs)):
            self._start(given)
        if self._process:
            self._collect(self._process)

    def _start(self, passwords: Mapping[str, str]) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)  # also ends what a killed service has left
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._read.clear()
        self._process = WatchProcess(self._settings, self._folder / secrets.token_hex(8), passwords)
        with self._lock:
            self._needs = None
        self._say("")

    def _end(self) -> None:
        process, self._process = self._process, None
        if process:
            process.end()

    def _ended(self, why: str) -> None:
        """The playbook has ended by itself."""
        self._end()
        with self._lock:
            self._needs = needed_password(why)
        self._say(why)
        self._starts.failed()

    def _say(self, note: str) -> None:
        with self._lock:
            if note != self._note:
                self._note = note
                self._version += 1

    def _collect(self, process: WatchProcess) -> None:
        """Reads the files that changed."""
        found: dict[str, Seen] = {}
        for path in process.hosts.glob("[!.]*.json"):
            with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
                state = path.stat()
                mark = (state.st_ino, state.st_mtime_ns, state.st_size)
                if self._read.get(path.name, (None,))[0] != mark:
                    document = json.loads(path.read_text())
                    found[document["host"]] = Seen(document, document["time"])
                    self._read[path.name] = mark, document["host"]
        if found:
            self._starts.succeeded()
        late = time.monotonic() - process.began > PATIENCE_SECONDS
        with self._lock:
            gone = set(self._seen) - {host for _mark, host in self._read.values()} if late else set()
            for host, one in found.items():
                self._seen[host] = _with_last(one, self._seen.get(host))
            for host in gone:
                del self._seen[host]
            self._version += bool(found or gone)


def _with_last(new: Seen, last: Seen | None) -> Seen:
    """The last observation with the fault, if there is one and the host cannot be read now."""
    if not new.fault or last is None or "containers" not in last.observation:
        return new
    return Seen({**last.observation, "fault": new.fault}, last.at)


class _Starts:
    """When the playbook is started, and whether the inventory has changed since."""

    def __init__(self) -> None:
        self._failures = 0
        self._next = 0.0
        self._checked = 0.0
        self._digest: str | None = None  # of the inventory that the playbook was started with
        self._candidate: str | None = None

    def due(self) -> bool:
        return time.monotonic() >= self._next

    def again(self) -> None:
        self._failures, self._next = 0, 0.0

    def failed(self) -> None:
        self._failures += 1
        self._next = time.monotonic() + min(2.0 ** min(self._failures, 10), LONGEST_SECONDS)

    def succeeded(self) -> None:
        self._failures = 0

    def inventory_changed(self, digest_of: Callable[[], str]) -> bool:
        """Once for each change, when nobody writes any more."""
        if time.monotonic() - self._checked < INVENTORY_SECONDS:
            return False
        self._checked = time.monotonic()
        digest = digest_of()
        before, self._candidate = self._candidate, digest
        if self._digest is None or digest != before:
            self._digest = self._digest or digest
            return False
        changed, self._digest = digest != self._digest, digest
        return changed

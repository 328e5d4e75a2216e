# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs of playbooks: each a process of its own, which outlives the page, with a folder that keeps its history."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.progress import Progress, followed

from fleet_page.command import limited, typed
from fleet_page.disk import why
from fleet_page.settings import Settings

KEPT = 500  # runs
DEPLOYS = ("add_model", "install", "remove_model", "rollback")
IDENT = "run"
RUNS, DONE, FAILED, STOPPED, LOST = "runs", "done", "failed", "stopped", "lost"
MOST_LOG = 390_000  # bytes that a page gets
ID = re.compile(r"\d{8}-\d{6}-[0-9a-f]{4}")
BEGIN_SECONDS = 60  # until a run has its process
REQUEST, PROCESS, STOP, COPY = "request.json", "process.json", "stopped-by", "inventory"
log = logging.getLogger("inference-fleet-page")


@dataclass(frozen=True)
class Request:
    """options: of the playbook (-e). limit: hosts. inventory: a copy that is removed after the run, else the page's."""

    playbook: str
    who: str
    options: Mapping[str, str] = field(default_factory=dict)
    limit: str = ""
    check: bool = False
    title: str = ""
    when: str = ""
    inventory: str = ""
    looks: bool = False  # changes nothing

    def command(self) -> str:
        """As a person would type it."""
        return typed(self.playbook, self.options, self.limit, self.check)


@dataclass(frozen=True)
class Run:
    """state: one of the constants. ended: seconds since 1970, None while it runs."""

    id: str
    folder: Path
    request: Request
    state: str
    ended: float | None = None
    stopped_by: str = ""

    @property
    def began(self) -> datetime:
        return datetime.fromisoformat(self.request.when)

    @property
    def events(self) -> Path:
        return self.folder / "artifacts" / IDENT / "job_events"

    @property
    def log(self) -> Path:
        return self.folder / "artifacts" / IDENT / "stdout"


class Runs:
    """The history, in settings.folder/runs."""

    def __init__(self, settings: Settings, copies: Callable[..., AbstractContextManager[tuple[Path, Path]]]) -> None:
        """copies: makes a copy of the inventory with other texts."""
        self._settings, self._copies = settings, copies
        self._folder = settings.folder / "runs"
        self._progress: dict[str, tuple[Progress, frozenset[str]]] = {}
        self._ended: dict[str, Run] = {}
        self._lock = threading.Lock()

    def start(
        self, request: Request, passwords: Mapping[str, str] | None = None, texts: Mapping[Path, Any] | None = None
    ) -> str:
        """Starts a run and returns its ID. passwords: become and vault; no file has them. texts: of a proposal that a
        run in check mode looks at. Raises FleetError."""
        limited(request.limit)
        now = datetime.now(UTC)
        id = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
        folder = self._folder / id
        with ExitStack() as stack:
            try:
                folder.mkdir(parents=True, mode=0o700)
                inventory = ""
                if texts:
                    source, copied = stack.enter_context(self._copies(texts))
                    kept = folder / COPY
                    shutil.copytree(copied, kept)
                    inventory = str(kept / source.relative_to(copied))
                request = Request(
                    **{**asdict(request), "when": now.isoformat(timespec="seconds"), "inventory": inventory}
                )
                (folder / REQUEST).write_text(json.dumps(asdict(request)))
                self._begin(folder, passwords or {})
            except OSError as error:
                shutil.rmtree(folder, ignore_errors=True)  # the first fault is the one to tell
                raise FleetError(f"{error.filename or self._folder}: {why(error)}; no run was started") from None
        self._prune()
        return id

    def _begin(self, folder: Path, passwords: Mapping[str, str]) -> None:
        with (folder / "starter.log").open("wb") as words:
            process = subprocess.Popen(
                [sys.executable, "-m", "fleet_page.run", str(folder)],
                stdin=subprocess.PIPE,
                stdout=words,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # lives on if the service ends
                cwd=folder,
            )
        try:
            (folder / PROCESS).write_text(json.dumps({"pid": process.pid, "began": _began(process.pid)}))
        except OSError:
            process.kill()
            raise
        given = {"program": str(self._settings.program), "config": str(self._settings.ansible_config)}
        assert process.stdin
        with process.stdin as pipe:
            pipe.write(
                json.dumps({**given, "inventory": str(self._settings.inventory), "passwords": dict(passwords)}).encode()
            )
        threading.Thread(target=process.wait, daemon=True).start()  # no zombie stays

    def all(self) -> list[Run]:
        """The newest first."""
        try:
            ids = sorted((one.name for one in self._folder.iterdir()), reverse=True)
        except OSError:
            return []
        return [run for id in ids if (run := self.run(id))]

    def active(self) -> list[Run]:
        return [run for run in self.all() if run.state == RUNS]

    def changing(self, limit: str) -> Run | None:
        """The run that changes one of these hosts now: the next one would fail at its lock."""
        return next((run for run in self.active() if not run.request.looks and _meet(run.request.limit, limit)), None)

    def last(self, host: str, model: str) -> Run | None:
        """The newest run that was to change the model on the host."""
        asked = ((run, run.request) for run in self.all())
        return next(
            (
                run
                for run, request in asked
                if not request.looks
                and request.playbook in DEPLOYS
                and _meet(request.limit, host)
                and request.options.get("model", model) == model
            ),
            None,
        )

    def run(self, id: str) -> Run | None:
        if id in self._ended:
            return self._ended[id]
        if not ID.fullmatch(id):  # from a browser
            return None
        folder = self._folder / id
        asked = _request(folder)
        if not asked:
            return None
        lives = self._lives(folder)  # before its result, which it writes last
        stopped = _text(folder / STOP)
        artifacts = folder / "artifacts" / IDENT
        status, code = _text(artifacts / "status"), _text(artifacts / "rc")
        if code:
            state = DONE if code == "0" else STOPPED if stopped else FAILED
        elif lives:
            return Run(id, folder, asked, RUNS, stopped_by=stopped)
        else:
            state = STOPPED if stopped else LOST
            shutil.rmtree(folder / COPY, ignore_errors=True)  # what is left goes with the history
        written = artifacts / "rc" if code else folder / (PROCESS if not status else f"artifacts/{IDENT}/status")
        run = Run(id, folder, asked, state, _modified(written), stopped)
        self._ended[id] = run
        return run

    def progress(self, run: Run) -> Progress:
        with self._lock:
            known, seen = self._progress.get(run.id, (Progress(), frozenset()))
            try:
                names = {one.name for one in run.events.iterdir() if one.name.endswith(".json")}
            except OSError:
                return known
            events = {name: event for name in names - seen if (event := _json(run.events / name))}
            known = followed(known, events.values())
            self._progress[run.id] = known, seen | events.keys()
            return known

    def log(self, run: Run) -> str:
        """The end of it, as ansible-playbook printed it; what failed before, if it printed nothing."""
        return _tail(run.log) or ("" if run.state == RUNS else _tail(run.folder / "starter.log"))

    def stop(self, id: str, who: str) -> None:
        """As Ctrl-C in a terminal: the playbook releases the lock of the hosts. A second stop kills it."""
        run = self.run(id)
        if not run or run.state != RUNS:
            return
        starter = _json(run.folder / PROCESS).get("pid")
        again = bool(run.stopped_by)
        try:
            (run.folder / STOP).write_text(who)
        except OSError as error:  # the run ends all the same
            log.warning("%s: %s", run.folder / STOP, why(error))
        found = [*_playbooks(starter)] if starter else []
        with contextlib.suppress(ProcessLookupError):
            for pid in found:
                os.killpg(pid, signal.SIGKILL if again else signal.SIGINT)
            if starter and not found:  # it has not begun, or does not end
                os.kill(starter, signal.SIGKILL if again else signal.SIGTERM)

    def _lives(self, folder: Path) -> bool:
        process = _json(folder / PROCESS)
        if process:
            return process["began"] is not None and _began(int(process["pid"])) == process["began"]
        return time.time() - _modified(folder / REQUEST) < BEGIN_SECONDS

    def _prune(self) -> None:
        for run in self.all()[KEPT:]:
            if run.state != RUNS:
                shutil.rmtree(run.folder, ignore_errors=True)  # what is left is tried again after the next start
                self._ended.pop(run.id, None)
                self._progress.pop(run.id, None)


def _meet(limit: str, other: str) -> bool:
    """Whether two limits have a host in common. An empty one has all."""
    return not limit or not other or bool({*limit.split(",")} & {*other.split(",")})


def _playbooks(pid: int) -> Iterator[int]:
    """The processes of ansible-playbook that a run started, which has a session of its own (a terminal)."""
    for line in subprocess.run(
        ["ps", "-eo", "pid=,ppid=,sid="], capture_output=True, text=True, check=False
    ).stdout.splitlines():
        child, parent, session = map(int, line.split())
        if parent == pid and session == child:
            yield child


def _began(pid: int) -> str | None:
    """When the process began, in ticks since the boot; with its ID, this is no other process."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return None
    return None if fields[0] == "Z" else f"{boot} {fields[19]}"


def _request(folder: Path) -> Request | None:
    """None if the folder is of no run, or a full disk has left no more."""
    try:
        found = Request(**_json(folder / REQUEST))
        datetime.fromisoformat(found.when)
    except (TypeError, ValueError):
        return None
    return found


def _json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError):
        return {}


def _text(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def _modified(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return time.time()


def _tail(file: Path) -> str:
    try:
        with file.open("rb") as found:
            found.seek(0, os.SEEK_END)
            size = found.tell()
            found.seek(max(0, size - MOST_LOG))
            text = found.read().decode(errors="replace")
    except OSError:
        return ""
    return text if size <= MOST_LOG else f"[the first {size - MOST_LOG:,} bytes are left out]\n{text}"

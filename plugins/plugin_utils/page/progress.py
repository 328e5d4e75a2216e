# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How far a run is, from the events that ansible-runner writes, one after the other.

An event has `event`, `created` (ISO 8601, UTC) and `event_data` (ansible-runner, "Runner Event Structure").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Union

RUNS, CHANGED, FAILED, DONE = "runs", "changed", "failed", "done"
HIDDEN = "not shown, since the task handles a secret (no_log)"
LONGEST = 2_000  # characters of a message


@dataclass(frozen=True)
class HostProgress:
    """A host in a run. changed: the names of tasks that changed something, in order. faults: what failed."""

    name: str
    task: str = ""
    ok: int = 0
    changed: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    ended: bool = False

    @property
    def state(self) -> str:
        if self.faults:
            return FAILED
        if not self.ended:
            return RUNS
        return CHANGED if self.changed else DONE


@dataclass(frozen=True)
class Progress:
    """A run. counter: of the last event; tasks: how many began; seconds: of the run so far."""

    counter: int = 0
    play: str = ""
    task: str = ""
    tasks: int = 0
    began: Union[datetime, None] = None
    last: Union[datetime, None] = None
    ended: bool = False
    hosts: Mapping[str, HostProgress] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return (self.last - self.began).total_seconds() if self.began and self.last else 0.0


def followed(progress: Progress, events: Iterable[Mapping[str, Any]]) -> Progress:
    """The progress after further events. An event that was counted already has no effect."""
    for event in sorted(events, key=lambda one: int(one.get("counter", 0))):
        if int(event.get("counter", 0)) > progress.counter:
            progress = _after(progress, event)
    return progress


def _after(progress: Progress, event: Mapping[str, Any]) -> Progress:
    kind, data = str(event.get("event", "")), event.get("event_data") or {}
    moment = datetime.fromisoformat(str(event["created"])) if event.get("created") else progress.last
    progress = replace(
        progress, counter=int(event["counter"]), began=progress.began or moment, last=moment or progress.last
    )
    if kind == "playbook_on_play_start":
        return replace(progress, play=_name(data.get("play")))
    if kind in ("playbook_on_task_start", "playbook_on_handler_task_start"):
        return replace(progress, task=_name(data.get("task")), tasks=progress.tasks + 1)
    if kind == "playbook_on_stats":
        return _ended(progress, data)
    if kind.startswith("runner_on_") and data.get("host"):
        host = _host_after(progress.hosts.get(data["host"], HostProgress(data["host"])), kind, data)
        return replace(progress, hosts={**progress.hosts, host.name: host})
    return progress


def _host_after(host: HostProgress, kind: str, data: Mapping[str, Any]) -> HostProgress:
    task = _name(data.get("task"))
    result = data["res"] if isinstance(data.get("res"), Mapping) else {}
    if kind == "runner_on_start":
        return replace(host, task=task)
    if kind == "runner_on_ok":
        changed = (*host.changed, task) if result.get("changed") else host.changed
        return replace(host, ok=host.ok + 1, changed=changed)
    if kind in ("runner_on_failed", "runner_on_unreachable") and not data.get("ignore_errors"):
        return replace(host, faults=(*host.faults, f"{task}: {message(result)}"))
    return host


def _ended(progress: Progress, data: Mapping[str, Any]) -> Progress:
    """The numbers at the end decide: a block with `rescue` makes good what a task failed in."""
    lost = {*_hosts(data, "failures"), *_hosts(data, "dark")}
    hosts = {
        name: replace(host, ended=True, task="", faults=(host.faults or ("failed",)) if name in lost else ())
        for name, host in progress.hosts.items()
    }
    return replace(progress, ended=True, task="", hosts=hosts)


def _hosts(data: Mapping[str, Any], kind: str) -> Iterable[str]:
    found = data.get(kind)
    return [name for name, count in found.items() if count] if isinstance(found, Mapping) else []


def message(result: Mapping[str, Any]) -> str:
    """What a failed task says."""
    if "censored" in result:
        return HIDDEN
    items = [one for one in result.get("results") or () if isinstance(one, Mapping) and one.get("failed")]
    texts = [message(one) for one in items] or [str(result.get("msg") or result.get("stderr") or "failed").strip()]
    return "; ".join(texts)[:LONGEST]


def _name(value: Any) -> str:
    return str(value or "").strip()

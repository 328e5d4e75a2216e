# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Runs of playbooks: the history, and how far a run is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from ansible_collections.inference.fleet.plugins.plugin_utils.page import progress as folded
from ansible_collections.inference.fleet.plugins.plugin_utils.page.progress import Progress

from fleet_page.runs import DONE, FAILED, LOST, RUNS, STOPPED, Run
from fleet_page.views import parts
from fleet_page.views.parts import Markup

KINDS = {RUNS: parts.BUSY, DONE: parts.GOOD, FAILED: parts.BAD, STOPPED: parts.IDLE, LOST: parts.BAD}
WORDS = {RUNS: "runs", DONE: "done", FAILED: "failed", STOPPED: "stopped", LOST: "ended without a result"}
STATES = {
    folded.RUNS: (parts.BUSY, "runs"),
    folded.CHANGED: (parts.GOOD, "changed"),
    folded.FAILED: (parts.BAD, "failed"),
    folded.DONE: (parts.GOOD, "no change"),
}
SHOWN = 20  # names of changes


def history(found: Iterable[Run], now: datetime | None = None) -> Markup:
    now = now or datetime.now(UTC)
    rows, picks = [], []
    for run in found:
        request = run.request
        seconds = (run.ended or now.timestamp()) - run.began.timestamp()
        command = parts.text(request.command().removeprefix("ansible-playbook "), 160)
        frame = Markup("<strong>{}</strong><br><small><code>{}</code></small>")
        what = frame.format(request.title or request.playbook, command)
        state = parts.mark(KINDS[run.state], WORDS[run.state])
        rows.append((what, state, request.who, f"{run.began:%Y-%m-%d %H:%M:%S} UTC", parts.duration(max(seconds, 0))))
        picks.append(run.id)
    if not rows:
        return parts.empty("No run yet", "Each playbook that is started here is kept with who, when, what and its log.")
    return parts.table(("What", "Outcome", "Who", "When", "Took"), rows, picks, label="Runs")


def live(run: Run, progress: Progress) -> Markup:
    """How far a run is."""
    request = run.request
    state = parts.mark(KINDS[run.state], WORDS[run.state])
    seconds = (run.ended or datetime.now(UTC).timestamp()) - run.began.timestamp()
    head = parts.heading(
        request.title or request.playbook, parts.joined([state, Markup(" "), parts.duration(max(0, seconds))])
    )
    where = Markup("<p><code>{}</code><br><small>by {}, {}</small></p>").format(
        parts.text(request.command(), 300), request.who, f"{run.began:%Y-%m-%d %H:%M:%S} UTC"
    )
    stopped = parts.note(f"stopped by {run.stopped_by}") if run.stopped_by else Markup("")
    task = parts.note(f"{progress.play}: {progress.task}") if run.state == RUNS and progress.task else Markup("")
    return parts.joined([head, where, stopped, task, _hosts(run, progress), _faults(progress)])


def _hosts(run: Run, progress: Progress) -> Markup:
    rows = []
    for host in progress.hosts.values():
        kind, words = STATES[host.state]
        if run.state != RUNS and host.state == folded.RUNS:
            kind, words = parts.IDLE, "not finished"
        changed = list(dict.fromkeys(host.changed))
        shown = "; ".join(changed[:SHOWN]) + (f" and {len(changed) - SHOWN} more" if len(changed) > SHOWN else "")
        rows.append((host.name, parts.mark(kind, words), host.task or "-", str(host.ok), shown or "-"))
    if not rows:
        return Markup("")
    return parts.table(("Host", "State", "Task", "Tasks done", "Changed"), rows, label="Hosts of the run")


def _faults(progress: Progress) -> Markup:
    found = {name: host.faults for name, host in progress.hosts.items() if host.faults}
    return parts.faults(f"{name}: {fault}" for name, of_host in found.items() for fault in of_host)

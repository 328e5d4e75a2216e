# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One model: what the inventory says, and what its containers do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fleet_page.edits import Host
from fleet_page.runs import DONE, RUNS, STOPPED, Run
from fleet_page.views import parts
from fleet_page.views.overview import REMOVED, ModelRow
from fleet_page.views.parts import Markup


def about(row: ModelRow, host: Host, last: Run | None = None) -> Markup:
    """last: the newest run that was to change the model."""
    head = parts.heading(
        Markup("{} <small>on {}</small>").format(parts.text(row.name), row.host), parts.mark(row.health, row.words)
    )
    lines = [
        ("Source", row.source),
        ("Type", row.type),
        ("Image", row.image or "-"),
        ("Endpoint", _endpoint(row, host)),
    ]
    facts = parts.joined(Markup("<dt>{}</dt><dd>{}</dd>").format(name, parts.text(value)) for name, value in lines)
    return parts.joined(
        [head, Markup('<dl class="facts">{}</dl>').format(facts), _run(row, last), _why(row, last), _containers(row)]
    )


def _endpoint(row: ModelRow, host: Host) -> str:
    if not host.fleet:
        return "-"
    public = host.fleet.public()
    entry = next((one for one in public["models"] if one["name"] == row.name), None)
    if not entry:
        return "-"
    if entry["in_gateway"]:
        return f"{public['base_url']}/v1"
    return f"{public['base_url']}/models/{row.name}/v1" if entry["has_direct_route"] else "none: set direct: true"


def _run(row: ModelRow, last: Run | None) -> Markup:
    """A run that changes the model, or failed to."""
    if last is None or last.state in (DONE, STOPPED):
        return Markup("")
    title = last.request.title or last.request.playbook
    if last.state == RUNS:
        words = f"The run «{title}» is not done: what it changes reaches clients when it has ended (tab Runs)."
        return parts.note(words)
    if row.health == parts.GOOD:
        return Markup("")
    when = f"{last.began:%Y-%m-%d %H:%M} UTC"
    words = f"«{title}» by {last.request.who}, {when}: the tab Runs has its fault and its log, and starts it again"
    return parts.faults([words], "The last run failed")


def _why(row: ModelRow, last: Run | None) -> Markup:
    """Why a model is down, and what to do next."""
    if row.health not in (parts.BAD, parts.BUSY):
        return Markup("")
    if row.state == REMOVED:
        return parts.note(
            "The inventory does not have this model any more, and its containers are still there: a run that should "
            "remove them has failed, or nobody ran it. «Remove» runs the playbook remove_model."
        )
    if not row.containers:
        return parts.note(
            "No container: the inventory has the model, and no run has deployed it. The tab Runs starts the playbook "
            "add_model."
            if last is None
            else "No container."
        )
    found = [_fault(one) for one in row.containers if not one.get("ready")]
    return (
        parts.faults(found, "Not ready; the end of the log below says why")
        if row.health == parts.BAD
        else parts.note("; ".join(found))
    )


def _fault(container: Mapping[str, Any]) -> str:
    name, status = container.get("name"), container.get("status")
    restarts = f", restarted {container['restarts']} times by Docker" if container.get("restarts") else ""
    if status == "running":
        return f"{name} runs since {container.get('started_at', '')[:19]}, and does not answer yet{restarts}"
    code = container.get("exit_code")
    return f"{name} is {status}" + (f" with exit code {code}" if code is not None else "") + restarts


def _containers(row: ModelRow) -> Markup:
    rows = [
        (
            one.get("name", ""),
            _state(one),
            one.get("device") or "CPU",
            str(one.get("started_at", ""))[:19].replace("T", " "),
            one.get("restarts") or 0,
        )
        for one in row.containers
    ]
    return (
        parts.table(("Container", "State", "Device", "Since (UTC)", "Restarts"), rows, label="Containers")
        if rows
        else Markup("")
    )


def _state(container: Mapping[str, Any]) -> Markup:
    if container.get("ready"):
        return parts.mark(parts.GOOD, "ready")
    status = container.get("status", "")
    return parts.mark(parts.BUSY if status == "running" else parts.BAD, status)

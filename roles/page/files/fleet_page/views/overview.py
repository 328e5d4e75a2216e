# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fleet at a glance: hosts, models, services, alerts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fleet_page.edits import Host, Snapshot
from fleet_page.views import parts
from fleet_page.views.parts import Markup

MANY_RESTARTS = 2  # by Docker, of a container that is not ready
REMOVED = "removed"  # not in the inventory


@dataclass(frozen=True)
class ModelRow:
    """A model of the inventory on a host, with what is seen of its containers. devices: texts."""

    host: str
    name: str
    type: str
    source: str
    state: str
    wanted: int
    ready: int
    devices: tuple[str, ...]
    image: str
    containers: tuple[Mapping[str, Any], ...]
    seen: bool
    requests: float | None = None
    tokens: float | None = None

    @property
    def pick(self) -> str:
        return f"{self.host}/{self.name}"

    @property
    def health(self) -> str:
        if self.state == "stopped":
            return parts.IDLE
        if self.state == REMOVED:
            return parts.BAD
        if not self.seen:
            return parts.IDLE
        if self.ready == self.wanted:
            return parts.GOOD
        return parts.BUSY if any(_loads(one) for one in self.containers) else parts.BAD

    @property
    def words(self) -> str:
        if self.state == "stopped":
            return "stopped"
        if self.state == REMOVED:
            return "not in the inventory, still there"
        if not self.seen:
            return "not seen"
        if self.ready == self.wanted:
            return "ready"
        if not self.containers:
            return "not deployed"
        return "loading" if self.health == parts.BUSY else "down"


def _loads(container: Mapping[str, Any]) -> bool:
    """A container that Docker starts again and again does not load, also while it runs."""
    restarts = container.get("restarts")
    fails = isinstance(restarts, int) and restarts >= MANY_RESTARTS
    return container.get("status") == "running" and container.get("health") in ("", "starting", None) and not fails


def model_rows(snapshot: Snapshot, seen: Mapping[str, Any]) -> list[ModelRow]:
    """seen: host -> its observation."""
    found = [(name, host, seen.get(name) or {}) for name, host in snapshot.hosts.items()]
    return [row for one in found for row in (*_of_host(*one), *_left(*one))]


def _of_host(name: str, host: Host, seen: Mapping[str, Any]) -> Iterator[ModelRow]:
    containers = seen.get("containers") or ()
    metrics = seen.get("metrics") or {}
    known = bool(seen) and not seen.get("fault")
    for entry in host.models:
        model = str(entry.get("name", "(no name)"))
        if entry.get("state") == "absent":
            continue
        state = str(entry.get("state", "running"))
        own = tuple(one for one in containers if one.get("model") == model)
        replicas = entry.get("replicas", 1)
        yield ModelRow(
            host=name,
            name=model,
            type=str(entry.get("type", "")),
            source=str(entry.get("source", "")),
            state=state,
            wanted=(replicas if isinstance(replicas, int) else 1) if state == "running" else 0,
            ready=sum(bool(one.get("ready")) for one in own),
            devices=_devices_of(own),
            image=str(own[0].get("image", "")) if own else str(entry.get("image", "")),
            containers=own,
            seen=known,
            requests=(metrics.get("requests") or {}).get(model),
            tokens=(metrics.get("tokens") or {}).get(model),
        )


def _devices_of(containers: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one.get("device") or "CPU") for one in containers))


def _left(name: str, host: Host, seen: Mapping[str, Any]) -> Iterator[ModelRow]:
    """Models that the inventory does not have, and that still have containers: a removal that failed, for instance."""
    known = {str(entry.get("name")) for entry in host.models if entry.get("state") != "absent"}
    containers = [one for one in seen.get("containers") or () if one.get("model") and one["model"] not in known]
    for model in dict.fromkeys(str(one["model"]) for one in containers):
        own = tuple(one for one in containers if one["model"] == model)
        devices = _devices_of(own)
        ready = sum(bool(one.get("ready")) for one in own)
        image = str(own[0].get("image", ""))
        yield ModelRow(name, model, str(own[0].get("type") or ""), "", REMOVED, 0, ready, devices, image, own, True)


def unusable(snapshot: Snapshot, faults: Iterable[str]) -> Markup:
    """faults: of the inventory as it is. snapshot: of what is shown below them."""
    shown = parts.faults(faults, "The inventory cannot be used")
    below = shown and snapshot.hosts
    return (
        parts.joined([shown, parts.note("Below is the fleet as it was before, with what its hosts do now.")])
        if below
        else shown
    )


def overview(snapshot: Snapshot, seen: Mapping[str, Any], note: str = "", faults: Iterable[str] = ()) -> Markup:
    """faults: that concern all of the inventory as it is; snapshot is then an older one, if there is any."""
    fault = unusable(snapshot, faults)
    if not snapshot.hosts and fault:
        return fault
    rows = model_rows(snapshot, seen)
    return parts.joined(
        [
            fault,
            parts.faults([note] if note else [], "The hosts are not watched"),
            _cards(snapshot, seen, rows),
            parts.heading("Hosts"),
            hosts_table(snapshot, seen),
            parts.heading("Models"),
            models_table(rows)
            if rows
            else parts.empty("No model yet", "Add one in the tab Models: a name, a type and a source are enough."),
            parts.heading("Services"),
            services_table(seen),
            _alerts(seen),
        ]
    )


def _cards(snapshot: Snapshot, seen: Mapping[str, Any], rows: Iterable[ModelRow]) -> Markup:
    rows = list(rows)
    found = [seen.get(name) or {} for name in snapshot.hosts]
    reached = [one for one in found if one and not one.get("fault")]
    hosts = parts.BAD if any(one.get("fault") for one in found) else parts.IDLE if not all(found) else parts.GOOD
    running = [row for row in rows if row.state == "running"]
    ready = [row for row in running if row.health == parts.GOOD]
    down = [row for row in running if row.health == parts.BAD]
    alerts = [one for host in seen.values() for one in (host or {}).get("alerts") or ()]
    cards = [
        (
            "Hosts",
            f"{len(reached)} of {len(found)}",
            hosts,
            "reached",
        ),
        (
            "Models",
            f"{len(ready)} of {len(running)}",
            parts.GOOD if len(ready) == len(running) else parts.BUSY,
            "ready",
        ),
        (
            "Down",
            str(len(down)),
            parts.BAD if down else parts.GOOD,
            ", ".join(row.name for row in down[:3]) or "no model",
        ),
        ("Alerts", str(len(alerts)), parts.BAD if alerts else parts.GOOD, "firing"),
    ]
    frame = Markup('<div class="card {}"><small>{}</small><b>{}</b><small>{}</small></div>')
    made = (frame.format(kind, name, count, parts.text(words, 60)) for name, count, kind, words in cards)
    return Markup('<div class="cards">{}</div>').format(parts.joined(made))


def hosts_table(snapshot: Snapshot, seen: Mapping[str, Any]) -> Markup:
    rows = []
    for name, host in snapshot.hosts.items():
        found = seen.get(name) or {}
        fault = found.get("fault")
        if not found:
            state = parts.mark(parts.IDLE, "not seen yet")
        elif fault:
            state = parts.joined(
                [parts.mark(parts.BAD, "no answer"), Markup("<br><small>"), parts.text(fault), Markup("</small>")]
            )
        elif found.get("drained_since"):
            state = parts.mark(parts.BUSY, "drained")
        else:
            state = parts.mark(parts.GOOD, "answers")
        restore = found.get("last_restore") or {}
        words = " ".join(restore.get("text") or ()) or "-"
        rows.append(
            (
                name,
                state,
                _devices(found),
                str(len(host.models)),
                parts.text(words, 120),
                parts.age(found.get("time")),
            )
        )
        if host.faults:
            rows[-1] = (name, parts.joined([state, parts.faults(host.faults[:3])]), *rows[-1][2:])
    return parts.table(("Host", "State", "Devices", "Models", "Last restore", "Seen"), rows, label="Hosts")


def _devices(found: Mapping[str, Any]) -> str:
    gpus = found.get("gpus") or ()
    if not found or found.get("fault"):
        return "-"
    return f"{len(gpus)} GPU{'s' * (len(gpus) > 1)}" if gpus else "CPU"


def models_table(rows: Iterable[ModelRow], picks: bool = False) -> Markup:
    rows = list(rows)
    several = len({row.host for row in rows}) > 1
    measured = any(row.requests is not None for row in rows)
    figures = ["Requests/s", "Tokens/s"] if measured else []
    head = [
        "Model",
        "State",
        "Replicas",
        "Type",
        *(["Host"] if several else []),
        "Device",
        *figures,
        *([] if picks else ["Source"]),
    ]
    lines = []
    for row in rows:
        measures = [_figure(row.requests), _figure(row.tokens)] if measured else []
        lines.append(
            [
                Markup("<strong>{}</strong>").format(parts.text(row.name)),
                parts.mark(row.health, row.words),
                f"{row.ready} / {row.wanted}",
                row.type,
                *([row.host] if several else []),
                ", ".join(row.devices) or "-",
                *measures,
                *([] if picks else [parts.text(row.source, 60)]),
            ]
        )
    return parts.table(head, lines, [row.pick for row in rows] if picks else None, label="Models")


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.1f}"


def services_table(seen: Mapping[str, Any]) -> Markup:
    rows = []
    for host, found in seen.items():
        for one in (found or {}).get("containers") or ():
            if one.get("service"):
                well = one.get("status") == "running" and one.get("health") in ("", "healthy", None)
                kind = parts.GOOD if well else parts.BUSY if one.get("health") == "starting" else parts.BAD
                words = "running" if well else one.get("health") or one.get("status")
                rows.append((one["service"], parts.mark(kind, words), host, one.get("image", "")))
    if not rows and not any(one and not one.get("fault") for one in seen.values()):
        return parts.note("No host has answered yet.")
    if not rows:
        return parts.empty(
            "No service seen", "After the first run of the playbook install, Caddy, LiteLLM and PostgreSQL are here."
        )
    return parts.table(
        ("Service", "State", "Host", "Image"), sorted(rows, key=lambda row: (row[2], row[0])), label="Services"
    )


def _alerts(seen: Mapping[str, Any]) -> Markup:
    rows, off = [], []
    for host, found in seen.items():
        if not found or found.get("fault"):
            continue
        if found.get("alerts") is None:
            off.append(host)
        for one in found.get("alerts") or ():
            rows.append(
                (parts.mark(parts.BAD, one.get("name", "")), host, one.get("summary", ""), one.get("severity", ""))
            )
    if rows:
        return parts.joined(
            [parts.heading("Alerts"), parts.table(("Alert", "Host", "What", "Severity"), rows, label="Alerts")]
        )
    if off:
        words = (
            f"Monitoring is off on {', '.join(off)}: set fleet_monitoring in the tab HTTPS and settings for alerts and "
            "figures per model."
        )
        return parts.joined([parts.heading("Alerts"), parts.note(words)])
    return Markup("")

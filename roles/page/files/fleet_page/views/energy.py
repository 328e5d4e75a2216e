# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What models took, and where the dashboards are."""

from __future__ import annotations

from typing import Any

from fleet_page.edits import Snapshot
from fleet_page.views import parts
from fleet_page.views.parts import Markup

MOST_SESSIONS = 50


def sums(periods: Any, sessions: Any) -> Markup:
    """periods, sessions: DataFrames of the playbook energy_report."""
    cost = next((name for name in periods.columns if name.startswith("cost")), None)
    figures = ["kwh", "hours", *([cost] if cost else [])]
    unit = (cost or "").removeprefix("cost").lstrip("_")
    by_model = periods.groupby(["model", "host"], as_index=False)[figures].sum().sort_values("kwh", ascending=False)
    head = ["Model", "Host", "kWh", "Hours", *([f"Cost {unit}".strip()] if cost else [])]
    rows = [
        [
            row["model"],
            row["host"],
            f"{row['kwh']:,.3f}",
            f"{row['hours']:,.1f}",
            *([f"{row[cost]:,.2f}"] if cost else []),
        ]
        for _number, row in by_model.iterrows()
    ]
    total = [f"{by_model['kwh'].sum():,.3f} kWh", *([f"{by_model[cost].sum():,.2f} {unit}"] if cost else [])]
    blocks = [parts.heading("Sum by model", " · ".join(total)), parts.table(head, rows, label="Energy by model")]
    if sessions is not None and len(sessions):
        found = sessions.sort_values("started", ascending=False).head(MOST_SESSIONS)
        lines = [
            (row["model"], row["host"], str(row["started"])[:19], f"{row['hours']:,.1f}", f"{row['kwh']:,.3f}")
            for _number, row in found.iterrows()
        ]
        blocks += [
            parts.heading("Sessions"),
            parts.table(("Model", "Host", "Started", "Hours", "kWh"), lines, label="Sessions"),
        ]
    return parts.joined(blocks)


def grafana(snapshot: Snapshot) -> Markup:
    urls = {
        name: f"{host.fleet.public()['base_url']}/grafana/"
        for name, host in snapshot.hosts.items()
        if host.fleet and host.given.get("fleet_monitoring")
    }
    if not urls:
        return parts.note(
            "Monitoring is off: set fleet_monitoring in the tab HTTPS and settings for dashboards in Grafana. The "
            "energy of GPUs is measured all the same."
        )
    links = (
        Markup('<a href="{}" target="_blank" rel="noreferrer">Grafana of {}</a>').format(url, name)
        for name, url in urls.items()
    )
    return Markup('<p class="note">{}</p>').format(parts.joined(links, " · "))

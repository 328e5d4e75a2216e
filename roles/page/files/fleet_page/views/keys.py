# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Keys with their limits, spend and use, without their values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fleet_page.edits import Snapshot
from fleet_page.views import parts
from fleet_page.views.parts import Markup

LIMITS = (("rpm_limit", "requests/min"), ("tpm_limit", "tokens/min"), ("max_parallel_requests", "at a time"))


def keys(snapshot: Snapshot, seen: Mapping[str, Any]) -> Markup:
    virtual = [(*row, pick) for row, pick in _virtual(snapshot, seen)]
    direct = [
        (host, str(one.get("name", "")))
        for host, of in snapshot.hosts.items()
        for one in of.entries("fleet_direct_keys")
    ]
    head = ("Key", "Host", "Models", "Limits", "Budget", "Spend", "Last 24 hours", "Expires")
    blocks = [parts.heading("Virtual keys")]
    if virtual:
        blocks.append(
            parts.table(head, [row[:-1] for row in virtual], [row[-1] for row in virtual], label="Virtual keys")
        )
    else:
        words = (
            "An application needs one to use /v1: make one, and give it its value. The master key is for admins only."
        )
        blocks.append(parts.empty("No virtual key yet", words))
    blocks.append(parts.heading("Direct keys"))
    if direct:
        picks = [f"{host}/fleet_direct_keys/{name}" for host, name in direct]
        blocks.append(parts.table(("Key", "Host"), [(name, host) for host, name in direct], picks, label="Direct keys"))
    else:
        blocks.append(
            parts.empty("No direct key", "Models with direct: true are reached with such a key, without limits.")
        )
    return parts.joined(blocks)


def _virtual(snapshot: Snapshot, seen: Mapping[str, Any]) -> Iterator[tuple[tuple[Any, ...], str]]:
    for host, of in snapshot.hosts.items():
        spent = {one.get("alias"): one for one in (seen.get(host) or {}).get("keys") or ()}
        for entry in of.entries("fleet_keys"):
            alias = str(entry.get("alias", ""))
            if entry.get("state") == "absent":
                continue
            limits = "; ".join(f"{entry[name]} {words}" for name, words in LIMITS if entry.get(name) is not None)
            budget = entry.get("max_budget")
            found = spent.get(alias) or {}
            spend = found.get("spend")
            shown = "-" if spend is None else f"{spend:,.4f}"
            if budget and spend is not None:
                shown = parts.meter(spend / float(budget), f"{spend:,.2f} of {float(budget):,.2f}")
            models = entry.get("models")
            row = (
                alias,
                host,
                ", ".join(map(str, models)) if isinstance(models, list) and models else "all",
                limits or "none",
                f"{budget} per {entry.get('budget_duration', 'ever')}" if budget else "none",
                shown,
                _use(found),
                str(entry.get("expires") or "never"),
            )
            yield row, f"{host}/fleet_keys/{alias}"


def _use(found: Mapping[str, Any]) -> str:
    """Monitoring knows it."""
    requests, tokens = found.get("requests"), found.get("tokens")
    return "-" if requests is None or tokens is None else f"{requests:,.0f} requests, {tokens:,.0f} tokens"


def value(name: str, text: str) -> Markup:
    """Shown after a click."""
    frame = '<div class="secret"><small>The value of {}: copy it now</small><code id="secret-value">{}</code></div>'
    return Markup(frame).format(parts.text(name), text)

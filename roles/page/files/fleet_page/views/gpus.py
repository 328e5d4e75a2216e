# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""GPUs with their figures, who holds what, and MIG instances as blocks on their placements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fleet_page.views import parts
from fleet_page.views.parts import Markup

MOST_SLICES = 64
DEFAULT_SLICES = 8  # memory slices of an A100 or H100 (MIG User Guide, "Partitioning")


def gpus(seen: Mapping[str, Any], hosts: Sequence[str]) -> Markup:
    return parts.joined(_of_host(name, seen.get(name) or {}) for name in hosts) or parts.empty(
        "No host", "The inventory has no host in the group fleet."
    )


def _of_host(name: str, found: Mapping[str, Any]) -> Markup:
    head = parts.heading(name, parts.age(found.get("time")))
    if not found:
        return parts.joined([head, parts.note("Not seen yet.")])
    if found.get("fault"):
        return parts.joined([head, parts.faults([found["fault"]])])
    cards = found.get("gpus") or ()
    if not cards:
        words = found.get("gpu_note") or "no GPU was found"
        return parts.joined([head, parts.note(f"{words}. Models with devices: {{cpu: true}} run on the processor.")])
    drawn = Markup('<div class="gpus">{}</div>').format(parts.joined(map(_gpu, cards)))
    return parts.joined([head, drawn, _links(cards)])


def _gpu(gpu: Mapping[str, Any]) -> Markup:
    used, total = gpu.get("memory_used_mib"), gpu.get("memory_mib")
    memory = parts.meter(used / total if used is not None and total else None, f"{_gib(used)} of {_gib(total)}")
    load = gpu.get("utilization")
    power, limit = gpu.get("power"), gpu.get("power_limit")
    figures = [
        ("Memory", memory),
        ("Use", parts.meter(load / 100 if load is not None else None, f"{load:.0f} %" if load is not None else "-")),
        (
            "Power",
            parts.meter(
                power / limit if power is not None and limit else None, f"{_figure(power)} of {_figure(limit)} W"
            ),
        ),
        ("Temperature", f"{_figure(gpu.get('temperature'))} °C"),
    ]
    lines = parts.joined(Markup("<dt>{}</dt><dd>{}</dd>").format(name, value) for name, value in figures)
    held = _instances(gpu) if gpu.get("mig") else _holders(gpu)
    title = Markup("<b>GPU {}</b> {}").format(gpu.get("index"), parts.text(gpu.get("name", ""), 60))
    return Markup('<section class="gpu"><header>{}</header><dl>{}</dl>{}</section>').format(title, lines, held)


def _holders(gpu: Mapping[str, Any]) -> Markup:
    held = [parts.text(one, 60) for one in gpu.get("containers") or ()]
    others = [
        f"process {one.get('pid')} ({parts.text(one.get('name', ''), 40)})"
        for one in gpu.get("processes") or ()
        if not held
    ]
    words = ", ".join([*held, *others])
    return Markup('<div class="blocks one"><div class="block {}">{}</div></div>').format(
        "held" if words else "", words or "free"
    )


def _instances(gpu: Mapping[str, Any]) -> Markup:
    profiles = gpu.get("profiles") or ()
    ends = (_whole(start, 0) + _whole(one.get("size"), 1) for one in profiles for start in one.get("starts") or (0,))
    columns = min(max([*ends, 0]), MOST_SLICES) or DEFAULT_SLICES
    found = sorted(gpu.get("instances") or (), key=lambda one: _whole(one.get("start"), 0))
    blocks = []
    taken: set[int] = set()
    for one in found:
        start, size = _whole(one.get("start"), 0), max(_whole(one.get("size"), 1), 1)
        taken.update(range(start, start + size))
        held = ", ".join(parts.text(name, 60) for name in one.get("containers") or ())
        blocks.append(_block(start, size, "held" if held else "", one.get("profile", ""), held or "free"))
    free = [number for number in range(columns) if number not in taken]
    blocks += [_block(number, 1, "none", "", "") for number in free]
    style = f"grid-template-columns:repeat({columns},1fr)"
    return Markup('<div class="blocks" style="{}" role="img" aria-label="{}">{}</div>').format(
        style,
        f"MIG layout: {', '.join(str(one.get('profile')) for one in found) or 'no instance'}",
        parts.joined(blocks),
    )


def _whole(value: Any, default: int) -> int:
    """Within bounds, since all of it is drawn."""
    return min(max(value, 0), MOST_SLICES) if isinstance(value, int) else default


def _block(start: int, size: int, kind: str, profile: str, held: str) -> Markup:
    words = Markup("<b>{}</b><small>{}</small>").format(parts.text(profile, 30), held)
    return Markup('<div class="block {}" style="grid-column:{} / span {}" title="{} {}">{}</div>').format(
        kind, start + 1, size, profile, held, words
    )


def _links(cards: Sequence[Mapping[str, Any]]) -> Markup:
    if not any(one.get("links") for one in cards):
        return Markup("")
    indexes = [str(one.get("index")) for one in cards]
    rows = [
        [f"GPU {one.get('index')}", *(str((one.get("links") or {}).get(index, "-")) for index in indexes)]
        for one in cards
    ]
    return parts.joined(
        [
            parts.note("NVLinks between GPUs"),
            parts.table(["", *(f"GPU {index}" for index in indexes)], rows, label="NVLinks"),
        ]
    )


def _gib(mib: float | None) -> str:
    return "-" if mib is None else f"{mib / 1024:,.1f} GiB"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}"

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Images: those that the inventory pins, and those that containers have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import REPOSITORY

from fleet_page.edits import Snapshot
from fleet_page.views import parts
from fleet_page.views.parts import Markup


def images(snapshot: Snapshot, seen: Mapping[str, Any]) -> Markup:
    rows = [row for name, host in snapshot.hosts.items() for row in _of_host(name, host, seen.get(name) or {})]
    if not rows:
        return parts.empty("No image in use", "Images are pulled by the first install.")
    head = ("Image", "Host", "Used by", "Inventory")
    disks = [(name, _disk(disk)) for name in snapshot.hosts if (disk := (seen.get(name) or {}).get("disk"))]
    blocks = [parts.heading("Images in use"), parts.table(head, rows, label="Images")]
    if disks:
        blocks += [parts.heading("Disk of the weights"), parts.table(("Host", "Used"), disks, label="Disks")]
    return parts.joined([*blocks, *_weights(snapshot, seen)])


def _disk(disk: Mapping[str, int]) -> Markup:
    free, total = disk.get("free_bytes"), disk.get("total_bytes")
    return parts.meter(
        1 - free / total if free is not None and total else None,
        f"{parts.gigabytes(free)} free of {parts.gigabytes(total)}",
    )


def _weights(snapshot: Snapshot, seen: Mapping[str, Any]) -> list[Markup]:
    """What the cache has, and which models of the host use it."""
    rows = []
    for name, host in snapshot.hosts.items():
        for one in (seen.get(name) or {}).get("weights") or ():
            source = str(one.get("source", ""))
            users = [str(model.get("name")) for model in host.models if _source(model) == source]
            state = ", ".join(users) or parts.mark(parts.IDLE, "no model of the inventory by its source")
            rows.append((source, name, parts.gigabytes(one.get("bytes")), state))
    if not rows:
        return []
    return [
        parts.heading("Weights in the cache"),
        parts.table(("Source", "Host", "Size", "Used by"), rows, label="Weights"),
    ]


def _of_host(name: str, host: Any, found: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    used: dict[str, list[str]] = {}
    for one in found.get("containers") or ():
        used.setdefault(str(one.get("image", "")), []).append(
            str(one.get("model") or one.get("service") or one.get("name"))
        )
    wanted = _wanted(host)
    rows = []
    for image, users in sorted(used.items()):
        if image.startswith(REPOSITORY):
            state = parts.mark(parts.IDLE, "built from a recipe")
        elif image in wanted:
            state = parts.mark(parts.GOOD, "as pinned")
        else:
            state = parts.mark(parts.BUSY, "differs: install replaces it")
        rows.append((image, name, ", ".join(sorted(set(users))), state))
    return rows


def _wanted(host: Any) -> set[str]:
    if not host.fleet:
        return set()
    public = host.fleet.public()
    return {*map(str, (public.get("images") or {}).values()), *(str(one["image"]) for one in public["models"])}


def _source(model: Mapping[str, Any]) -> str:
    """Without the revision."""
    return str(model.get("source", "")).partition("@")[0]

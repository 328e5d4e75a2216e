# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status of a host as tables for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

HEAD = ("MODEL", "TYPE", "READY", "DEVICE", "IMAGE", "UP", "ENDPOINT")


def status_table(
    containers: Sequence[Mapping[str, Any]], models: Sequence[Mapping[str, Any]], base_url: str, now: datetime
) -> list[str]:
    """One line a model, under a head.

    containers: as inference.fleet.model_containers returns them. models: those of the fact
    `fleet`. base_url: what clients put before /v1.
    """
    rows = [HEAD]
    for model in models:
        if model["state"] == "absent":
            continue
        mine = [container for container in containers if container["model"] == model["name"]]
        ready = sum(container["ready"] for container in mine)
        wanted = model["replicas"] if model["state"] == "running" else 0
        devices = sorted({container["device"] for container in mine})
        started = [container["started_at"] for container in mine if container["status"] == "running"]
        rows.append(
            (
                model["name"],
                model["type"],
                f"{ready}/{wanted}" + (" stopped" if model["state"] == "stopped" else ""),
                ", ".join(devices) or "-",
                model["image"],
                _age(min(started), now) if started else "-",
                _endpoint(model, base_url),
            )
        )
    return _table(rows)


def service_lines(containers: Sequence[Mapping[str, Any]]) -> list[str]:
    """One line a service, in the order of their names. containers: as Docker's API lists them."""
    rows = sorted((one["Names"][0].lstrip("/"), one["Status"], one["Image"]) for one in containers)
    return _table([("SERVICE", "STATUS", "IMAGE"), *rows])


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _endpoint(model: Mapping[str, Any], base_url: str) -> str:
    """The base URL for its clients; of two, the one that virtual keys open."""
    if model["in_gateway"]:
        return f"{base_url}/v1"
    return f"{base_url}/models/{model['name']}/v1" if model["has_direct_route"] else "-"


def _age(started_at: str, now: datetime) -> str:
    """`3d 4h`, `4h 5m` or `5m 6s` since an RFC 3339 time in UTC, of which whole seconds count."""
    started = datetime.strptime(started_at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    seconds = max(0, int((now - started).total_seconds()))
    for unit, smaller, unit_seconds, smaller_seconds in (("d", "h", 86400, 3600), ("h", "m", 3600, 60)):
        if seconds >= unit_seconds:
            return f"{seconds // unit_seconds}{unit} {seconds % unit_seconds // smaller_seconds}{smaller}"
    return f"{seconds // 60}m {seconds % 60}s"

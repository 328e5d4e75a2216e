# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`fleet_monitoring`: whether the host is monitored, and how long Prometheus keeps its data. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

# No match contains syntax of YAML, or a password.
_ALERTMANAGER = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")


@dataclass(frozen=True)
class Monitoring:
    """retention, size: limits of Prometheus' data, in its notation; the first one reached counts.

    alertmanagers: URLs of the Alertmanagers that receive alerts.
    """

    retention: str = "30d"
    size: str = "20GB"
    alertmanagers: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object, path: str) -> Optional[Monitoring]:
        """None if the host is not monitored."""
        if isinstance(data, bool):
            return cls() if data else None
        if not isinstance(data, Mapping):
            expected = "true, false or a mapping such as {retention: 30d, size: 20GB}"
            raise FleetError(f"{path}: expected {expected}, got {show(data)}")
        with Fields(data, path) as read:
            return cls(
                retention=read.text("retention", cls.retention, r"[1-9][0-9]{0,4}[hdwy]", "a time such as 30d or 1y"),
                size=read.text("size", cls.size, r"[1-9][0-9]{0,5}[MGT]B", "a size such as 20GB"),
                alertmanagers=read.each("alertmanagers", _parse_alertmanager),
            )

    def public(self) -> dict[str, Any]:
        """Plain data for templates, which need an Alertmanager's address in parts."""
        urls = map(urlsplit, self.alertmanagers)
        parts = [{"scheme": url.scheme, "address": url.netloc, "path": url.path or "/"} for url in urls]
        return {**asdict(self), "alertmanagers": parts}


def _parse_alertmanager(data: object, path: str) -> str:
    if isinstance(data, str) and _ALERTMANAGER.fullmatch(data):
        return str(data)
    # The URL may contain a password.
    raise FleetError(
        f"{path}: expected the URL of an Alertmanager, such as http://alerts.example.com:9093, "
        f"got {show(data, secret=True)}"
    )

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`fleet_https`: how clients reach Caddy, and where its certificate comes from."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.model.parse import Fields, FleetError, show

_HOST_NAME = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|[0-9a-fA-F:]+"


@dataclass(frozen=True)
class Https:
    """How clients reach Caddy. names: host names and addresses that its certificates are for."""

    mode: str = "internal"
    names: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object, path: str) -> Https:
        with Fields(data, path) as read:
            return cls(mode=read.one_of("mode", ("internal",), cls.mode), names=read.each("names", _parse_host_name))

    def public(self) -> dict[str, Any]:
        """Plain data for templates."""
        return asdict(self)


def _parse_host_name(data: object, path: str) -> str:
    if isinstance(data, str) and re.fullmatch(_HOST_NAME, data):
        return str(data)
    raise FleetError(f"{path}: expected a host name or an address, got {show(data)}")

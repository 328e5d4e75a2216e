# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`fleet_energy`: whether and how the energy of a host's GPUs is measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show


@dataclass(frozen=True)
class Energy:
    """on: measure, if the host has NVIDIA GPUs. interval: seconds between two readings. keep_days: days to keep."""

    on: bool = True
    interval: int = 1
    keep_days: int = 400

    @classmethod
    def parse(cls, data: object, path: str) -> Energy:
        if isinstance(data, bool):
            return cls(on=data)
        if not isinstance(data, Mapping):
            raise FleetError(f"{path}: expected true, false or a mapping with interval and keep_days, got {show(data)}")
        with Fields(data, path) as read:
            return cls(
                interval=read.integer("interval", cls.interval, at_least=1),
                keep_days=read.integer("keep_days", cls.keep_days, at_least=1),
            )

    def plain(self) -> Any:
        return {"interval": self.interval, "keep_days": self.keep_days} if self.on else False

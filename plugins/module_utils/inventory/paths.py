# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a host keeps what the collection makes. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Union

STATE = "/var/lib/inference-fleet"  # other things may be in it: weights that somebody copied there, say
ENERGY = f"{STATE}/energy"
RESTORE_RECORD = f"{STATE}/restore.json"
WHEELS = f"{STATE}/wheels"
KIT = "/opt/inference-fleet"  # the collections and the ansible-core that a host restores itself with
RUN = "/run/inference-fleet"
LOCK = f"{RUN}/lock"


@dataclass(frozen=True)
class Paths:
    """Folders and files of a host. config: `fleet_config_folder`, which holds the secrets too."""

    config: str
    state: str = STATE
    energy: str = ENERGY
    metrics: str = f"{STATE}/metrics"  # what the node exporter hands on
    wheels: str = WHEELS
    restore_record: str = RESTORE_RECORD
    kit: str = KIT
    run: str = RUN
    restore_unit: str = "/etc/systemd/system/inference-fleet-restore.service"
    restore_environment: str = "/etc/default/inference-fleet-restore"
    energy_unit: str = "/etc/systemd/system/inference-fleet-energy.service"
    energy_environment: str = "/etc/default/inference-fleet-energy"

    @property
    def secrets(self) -> str:
        return f"{self.config}/secrets"

    @property
    def replaceable(self) -> tuple[str, ...]:
        """All that an `install` makes again: what `uninstall` removes."""
        services = ("caddy", "litellm", "prometheus", "blackbox-exporter", "dcgm-exporter", "grafana", "config.json")
        return (
            *(f"{self.config}/{name}" for name in services),
            *(self.restore_unit, self.restore_environment, self.energy_unit, self.energy_environment),
            *(self.kit, self.metrics, self.restore_record, self.wheels),
        )

    def public(self) -> dict[str, Union[str, list[str]]]:
        return {**asdict(self), "secrets": self.secrets, "replaceable": list(self.replaceable)}

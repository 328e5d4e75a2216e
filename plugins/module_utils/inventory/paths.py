# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The paths on a host that the collection uses. Pure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Optional, Union

from ansible_collections.inference.fleet.plugins.module_utils.system import work

STATE = "/var/lib/inference-fleet"  # may also contain files of other origin, such as weights that an admin copied
ENERGY = f"{STATE}/energy"
OPTIONS = f"{STATE}/options"  # the options of the images' engines, by image ID
STARTS = f"{STATE}/starts.json"  # model, or litellm -> seconds of the last start of a container
SERVED = f"{STATE}/served.json"  # model -> the versions that serve and served before
DUMP = f"{STATE}/.database.dump"  # while a backup is made or restored
CACHE_VOLUME = "fleet-hf-cache"  # Docker's volume with the weights, where the inventory names no folder
RESTORE_RECORD = f"{STATE}/restore.json"
WHEELS = f"{STATE}/wheels"
KIT = "/opt/inference-fleet"  # the collections and the ansible-core for the restore at boot
RUN = work.RUN
LOCK = f"{RUN}/lock"


@dataclass(frozen=True)
class Paths:
    """Folders and files of a host. config: `fleet_config_folder`, which also contains the secrets."""

    config: str
    state: str = STATE
    energy: str = ENERGY
    metrics: str = f"{STATE}/metrics"  # files that the node exporter publishes
    options: str = OPTIONS
    wheels: str = WHEELS
    restore_record: str = RESTORE_RECORD
    kit: str = KIT
    run: str = RUN
    restore_unit: str = "/etc/systemd/system/inference-fleet-restore.service"
    restore_environment: str = "/etc/default/inference-fleet-restore"
    energy_unit: str = "/etc/systemd/system/inference-fleet-energy.service"
    energy_environment: str = "/etc/default/inference-fleet-energy"
    docker_proxy: str = "/etc/systemd/system/docker.service.d/inference-fleet-proxy.conf"

    @property
    def secrets(self) -> str:
        return f"{self.config}/secrets"

    @property
    def drained(self) -> str:
        """While this file exists, Caddy refuses requests for models. Its text: since when."""
        return f"{self.config}/caddy/drained"

    @property
    def down(self) -> str:
        """What Caddy answers while no replica of a model is up, a file for each model that has been started."""
        return f"{self.config}/caddy/down"

    @property
    def proxy_environment(self) -> str:
        """The proxy with its password: systemd shows the variables of a unit to everybody, but not those of a file."""
        return f"{self.config}/proxy.env"

    @property
    def docker_proxy_unit(self) -> str:
        """The content of `docker_proxy`. Docker starts without the file, too."""
        return f"# Written by inference.fleet: fleet_proxy.\n[Service]\nEnvironmentFile=-{self.proxy_environment}\n"

    @property
    def replaceable(self) -> tuple[str, ...]:
        """The paths that `uninstall` removes: `install` can create all of them again."""
        services = ("caddy", "litellm", "prometheus", "blackbox-exporter", "dcgm-exporter", "grafana", "config.json")
        return (
            *(f"{self.config}/{name}" for name in services),
            *(self.restore_unit, self.restore_environment, self.energy_unit, self.energy_environment),
            *(self.kit, self.metrics, self.options, self.restore_record, self.wheels),
            *(STARTS, SERVED, DUMP),
        )

    def public(self) -> dict[str, Union[str, list[str]]]:
        derived = {
            name: getattr(self, name) for name in ("secrets", "drained", "proxy_environment", "docker_proxy_unit")
        }
        return {**asdict(self), **derived, "replaceable": list(self.replaceable)}


def drained_since(text: Optional[str]) -> str:
    """Since when a host is drained; empty if it is not. text: of the file `Paths.drained`, which an admin may have made
    empty; None if it does not exist."""
    return "" if text is None else text.strip() or "an unknown time"

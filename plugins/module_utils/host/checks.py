# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a host can take its fleet: what was found on it against what is needed. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.model.model import SERVICES, name_taken

# Distribution -> the oldest release that is tested.
SUPPORTED = {"debian": 12.0, "ubuntu": 24.04}
GB = 10**9


@dataclass(frozen=True)
class Host:
    """What was found.

    missing_paths: of the models' local folders, those that are not there. ports: TCP port ->
    who listens on it, as text; the fleet's own Caddy is left out. cache_free: bytes free
    where weights are kept. containers: names of all containers. foreign: those of them that
    this collection does not manage. docker_version: None where no engine answers.
    docker_enabled: whether systemd starts it at boot. nvidia_smi: whether the NVIDIA
    driver's tool is there.
    """

    os_id: str
    os_version: str
    systemd: bool
    python_sdk: bool
    docker_installed: bool
    docker_version: Optional[str]
    docker_enabled: bool
    nvidia_smi: bool
    containers: frozenset[str]
    foreign: frozenset[str]
    missing_paths: frozenset[str]
    ports: Mapping[int, str]
    cache_path: str
    cache_free: int

    @property
    def docker_to_start(self) -> bool:
        """Whether systemd has to be told to run Docker, now or at every boot."""
        return self.systemd and not (self.docker_version and self.docker_enabled)

    @property
    def missing_packages(self) -> list[str]:
        """Debian's names of the packages that the fleet needs and the host lacks."""
        engine = [] if self.docker_installed else ["docker.io", "iptables"]
        return engine + ([] if self.python_sdk else ["python3-docker"])


def host_faults(fleet: Fleet, host: Host) -> list[str]:
    """Each a line that names what was found and what would be right."""
    faults = []
    oldest = SUPPORTED.get(host.os_id)
    if oldest is None or _number(host.os_version) < oldest:
        faults.append(f"host: found {host.os_id} {host.os_version}; Debian 12, Ubuntu 24.04 or later is needed")
    if not host.docker_version and not host.systemd:
        faults.append("docker: no engine answers on its socket, and no systemd runs here that could start it")
    for index, model in enumerate(fleet.models):
        if model.containers and model.local_path in host.missing_paths:
            faults.append(
                f"fleet_models[{index}].source: {model.local_path} is not a folder on this host; copy the weights "
                f"there, or name a hub repository"
            )
        if model.containers and not model.devices.cpu and not host.nvidia_smi:
            faults.append(
                f"fleet_models[{index}].devices: {model.name} asks for {model.devices}, and there is no nvidia-smi "
                f"on this host; install the NVIDIA driver and the NVIDIA Container Toolkit, or give {{cpu: true}}"
            )
    ours = {*SERVICES, *(name for model in fleet.models for name in model.containers)}
    faults += [name_taken(name) for name in sorted(host.foreign & ours)]
    for port, holder in sorted(host.ports.items()):
        faults.append(f"port {port}: taken by {holder}; Caddy needs it: stop that, or move it to another port")
    from_hub = [model for model in fleet.models if model.state == "running" and not model.local_path]
    new = [name for model in from_hub for name in model.containers if name not in host.containers]
    if new and host.cache_free < fleet.cache.min_free_gb * GB:
        faults.append(
            f"disk: {host.cache_free / GB:.1f} GB free at {host.cache_path} for the weights of {', '.join(new)}; "
            f"fleet_cache.min_free_gb asks for {fleet.cache.min_free_gb}"
        )
    return faults


def _number(version: str) -> float:
    """`24.04` as 24.04; testing and unstable have no number and count as newest."""
    try:
        return float(version)
    except ValueError:
        return float("inf")

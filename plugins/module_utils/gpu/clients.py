# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""GPU clients: the containers, services and other processes that hold devices of a host. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, resolve
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY

# Holds every GPU open. Nothing depends on it, so a reset may stop it at any time.
PERSISTENCE = "nvidia-persistenced.service"
# These watch GPUs and hold them meanwhile (mig-parted's and the gpu-operator's lists of clients).
WATCHERS = (
    "dcgm.service",
    "dcgm-exporter.service",
    "nvidia-dcgm.service",
    "nvidia-dcgm-exporter.service",
    "nvsm.service",
)
_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")
_CDI = re.compile(r"^(?:\w+\.)?nvidia\.com/gpu=")  # before the device, in the Container Device Interface
_UNIT = re.compile(r"[\w@.:\\-]+\.service")


@dataclass(frozen=True)
class HostContainer:
    """Any container of the host. devices: as its device requests name them. started_at: as Docker reports it."""

    id: str
    name: str
    image: str
    running: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    devices: tuple[str, ...] = ()
    started_at: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> HostContainer:
        """data: what Docker's API returns for one container."""
        config = data["Config"]
        return cls(
            id=data["Id"],
            name=data["Name"].lstrip("/"),
            image=config["Image"],
            running=bool(data["State"]["Running"]),
            labels=config.get("Labels") or {},
            devices=requested_devices(data["HostConfig"], config.get("Env") or ()),
            started_at=data["State"].get("StartedAt", ""),
        )

    @property
    def model(self) -> Optional[str]:
        """The model it serves; None for a container that this collection does not manage."""
        return self.labels.get("model-name") if self.labels.get("managed-by") == MANAGED_BY else None

    @property
    def is_watcher(self) -> bool:
        return self.labels.get("service") == "dcgm-exporter" or "dcgm-exporter" in self.image


def requested_devices(host_config: Mapping[str, Any], env: Iterable[str] = ()) -> tuple[str, ...]:
    """The devices that `docker run --gpus` named, or `all`; without it those of NVIDIA_VISIBLE_DEVICES,
    which has an effect only with NVIDIA's runtime."""
    requests = host_config.get("DeviceRequests") or ()
    asked = tuple(device for request in requests for device in _requested(request))
    if not asked and host_config.get("Runtime") == "nvidia":
        visible = dict(text.partition("=")[::2] for text in env).get("NVIDIA_VISIBLE_DEVICES", "")
        asked = tuple(device for device in visible.split(",") if device not in ("", "none", "void"))
    return tuple(_CDI.sub("", device) for device in asked)


def _requested(request: Mapping[str, Any]) -> Iterable[str]:
    """`--gpus 2` means the first two GPUs (moby, daemon/nvidia_linux.go, countToDevices)."""
    count = request.get("Count") or 0
    return request.get("DeviceIDs") or (map(str, range(count)) if count > 0 else ("all",))


@dataclass(frozen=True)
class OpenDevice:
    """A process that has device nodes of GPUs open, or computes on them. cgroup: the text of /proc/PID/cgroup."""

    pid: int
    name: str
    cgroup: str
    devices: frozenset[str]  # UUIDs of GPUs and MIG devices


@dataclass(frozen=True)
class Client:
    """name: for display. devices: UUIDs. container, unit: what to stop, where that is allowed.

    model: a model's container. watcher: DCGM or similar. persistence: NVIDIA's persistence daemon.
    leaving: a model's container that releases its device in this run anyway. own: this collection's DCGM exporter.
    """

    name: str
    devices: frozenset[str]
    container: Optional[str] = None
    unit: Optional[str] = None
    model: bool = False
    watcher: bool = False
    leaving: bool = False
    own: bool = False

    @property
    def persistence(self) -> bool:
        return self.unit == PERSISTENCE

    def may_stop(self, force: bool) -> bool:
        return self.leaving or self.persistence or self.own or (force and (self.model or self.watcher))


def clients_of(
    gpus: Collection[Gpu],
    containers: Iterable[HostContainer],
    processes: Iterable[OpenDevice],
    leaving: Collection[str] = (),
) -> tuple[Client, ...]:
    """Every container, service and other process that holds a device, each once."""
    by_id = {one.id: one for one in containers if one.running}
    found: dict[str, Client] = {}
    for one in by_id.values():
        devices = frozenset().union(*(resolve(gpus, device) for device in one.devices))
        if devices:
            _add(found, _container_client(one, devices, one.name in leaving))
    for process in processes:
        ids = _CONTAINER_ID.findall(process.cgroup)
        inside = next((by_id[known] for known in reversed(ids) if known in by_id), None)
        if inside:
            _add(found, _container_client(inside, process.devices, inside.name in leaving))
            continue
        units = _UNIT.findall(process.cgroup)
        unit = units[-1] if units else None
        known_unit = unit if unit in (*WATCHERS, PERSISTENCE) else None
        name = known_unit or f"{process.name} (PID {process.pid})"
        _add(found, Client(name, process.devices, unit=known_unit, watcher=known_unit in WATCHERS))
    return tuple(found.values())


def _container_client(one: HostContainer, devices: frozenset[str], leaving: bool) -> Client:
    model = one.model is not None
    own = one.is_watcher and one.labels.get("managed-by") == MANAGED_BY
    return Client(
        f"container {one.name}",
        devices,
        one.name,
        model=model,
        watcher=one.is_watcher,
        leaving=leaving and model,
        own=own,
    )


def _add(found: dict[str, Client], client: Client) -> None:
    before = found.get(client.name)
    found[client.name] = replace(client, devices=client.devices | before.devices) if before else client

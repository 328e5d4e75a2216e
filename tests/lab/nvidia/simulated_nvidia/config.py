"""What is simulated: /etc/simulated-nvidia.json, and the folders that the environment may move."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulated_nvidia.driver import Driver
from simulated_nvidia.hardware import KINDS, Kind

BUSES = ("07", "0F", "47", "4E", "87", "90", "B7", "BD")
NAMESPACE = uuid.UUID("7c2ec2bb-5b26-4c0c-8a3f-3a4b7d1f3a6e")


@dataclass(frozen=True)
class Paths:
    """state: gone after a reboot. persistent: what a GPU itself remembers. dev: has the device nodes, plain files."""

    config: Path
    state: Path
    persistent: Path
    dev: Path

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Paths:
        def path(name: str, default: str) -> Path:
            return Path(environment.get(f"SIMULATED_NVIDIA_{name}", default))

        return cls(
            path("CONFIG", "/etc/simulated-nvidia.json"),
            path("STATE", "/run/simulated-nvidia"),
            path("PERSISTENT", "/var/lib/simulated-nvidia"),
            path("DEV", "/dev"),
        )


@dataclass(frozen=True)
class GpuConfig:
    """flipped: a GPU whose instance IDs count from the upper half of its memory, as about half
    of the captures show. mig_uuids: "GPU instance/compute instance" -> UUID, where a capture's are wanted.
    fabric: state and status of its registration with the NVSwitches."""

    index: int
    kind: Kind
    uuid: str
    bus_id: str
    minor: int
    flipped: bool = False
    fabric: tuple[str, str] = ("N/A", "N/A")
    mig_uuids: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """links: (GPU, GPU) -> what `topo -m` says of the two. immediate_mode: whether Ampere resets
    itself for a change of MIG mode, as on bare metal without clients."""

    driver: Driver
    gpus: tuple[GpuConfig, ...]
    links: Mapping[frozenset[int], str]
    immediate_mode: bool = False
    new_uuids_at_boot: bool = False
    numa_nodes: int = 1
    persistence: bool = True


def load(path: Path) -> Config:
    data = json.loads(path.read_text())
    gpus = tuple(_gpu(index, item) for index, item in enumerate(data["gpus"]))
    return Config(
        driver=Driver(data.get("driver", "550.90.07")),
        gpus=gpus,
        links=_links(data, len(gpus)),
        immediate_mode=data.get("mig_mode_change", "pending") == "immediate",
        new_uuids_at_boot=data.get("new_uuids_at_boot", False),
        numa_nodes=data.get("numa_nodes", 2 if len(gpus) > 3 else 1),
        persistence=data.get("persistence_mode", True),
    )


def _gpu(index: int, item: str | dict[str, Any]) -> GpuConfig:
    """item: the key of a kind, or a mapping with `kind` and further attributes."""
    options = {"kind": item} if isinstance(item, str) else dict(item)
    kind = KINDS[options.pop("kind")]
    made_up = uuid.uuid5(NAMESPACE, f"{os.uname().nodename}/{index}/{kind.key}")
    defaults = {"uuid": f"GPU-{made_up}", "bus_id": _bus_id(index), "minor": index}
    return GpuConfig(index=index, kind=kind, **{**defaults, **options})


def _bus_id(index: int) -> str:
    domain, slot = divmod(index, len(BUSES))
    return f"{domain:08X}:{BUSES[slot]}:00.0"


def _links(data: dict[str, Any], count: int) -> dict[frozenset[int], str]:
    links: dict[frozenset[int], str] = {}
    if "nvswitch" in data:
        links = {frozenset((a, b)): f"NV{data['nvswitch']}" for a in range(count) for b in range(a)}
    for one, other, link in data.get("nvlink", ()):
        links[frozenset((one, other))] = f"NV{link}" if isinstance(link, int) else link
    return links

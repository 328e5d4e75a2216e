# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Assigns a GPU's energy to models, by the devices that their containers hold. Pure.

A GPU without MIG devices belongs to its holder. With MIG devices, its power is divided among them by
compute slices. Several holders share equally; what no model holds is unassigned.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import (
    ComputeInstance,
    Gpu,
    GpuInstance,
    compute_slices,
    resolve,
)

UNASSIGNED = "unassigned"
UNKNOWN = "holder not known"
_GPU = re.compile(r"^GPU (\d+): (.*) \(UUID: (GPU-\S+)\)")
_DEVICE = re.compile(r"^\s+MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-\S+)\)")


@dataclass(frozen=True)
class Holder:
    """A model's container from its start to its stop. session: its start time and container ID."""

    model: str
    container: str
    session: str

    @classmethod
    def of(cls, container: HostContainer) -> Holder:
        started = container.started_at.partition(".")[0].rstrip("Z")
        return cls(container.model or "", container.name, f"{started}Z {container.id[:12]}")


@dataclass(frozen=True)
class Share:
    """part: of the GPU's power, above 0, at most 1. device: name of the MIG device. note: why there is no holder."""

    part: float
    device: str = ""
    holder: Optional[Holder] = None
    note: str = ""


Shares = Mapping[str, tuple[Share, ...]]  # by the GPU's UUID; the parts of each add up to 1
NOT_KNOWN = (Share(1.0, note=UNKNOWN),)


def parse_gpus(listing: str) -> tuple[Gpu, ...]:
    """Parses `nvidia-smi -L`: each GPU with its MIG devices, without their placements."""
    found: list[Gpu] = []
    devices: dict[str, list[GpuInstance]] = {}
    for line in listing.splitlines():
        gpu, device = _GPU.match(line), _DEVICE.match(line)
        if gpu:
            found.append(Gpu(int(gpu[1]), gpu[3], gpu[2], "", None, 0, ""))
        elif device and found:
            part = ComputeInstance(0, compute_slices(device[1]), None, device[3], int(device[2]))
            devices.setdefault(found[-1].uuid, []).append(GpuInstance(None, device[1], None, 0, (part,)))
    return tuple(
        Gpu(one.index, one.uuid, one.name, "", None, 0, "", instances=tuple(devices.get(one.uuid, ()))) for one in found
    )


def shares_of(gpus: Sequence[Gpu], containers: Iterable[HostContainer]) -> Shares:
    """containers: all of the host; only running containers of models count."""
    held: dict[str, list[Holder]] = {}
    for one in containers:
        if one.running and one.model:
            for device in sorted(frozenset().union(*(resolve(gpus, asked) for asked in one.devices))):
                held.setdefault(device, []).append(Holder.of(one))
    return {gpu.uuid: _shares(gpu, held) for gpu in gpus}


def _shares(gpu: Gpu, held: Mapping[str, Sequence[Holder]]) -> tuple[Share, ...]:
    computes = ((instance.profile, part) for instance in gpu.instances for part in instance.compute)
    parts = [(part.uuid or "", name, part.slices) for name, part in computes]
    total = sum(slices for _uuid, _name, slices in parts)
    units = parts if total else [(gpu.uuid, "", 1)]
    shares = [
        Share(slices / (total or 1) / len(held[uuid]), name, holder)
        for uuid, name, slices in units
        for holder in held.get(uuid, ())
    ]
    free = sum(slices for uuid, _name, slices in units if uuid not in held)
    return (*shares, *([Share(free / (total or 1), note=UNASSIGNED)] if free else ()))

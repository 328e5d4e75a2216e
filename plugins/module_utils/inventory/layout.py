# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""MIG layouts: the notation of `fleet_mig`, and the names of MIG devices. Pure.

{0: [3g.20gb, 1g.5gb+me], 1: off}     GPU index, UUID or `all` -> MIG devices, in any order
{0: [1c.3g.20gb, 1c.3g.20gb]}         compute instances smaller than their GPU instance
auto                                  the MIG devices that the models request
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Optional, Union

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import below
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

ALL = "all"
# MIG User Guide, "MIG Device Names": [compute slices c.]GPU slices g.memory gb[+attributes]
_DEVICE = re.compile(r"(?:(?P<c>[1-9]\d?)c\.)?(?P<profile>(?P<g>[1-9]\d?)g\.(?P<gb>[1-9]\d*)gb(?:[+-][a-z.]+)*)")
_GPU = re.compile(r"\d{1,3}|GPU-[0-9a-fA-F-]{8,}|all")


@dataclass(frozen=True)
class Device:
    """A MIG device by its name. computes: compute slices, None for all slices of its GPU instance.
    slices and gigabytes: those in the name of the GPU instance."""

    profile: str
    computes: Optional[int]
    slices: int
    gigabytes: int

    @classmethod
    def parse(cls, data: object, path: str) -> Device:
        match = _DEVICE.fullmatch(data) if isinstance(data, str) else None
        if not match:
            raise FleetError(f"{path}: expected a profile such as 3g.40gb or 1c.3g.40gb, got {show(data)}")
        slices, computes = int(match["g"]), int(match["c"] or match["g"])
        if computes > slices:
            raise FleetError(f"{path}: {data} has more compute slices ({computes}c) than its GPU instance ({slices}g)")
        return cls(match["profile"], None if computes == slices else computes, slices, int(match["gb"]))

    def __str__(self) -> str:
        return self.profile if self.computes is None else f"{self.computes}c.{self.profile}"


@dataclass(frozen=True)
class Instance:
    """A requested GPU instance. computes: the slices of its compute instances, largest first; empty
    for one compute instance that has all slices."""

    profile: str
    computes: tuple[int, ...] = ()

    def __str__(self) -> str:
        return self.profile + (f" ({', '.join(f'{one}c' for one in self.computes)})" if self.computes else "")


@dataclass(frozen=True)
class Layout:
    """devices: by GPU index, UUID or `all`; None to switch MIG off. auto: the layout is derived from the
    models. path: the place of the layout in the inventory, for messages."""

    auto: bool = False
    devices: Mapping[str, Optional[tuple[Device, ...]]] = field(default_factory=dict)
    path: str = "fleet_mig"

    @classmethod
    def parse(cls, data: object, path: str) -> Layout:
        if data == "auto":
            return cls(auto=True, path=path)
        if not isinstance(data, Mapping):
            raise FleetError(f"{path}: expected auto, or for each GPU a list of profiles or off, got {show(data)}")
        devices: dict[str, Optional[tuple[Device, ...]]] = {}
        faults: list[str] = []
        for gpu, listed in data.items():
            at = below(path, gpu)
            if isinstance(gpu, bool) or not _GPU.fullmatch(str(gpu)):
                faults.append(f"{at}: expected a GPU index, a UUID that begins with GPU-, or all")
            elif str(gpu) in devices:
                faults.append(f"{at}: is given twice")
            try:
                devices[str(gpu)] = _devices(listed, at)
            except FleetError as error:
                faults += error.faults
        if faults:
            raise FleetError(*faults)
        return cls(devices=devices, path=path)

    def __bool__(self) -> bool:
        return self.auto or bool(self.devices)

    def plain(self) -> Union[str, dict[str, Union[str, list[str]]]]:
        """The layout in the form of an inventory."""
        if self.auto:
            return "auto"
        return {gpu: "off" if listed is None else list(map(str, listed)) for gpu, listed in self.devices.items()}


def instances(devices: Iterable[Device], begun: Iterable[Instance] = ()) -> tuple[Instance, ...]:
    """The fewest GPU instances that hold these MIG devices, largest first.

    Compute instances of one profile are packed largest first. This is optimal for the existing
    sizes: bins of 2, 3 or 4 slices, and one single bin of 7. begun: existing GPU instances whose compute
    instances stay together if all are requested. These are filled up before new ones.
    """
    wholes: list[Instance] = []
    left = Counter(devices)
    parts = _begun(left, begun)
    sizes = {device.profile: (-device.gigabytes, -device.slices) for device in left}
    for device in sorted(left.elements(), key=lambda one: -(one.computes or 0)):
        if device.computes is None:
            wholes.append(Instance(device.profile))
            continue
        bins = parts[device.profile]
        roomy = next((one for one in bins if sum(one) + device.computes <= device.slices), None)
        if roomy is None:
            bins.append(roomy := [])
        roomy.append(device.computes)
    divided = [Instance(profile, tuple(sorted(one, reverse=True))) for profile, bins in parts.items() for one in bins]
    return tuple(sorted(wholes + divided, key=lambda one: (sizes[one.profile], one.profile, one.computes)))


def _begun(left: Counter[Device], begun: Iterable[Instance]) -> dict[str, list[list[int]]]:
    """By profile, the compute instances that stay together. Removes them from `left`."""
    parts: dict[str, list[list[int]]] = defaultdict(list)
    asked = {(device.profile, device.computes): device for device in left}
    for one in begun:
        own = [asked[one.profile, size] for size in one.computes if (one.profile, size) in asked]
        if len(own) == len(one.computes) and not Counter(own) - left:
            left.subtract(own)
            parts[one.profile].append(list(one.computes))
    return parts


def _devices(data: object, path: str) -> Optional[tuple[Device, ...]]:
    if data in ("off", False):  # YAML 1.1 reads a bare `off` as false
        return None
    if not isinstance(data, (list, tuple)):
        raise FleetError(f"{path}: expected a list of profiles or off, got {show(data)}")
    devices: list[Device] = []
    faults: list[str] = []
    for index, item in enumerate(data):
        try:
            devices.append(Device.parse(item, f"{path}[{index}]"))
        except FleetError as error:
            faults += error.faults
    if faults:
        raise FleetError(*faults)
    return tuple(devices)

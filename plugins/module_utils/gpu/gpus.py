# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host's GPUs as nvidia-smi reports them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from typing import Any, Optional, Union

# "Ampere needs a GPU reset to change MIG mode, Hopper and later do not" (MIG User Guide,
# "Enable MIG Mode"). Drivers too old to name the architecture support MIG on Ampere only.
_RESET_ARCHITECTURES = (None, "Ampere")
_COMPUTE_SLICES = re.compile(r"(?:(\d+)c\.)?(\d+)g\.")


@lru_cache(maxsize=256)
def compute_slices(name: str) -> int:
    """Compute slices of a GPU instance or compute instance, from its name: 3 for 3g.20gb, 1 for 1c.3g.20gb."""
    match = _COMPUTE_SLICES.match(name)
    return int(match[1] or match[2]) if match else 0


@dataclass(frozen=True)
class Profile:
    """A GPU instance profile that a GPU offers.

    id: what `-cgi` takes. size: memory slices. starts: possible placements, in memory slices.
    total: the most instances at once. engines: the number of media engines (DEC, ENC, JPEG, OFA).
    """

    name: str
    id: int
    size: int
    starts: tuple[int, ...]
    total: int
    memory_gib: float
    engines: int

    @property
    def slices(self) -> int:
        return compute_slices(self.name)


@dataclass(frozen=True)
class ComputeInstance:
    """start: the first of its compute slices within the GPU instance; None where the driver does not
    report it. index: the driver's number of its MIG device on the GPU."""

    id: int
    slices: int
    start: Optional[int]
    uuid: Optional[str]
    index: Optional[int] = None


@dataclass(frozen=True)
class GpuInstance:
    """id: None for an instance that a plan would create. start and size: in memory slices; start is None
    where a plan cannot know it yet."""

    id: Optional[int]
    profile: str
    start: Optional[int]
    size: int
    compute: tuple[ComputeInstance, ...] = ()

    def device_name(self, compute: ComputeInstance) -> str:
        """nvidia-smi's name of the MIG device: 3g.20gb, or 1c.3g.20gb for a part of an instance."""
        whole = compute.slices == compute_slices(self.profile)
        return self.profile if whole else f"{compute.slices}c.{self.profile}"

    def division(self) -> str:
        """Its compute instances as text; empty where one of them fills it."""
        sizes = [part.slices for part in self.compute]
        if sizes == [compute_slices(self.profile)]:
            return ""
        return f" as {', '.join(f'{size}c' for size in sizes)}" if sizes else " without compute instances"

    def __str__(self) -> str:
        return self.profile if self.start is None else f"{self.profile} at {self.start}"


@dataclass(frozen=True)
class Process:
    """gpu_instance, compute_instance: IDs, on a GPU in MIG mode."""

    pid: int
    name: str
    gpu_instance: Optional[int]
    compute_instance: Optional[int]


@dataclass(frozen=True)
class Gpu:
    """memory: MiB; None where the GPU has none of its own (GB10). cuda: the newest CUDA that the driver
    supports. fabric_state, fabric_status: of its registration with the NVSwitches; None where the GPU or
    the driver has none. power_limit: W. mig, mig_pending: whether MIG mode is on now, and after a
    reset; None on a GPU without MIG. profiles: may be empty while MIG is off: older drivers
    do not list them then. links: index of another GPU -> number of NVLinks to it."""

    index: int
    uuid: str
    name: str
    bus_id: str
    minor: Optional[int]
    memory: Optional[int]
    driver: str
    cuda: Optional[str] = None
    architecture: Optional[str] = None
    brand: Optional[str] = None
    fabric_state: Optional[str] = None
    fabric_status: Optional[str] = None
    power_limit: Optional[float] = None
    persistence: Optional[bool] = None
    mig: Optional[bool] = None
    mig_pending: Optional[bool] = None
    links: Mapping[int, int] = field(default_factory=dict)
    processes: tuple[Process, ...] = ()
    profiles: tuple[Profile, ...] = ()
    instances: tuple[GpuInstance, ...] = ()

    @property
    def mode_needs_reset(self) -> bool:
        return self.architecture in _RESET_ARCHITECTURES

    @property
    def devices(self) -> dict[str, str]:
        """UUID -> name of its MIG devices, in the order of placement."""
        return {
            compute.uuid: instance.device_name(compute)
            for instance in self.instances
            for compute in instance.compute
            if compute.uuid
        }

    @property
    def layout(self) -> Union[str, list[str]]:
        """What is on it, as `fleet_mig` has it."""
        return list(self.devices.values()) if self.mig else "off"

    def device_of(self, process: Process) -> Optional[str]:
        """The MIG device that a process computes on; None means the whole GPU."""
        place = (process.gpu_instance, process.compute_instance)
        parts = ((one.id, part) for one in self.instances for part in one.compute)
        return next((part.uuid for instance, part in parts if (instance, part.id) == place), None)

    def instance_of(self, uuid: str) -> Optional[GpuInstance]:
        """The GPU instance of a MIG device."""
        return next((one for one in self.instances if any(part.uuid == uuid for part in one.compute)), None)

    def instance_names(self) -> list[str]:
        """Such as `3g.20gb at 4`, `3g.20gb at 4 as 1c, 2c`, `3g.20gb at 4 without compute instances`."""
        return [f"{one}{one.division()}" for one in self.instances]

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.name})"

    def as_dict(self) -> dict[str, Any]:
        """Plain data: what gpu_info returns for a GPU."""
        data = asdict(self)
        for profile, plain in zip(self.profiles, data["profiles"]):
            plain.update(slices=profile.slices, starts=list(profile.starts))
        for instance, plain in zip(self.instances, data["instances"]):
            for compute, part in zip(instance.compute, plain["compute"]):
                part["name"] = instance.device_name(compute)
        data["links"] = {str(index): count for index, count in self.links.items()}
        return data


def describe(gpus: Iterable[Gpu], devices: Iterable[str]) -> str:
    """A container's devices for display: `cpu`, `gpu 0,1` or `gpu 0 3g.20gb@4`; `gone` for a missing device."""
    whole: list[str] = []
    parts: list[str] = []
    known = list(gpus)
    for device in devices:
        gpu = find_gpu(known, device)
        parent = next((gpu for gpu in known if device in gpu.devices), None)
        if parent:
            instance = parent.instance_of(device)
            parts.append(f"gpu {parent.index} {parent.devices[device]}@{instance.start if instance else '?'}")
        else:
            whole.append(str(gpu.index) if gpu else "gone")
    return " ".join(["gpu " + ",".join(whole)] * bool(whole) + parts) or "cpu"


def find_gpu(gpus: Iterable[Gpu], key: str) -> Optional[Gpu]:
    """By index or UUID."""
    return next((gpu for gpu in gpus if key in (str(gpu.index), gpu.uuid)), None)


def with_known_profiles(gpus: Sequence[Gpu]) -> dict[str, tuple[Profile, ...]]:
    """UUID -> the profiles of each GPU: its own, else those of a GPU of the same product on
    this host, else none: a GPU may report its profiles only while MIG mode is on."""
    known = {(gpu.name, gpu.memory): gpu.profiles for gpu in gpus if gpu.profiles}
    return {gpu.uuid: gpu.profiles or known.get((gpu.name, gpu.memory), ()) for gpu in gpus}


def resolve(gpus: Iterable[Gpu], device: str) -> frozenset[str]:
    """The UUIDs that a device request means: GPU index or UUID, MIG UUID, GPU:MIG index, or `all`.

    A whole GPU in MIG mode includes its MIG devices. Empty for a device that does not exist.
    """
    found: set[str] = set()
    for gpu in gpus:
        mig = _by_index(gpu)
        if device in ("all", str(gpu.index), gpu.uuid):
            found |= {gpu.uuid, *mig.values()}
        elif device in mig.values():
            found.add(device)
        else:
            parent, _colon, index = device.partition(":")
            if parent in (str(gpu.index), gpu.uuid) and index.isdigit() and int(index) in mig:
                found.add(mig[int(index)])
    return frozenset(found)


def _by_index(gpu: Gpu) -> dict[int, str]:
    """The UUIDs of its MIG devices; in the order of placement where the driver does not report indices."""
    parts = [part for instance in gpu.instances for part in instance.compute if part.uuid]
    return {place if part.index is None else part.index: part.uuid or "" for place, part in enumerate(parts)}

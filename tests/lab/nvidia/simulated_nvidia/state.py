"""What the simulated GPUs remember, in files that change by rename, under one lock.

Instances and, from Hopper on, MIG mode are gone after a reboot, as the state folder is.
Ampere's mode is in the persistent folder, and a pending one comes into effect there.
"""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from simulated_nvidia.allocation import Gpu as Room
from simulated_nvidia.allocation import Placed, Span
from simulated_nvidia.config import NAMESPACE, Config, GpuConfig, Paths
from simulated_nvidia.hardware import Profile


@dataclass
class ComputeInstance:
    """start: the first of its compute slices within the GPU instance."""

    id: int
    slices: int
    start: int

    @property
    def span(self) -> Span:
        return Span(self.start, self.slices)


@dataclass
class GpuInstance:
    """profile: its ID. start: in memory slices."""

    id: int
    profile: int
    start: int
    compute: list[ComputeInstance] = field(default_factory=list)


@dataclass
class Gpu:
    """mig, pending: MIG mode now, and after a reset."""

    config: GpuConfig
    driver: int
    mig: bool = False
    pending: bool = False
    persistence: bool = True
    instances: list[GpuInstance] = field(default_factory=list)

    @property
    def profiles(self) -> tuple[Profile, ...]:
        return self.config.kind.profiles_under(self.driver)

    def profile(self, instance: GpuInstance) -> Profile:
        return next(profile for profile in self.profiles if profile.id == instance.profile)

    def span(self, instance: GpuInstance) -> Span:
        return Span(instance.start, self.profile(instance).size)

    def room(self, *, mixes_3g_and_4g: bool) -> Room:
        placed = [Placed(self.profile(one), self.span(one)) for one in self.instances]
        return Room(self.config.kind, placed, mixes_3g_and_4g=mixes_3g_and_4g)

    def in_order(self) -> list[GpuInstance]:
        """As `-lgi` lists them: by profile, in NVML's order, then by ID."""
        return sorted(self.instances, key=lambda one: (self.profile(one).order, one.id))

    def devices(self) -> list[tuple[GpuInstance, ComputeInstance]]:
        """Its MIG devices in the order of their index."""
        instances = sorted(self.instances, key=lambda one: one.id)
        return [(one, part) for one in instances for part in sorted(one.compute, key=lambda part: part.id)]

    def compute_name(self, instance: GpuInstance, slices: int) -> str:
        profile = self.profile(instance)
        return profile.compute_name if slices == profile.slices else f"{slices}c.{profile.compute_name}"

    def multiprocessors(self, instance: GpuInstance, slices: int) -> int:
        """Of a compute instance with so many slices of it."""
        whole = self.profile(instance)
        single = next(profile.sm for profile in self.profiles if profile.slices == 1)
        return whole.sm if slices == whole.slices else slices * single

    def take_effect(self) -> None:
        """Of the pending mode, by a reset: instances do not outlive one."""
        self.mig, self.instances = self.pending, []


@dataclass
class Host:
    config: Config
    gpus: list[Gpu]
    boots: int = 0

    def uuid(self, gpu: Gpu, instance: GpuInstance, compute: ComputeInstance) -> str:
        """A MIG device's. Drivers make it of the GPU and the two IDs, so it comes back with them."""
        place = f"{instance.id}/{compute.id}"
        if self.config.driver.old_uuids:
            return f"MIG-{gpu.config.uuid}/{place}"
        boot = f"/{self.boots}" if self.config.new_uuids_at_boot else ""
        return gpu.config.mig_uuids.get(place) or f"MIG-{uuid.uuid5(NAMESPACE, f'{gpu.config.uuid}/{place}{boot}')}"


class Store:
    """Everything on disk. Without the right to write (not root), it is read all the same."""

    def __init__(self, paths: Paths) -> None:
        self._paths = paths
        self._volatile = paths.state / "state.json"
        self._lasting = paths.persistent / "state.json"

    @property
    def writable(self) -> bool:
        return os.access(self._paths.state, os.W_OK)

    def prepare(self, config: Config) -> None:
        """The folders and the device nodes, as the driver makes them when it is loaded."""
        with suppress(PermissionError):
            for folder in (self._paths.state, self._paths.persistent, self._paths.dev):
                folder.mkdir(parents=True, exist_ok=True)
            for node in device_nodes(config):
                if not (self._paths.dev / node).exists():
                    (self._paths.dev / node).touch()
                    (self._paths.dev / node).chmod(0o666)

    @contextmanager
    def locked(self) -> Iterator[None]:
        flags = os.O_RDWR | os.O_CREAT if self.writable else os.O_RDONLY
        try:
            lock = os.open(self._paths.state / "lock", flags, 0o644)
        except FileNotFoundError:  # nothing to read yet, and no right to write
            yield
            return
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    def load(self, config: Config) -> Host:
        """The host; booted first where the state folder is empty."""
        if not self._volatile.exists():
            return self._boot(config)
        saved = json.loads(self._volatile.read_text())
        gpus = [_gpu(config, gpu, saved["gpus"].get(gpu.uuid, {})) for gpu in config.gpus]
        return Host(config, gpus, saved["boots"])

    def save(self, host: Host) -> None:
        if not self.writable:
            return
        gpus = {gpu.config.uuid: _plain(gpu) for gpu in host.gpus}
        write(self._volatile, {"boots": host.boots, "gpus": gpus})
        modes = {gpu.config.uuid: gpu.pending for gpu in host.gpus if gpu.config.kind.mode_resets}
        write(self._lasting, {"boots": host.boots, "modes": modes})

    def _boot(self, config: Config) -> Host:
        lasting: dict[str, Any] = json.loads(self._lasting.read_text()) if self._lasting.exists() else {}
        host = Host(config, [], lasting.get("boots", 0) + 1)
        for gpu in config.gpus:
            mode = lasting.get("modes", {}).get(gpu.uuid, False)
            host.gpus.append(_gpu(config, gpu, {"mig": mode, "pending": mode}))
        self.save(host)
        return host


def device_nodes(config: Config) -> list[str]:
    return [*(f"nvidia{gpu.minor}" for gpu in config.gpus), "nvidiactl", "nvidia-uvm", "nvidia-uvm-tools"]


def write(path: Path, data: Any) -> None:
    text = json.dumps(data, indent=1) + "\n"
    if path.exists() and path.read_text() == text:
        return
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    temporary.write_text(text)
    temporary.replace(path)


def _gpu(config: Config, gpu: GpuConfig, saved: dict[str, Any]) -> Gpu:
    instances = [
        GpuInstance(one["id"], one["profile"], one["start"], [ComputeInstance(**part) for part in one["compute"]])
        for one in saved.get("instances", ())
    ]
    persistence = saved.get("persistence", config.persistence)
    mig, pending = saved.get("mig", False), saved.get("pending", False)
    return Gpu(gpu, config.driver.major, mig, pending, persistence, instances)


def _plain(gpu: Gpu) -> dict[str, Any]:
    instances = [asdict(one) for one in gpu.instances]
    return {"mig": gpu.mig, "pending": gpu.pending, "persistence": gpu.persistence, "instances": instances}

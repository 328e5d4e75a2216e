# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host's devices as its inventory asks for: the layout, what reaching it takes, and who gets what. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import Client, clients_of
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, find_gpu, with_known_profiles
from ansible_collections.inference.fleet.plugins.module_utils.gpu.partition import Partition, plan_partition
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import (
    Ask,
    DeviceRequest,
    Tenants,
    choose_gpus,
    place,
    place_who_can,
    refuse_unknown,
    tenants_of,
    who_has_what,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Device, Layout, instances
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

_MOST_COMPUTE_SLICES = 7  # of any GPU so far (MIG User Guide, "Supported MIG Profiles")


@dataclass(frozen=True)
class DevicePlan:
    """layout: for each GPU that is asked for one, `auto` worked out. given: container name ->
    UUIDs; of a device that is yet to be made, a stand-in. leaving: containers that give up what they hold."""

    layout: Layout = field(default_factory=Layout)
    partition: Partition = field(default_factory=lambda: Partition((), (), ()))
    given: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leaving: frozenset[str] = frozenset()


def needs_gpus(fleet: Fleet) -> bool:
    return fleet.needs_gpus


def plan_devices(request: DeviceRequest) -> DevicePlan:
    """Raises FleetError with every fault of the layout, or else of the placement."""
    gpus, asked = request.gpus, request.fleet.mig
    tenants = tenants_of(request)
    clients = clients_of(gpus, request.containers, request.processes, tenants.leaving)
    layout = auto_layout(tenants, gpus, clients) if asked.auto else asked
    partition = plan_partition(gpus, layout, clients, request.force)
    meant = layout.devices if asked.auto else ()  # what auto counted on, rather than what lies about elsewhere
    return DevicePlan(layout, partition, place(tenants, partition.after, meant), tenants.leaving)


def given_to_who_can(request: DeviceRequest) -> dict[str, tuple[str, ...]]:
    """As `DevicePlan.given`, of the devices that are there now, where there are not enough for all."""
    return place_who_can(tenants_of(request), request.gpus)


def what_is_left(request: DeviceRequest) -> Layout:
    """The part of the fleet's layout that can be had where not all of it can, a GPU being lost for instance.

    The others may have moved up by an index, so one that a container has as a whole is left to it.
    """
    gpus = request.gpus
    clients = clients_of(gpus, request.containers, request.processes)
    whole = {device for container in request.containers for device in container.devices}
    possible: dict[str, Optional[tuple[Device, ...]]] = {}
    for key, devices in request.fleet.mig.devices.items():
        gpu = find_gpu(gpus, key)
        if gpu and gpu.uuid in whole:
            continue
        with suppress(FleetError):
            plan_partition(gpus, Layout(devices={key: devices}), clients)
            possible[key] = devices
    return Layout(devices=possible)


def refuse_unmade(plan: DevicePlan, gpus: Sequence[Gpu]) -> None:
    """Raises FleetError where a container is given a device that is yet to be made."""
    there = {device for gpu in gpus for device in (gpu.uuid, *gpu.devices)}
    lacking = [name for name, devices in plan.given.items() if not set(devices) <= there]
    if lacking:
        raise FleetError(
            f"{', '.join(lacking)}: the GPUs are not partitioned as fleet_mig asks for; the playbook install does it, "
            f"or the module mig_partition. Missing: {'; '.join(plan.partition.actions)}"
        )


def auto_layout(tenants: Tenants, gpus: Sequence[Gpu], clients: Collection[Client]) -> Layout:
    """MIG devices for all who ask for one, on as few further GPUs as that takes.

    What is held stays where it is; a free instance that fits is used before one is made; GPUs
    for whole-GPU models are set aside first. A GPU that nobody asks for is left as it is.
    """
    kept = _kept(tenants, gpus, clients)
    asks = [(ask, Device.parse(ask.devices.mig, f"{ask.path}.mig")) for ask in tenants.unplaced if ask.devices.mig]
    asks.sort(key=lambda pair: (-pair[1].gigabytes, -pair[1].slices, -(pair[1].computes or pair[1].slices)))
    # A free instance may lie where a larger one has to go; the GPUs set aside may be the only ones with a profile.
    tries = (
        _assign(tenants, asks, gpus, kept, clients, reuse, whole_first)
        for whole_first in (True, False)
        for reuse in (True, False)
    )
    first = next(tries)
    best = first if not first.homeless else next((one for one in tries if not one.homeless), first)
    if best.homeless:
        for ask, _device in best.homeless:
            refuse_unknown(ask, gpus)
        faults = [
            f"{ask.path}.mig: fleet_mig: auto finds no room for a {device} for {ask.container}"
            for ask, device in best.homeless
        ]
        raise FleetError(*faults, who_has_what(gpus, tenants.keeps))
    layout: dict[str, Optional[tuple[Device, ...]]] = {
        gpu.uuid: None for gpu in gpus if gpu.uuid in best.whole and (gpu.mig or gpu.mig_pending)
    }
    layout.update((uuid, tuple(devices)) for uuid, devices in best.wanted.items() if devices)
    return Layout(devices=layout)


@dataclass(frozen=True)
class _Assignment:
    """whole: UUIDs of the GPUs that stay in one piece. wanted: by GPU UUID. homeless: who found no room."""

    whole: set[str]
    wanted: Mapping[str, list[Device]]
    homeless: Sequence[tuple[Ask, Device]]


def _assign(
    tenants: Tenants,
    asks: Sequence[tuple[Ask, Device]],
    gpus: Sequence[Gpu],
    kept: Mapping[str, Sequence[Device]],
    clients: Collection[Client],
    reuse: bool,
    whole_first: bool,
) -> _Assignment:
    wanted = {uuid: list(devices) for uuid, devices in kept.items()}
    fixed = _fixed_whole(tenants, gpus)
    whole = _whole_gpus(tenants, gpus, wanted, fixed) if whole_first else fixed
    homeless = [ask for ask in asks if not _find_home(ask[1], gpus, whole, wanted, clients, reuse)]
    return _Assignment(whole if whole_first else _whole_gpus(tenants, gpus, wanted, fixed), wanted, homeless)


def _kept(tenants: Tenants, gpus: Sequence[Gpu], clients: Collection[Client]) -> dict[str, list[Device]]:
    """By GPU UUID: the MIG devices that somebody holds who stays."""
    held = {device for devices in tenants.keeps.values() for device in devices}
    for client in clients:
        if not (client.leaving or client.watcher or client.persistence):
            held |= client.devices
    return {gpu.uuid: [Device.parse(name, "") for uuid, name in gpu.devices.items() if uuid in held] for gpu in gpus}


def _fixed_whole(tenants: Tenants, gpus: Sequence[Gpu]) -> set[str]:
    """UUIDs of GPUs that are held as a whole, or pinned."""
    whole = {device for devices in tenants.keeps.values() for device in devices if find_gpu(gpus, device)}
    named = (find_gpu(gpus, str(index)) for ask in tenants.unplaced for index in ask.devices.pinned)
    return whole | {gpu.uuid for gpu in named if gpu}


def _whole_gpus(
    tenants: Tenants, gpus: Sequence[Gpu], wanted: Mapping[str, Sequence[Device]], fixed: set[str]
) -> set[str]:
    """These and what counted asks will get. GPUs in MIG mode come last, and only those without a wanted device.

    Too few of them is not a fault here: placement tells it, with a table.
    """
    whole = set(fixed)
    for ask in sorted(tenants.unplaced, key=lambda ask: -ask.devices.count):
        idle = [gpu for gpu in gpus if gpu.uuid not in whole and not wanted[gpu.uuid]]
        off = [gpu for gpu in idle if not gpu.mig]
        if ask.devices.count:
            whole |= {
                gpu.uuid for gpu in choose_gpus(off, ask.devices.count) or choose_gpus(idle, ask.devices.count) or ()
            }
    return whole


def _find_home(
    device: Device,
    gpus: Sequence[Gpu],
    whole: Collection[str],
    wanted: dict[str, list[Device]],
    clients: Collection[Client],
    reuse: bool,
) -> bool:
    """Add it to the first GPU with room: one that has a free instance, one in MIG mode, any other."""

    def has_spare(gpu: Gpu) -> bool:
        return list(gpu.devices.values()).count(str(device)) > wanted[gpu.uuid].count(device)

    candidates = [gpu for gpu in gpus if gpu.mig is not None and gpu.uuid not in whole]
    candidates.sort(key=lambda gpu: (not (reuse and has_spare(gpu)), not gpu.mig, not wanted[gpu.uuid], gpu.index))
    for gpu in candidates:
        if _has_room(gpu, [*wanted[gpu.uuid], device], gpus, clients):
            wanted[gpu.uuid].append(device)
            return True
    return False


def _has_room(gpu: Gpu, devices: Sequence[Device], gpus: Sequence[Gpu], clients: Collection[Client]) -> bool:
    profiles = with_known_profiles(gpus)[gpu.uuid]
    if not profiles and not _sounds_possible(gpu, devices):
        return False
    try:
        known = replace(gpu, profiles=profiles)
        plan_partition([known], Layout(devices={gpu.uuid: tuple(devices)}), clients)
    except FleetError:
        return False
    return True


def _sounds_possible(gpu: Gpu, devices: Sequence[Device]) -> bool:
    """By names alone, where profiles are unknown until MIG is on. What names promise is rounded:
    the memory of a profile is all of the GPU's, a half, a quarter or an eighth."""
    memory = gpu.memory / 1024
    made = [Device.parse(instance.profile, "") for instance in instances(devices)]
    return (
        all(any(abs(one.gigabytes - memory / parts) < 1 for parts in (1, 2, 4, 8)) for one in made)
        and sum(one.gigabytes for one in made) <= memory * 1.02 + 0.5 * len(made)
        and sum(one.slices for one in made) <= _MOST_COMPUTE_SLICES
        and sum("+me" in one.profile for one in made) <= 1
    )

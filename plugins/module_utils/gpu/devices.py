# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The device plan of a host: the MIG layout, the steps to reach it, and the devices of each container. Pure."""

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
    holder_table,
    place,
    place_possible,
    refuse_unknown,
    tenants_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Device, Layout, instances
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

_MOST_COMPUTE_SLICES = 7  # of all GPUs so far (MIG User Guide, "Supported MIG Profiles")


@dataclass(frozen=True)
class DevicePlan:
    """layout: for each GPU with a requested layout, `auto` resolved. given: container name -> UUIDs, with a
    placeholder for a device that does not exist yet. leaving: containers that release their devices."""

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
    meant = layout.devices if asked.auto else ()  # devices that auto planned with, before unused ones elsewhere
    return DevicePlan(layout, partition, place(tenants, partition.after, meant), tenants.leaving)


def given_if_possible(request: DeviceRequest) -> dict[str, tuple[str, ...]]:
    """As `DevicePlan.given`, from the existing devices, without the containers that get no device."""
    return place_possible(tenants_of(request), request.gpus)


def possible_layout(request: DeviceRequest) -> Layout:
    """The part of the fleet's layout that is possible, for example after the loss of a GPU.

    After a loss, other GPUs may have a lower index. So a GPU that a container holds as a whole is not partitioned.
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
    """Raises FleetError if the plan gives a container a device that does not exist yet."""
    there = {device for gpu in gpus for device in (gpu.uuid, *gpu.devices)}
    lacking = [name for name, devices in plan.given.items() if not set(devices) <= there]
    if lacking:
        raise FleetError(
            f"{', '.join(lacking)}: the GPUs are not partitioned as in fleet_mig; run the playbook install, "
            f"or the module mig_partition. Missing: {'; '.join(plan.partition.actions)}"
        )


def auto_layout(tenants: Tenants, gpus: Sequence[Gpu], clients: Collection[Client]) -> Layout:
    """MIG devices for all containers that request one, on as few additional GPUs as possible.

    Held devices stay; a free instance that fits is used before a new one is created; GPUs for
    whole-GPU models are reserved first. A GPU that no container requests is not changed.
    """
    kept = _kept(tenants, gpus, clients)
    asks = [(ask, Device.parse(ask.devices.mig, f"{ask.path}.mig")) for ask in tenants.unplaced if ask.devices.mig]
    asks.sort(key=lambda pair: (-pair[1].gigabytes, -pair[1].slices, -(pair[1].computes or pair[1].slices)))
    # A free instance may be at the only place for a larger one; reserved GPUs may be the only ones with a profile.
    tries = (
        _assign(tenants, asks, gpus, kept, clients, reuse, whole_first)
        for whole_first in (True, False)
        for reuse in (True, False)
    )
    first = next(tries)
    best = first if not first.without_room else next((one for one in tries if not one.without_room), first)
    if best.without_room:
        for ask, _device in best.without_room:
            refuse_unknown(ask, gpus)
        faults = [
            f"{ask.path}.mig: fleet_mig: auto finds no room for a {device} for {ask.container}"
            for ask, device in best.without_room
        ]
        raise FleetError(*faults, holder_table(gpus, tenants.keeps))
    layout: dict[str, Optional[tuple[Device, ...]]] = {
        gpu.uuid: None for gpu in gpus if gpu.uuid in best.whole and (gpu.mig or gpu.mig_pending)
    }
    layout.update((uuid, tuple(devices)) for uuid, devices in best.wanted.items() if devices)
    return Layout(devices=layout)


@dataclass(frozen=True)
class _Assignment:
    """whole: UUIDs of GPUs without partitions. wanted: by GPU UUID. without_room: requests that no GPU has room for."""

    whole: set[str]
    wanted: Mapping[str, list[Device]]
    without_room: Sequence[tuple[Ask, Device]]


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
    without_room = [ask for ask in asks if not _add_where_room(ask[1], gpus, whole, wanted, clients, reuse)]
    return _Assignment(whole if whole_first else _whole_gpus(tenants, gpus, wanted, fixed), wanted, without_room)


def _kept(tenants: Tenants, gpus: Sequence[Gpu], clients: Collection[Client]) -> dict[str, list[Device]]:
    """By GPU UUID: the MIG devices whose holders stay."""
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
    """`fixed`, and the GPUs for requests by number. GPUs in MIG mode come last, and only those without a wanted device.

    Too few GPUs are no fault here: the placement reports this fault, with a table.
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


def _add_where_room(
    device: Device,
    gpus: Sequence[Gpu],
    whole: Collection[str],
    wanted: dict[str, list[Device]],
    clients: Collection[Client],
    reuse: bool,
) -> bool:
    """Adds the device to the first GPU with room: first GPUs with a free instance, then in MIG mode, then others."""

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
    if not profiles and not _fits_by_name(gpu, devices):
        return False
    try:
        known = replace(gpu, profiles=profiles)
        plan_partition([known], Layout(devices={gpu.uuid: tuple(devices)}), clients)
    except FleetError:
        return False
    return True


def _fits_by_name(gpu: Gpu, devices: Sequence[Device]) -> bool:
    """A check by names only, since profiles are unknown until MIG is on. Sizes in names are rounded:
    a profile has the whole memory of the GPU, a half, a quarter or an eighth."""
    if gpu.memory is None:
        return False
    memory = gpu.memory / 1024
    made = [Device.parse(instance.profile, "") for instance in instances(devices)]
    return (
        all(any(abs(one.gigabytes - memory / parts) < 1 for parts in (1, 2, 4, 8)) for one in made)
        and sum(one.gigabytes for one in made) <= memory * 1.02 + 0.5 * len(made)
        and sum(one.slices for one in made) <= _MOST_COMPUTE_SLICES
        and sum("+me" in one.profile for one in made) <= 1
    )

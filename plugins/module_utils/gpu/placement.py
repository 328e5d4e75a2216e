# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which model container gets which device. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer, OpenDevice
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, find_gpu, resolve
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Devices, stands_for
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

Held = Mapping[str, tuple[str, ...]]  # container name -> UUIDs of GPUs and MIG devices


@dataclass(frozen=True)
class DeviceRequest:
    """The input of a device plan: the fleet, the state of the host's GPUs, and the scope of the run.

    containers: all of the host. names: the models that the run acts on. prune: whether the run removes containers of
    models that the fleet does not have. processes: those that hold GPUs. force: whether the run may stop models and
    DCGM that block a change of the MIG layout.
    """

    fleet: Fleet
    gpus: Sequence[Gpu]
    containers: Sequence[HostContainer]
    names: Collection[str]
    prune: bool
    processes: Sequence[OpenDevice] = ()
    force: bool = False


@dataclass(frozen=True)
class Ask:
    """The devices that one container requests. path: of its model in the inventory. resting: the container is to
    be stopped, so no device is required."""

    container: str
    path: str
    devices: Devices
    resting: bool = False


@dataclass(frozen=True)
class Tenants:
    """The containers of a host as one run sees them.

    asks: of the containers of the models that the run acts on. keeps: devices of containers that the run
    does not change, or that already hold suitable devices. leaving: containers that must release their devices.
    """

    asks: tuple[Ask, ...]
    keeps: Held
    leaving: frozenset[str]

    @property
    def unplaced(self) -> list[Ask]:
        """Containers that need a device and have none."""
        return [ask for ask in self.asks if ask.container not in self.keeps and not ask.resting]


def tenants_of(request: DeviceRequest) -> Tenants:
    fleet, gpus, acting = request.fleet, request.gpus, frozenset(request.names)
    known = {container for model in fleet.models for container in model.containers}
    asks = {
        container: Ask(container, f"fleet_models[{index}].devices", model.devices, model.state != "running")
        for index, model in enumerate(fleet.models)
        for container in model.containers
        if model.name in acting
    }
    pinned = {gpu.uuid for ask in asks.values() for gpu in gpus if gpu.index in ask.devices.pinned}
    keeps: dict[str, tuple[str, ...]] = {}
    ours: set[str] = set()
    leaving = set()
    for one in _by_replica(request.containers):
        held = _uuids(gpus, one.devices)
        ask = asks.get(one.name)
        if one.model is None:
            # A foreign container holds the devices it requests by name; monitors request `all`, which holds none.
            if one.running and "all" not in one.devices and not one.is_watcher:
                keeps[one.name] = held
        elif ask:
            moves_away = ask.devices.count and pinned & set(held)
            if _satisfies(ask.devices, held, gpus) and not moves_away and not ours & set(held):
                keeps[one.name] = held
                ours |= set(held)
            else:
                leaving.add(one.name)
        elif stands_for(one.name) != one.name:
            keeps[one.name] = held  # until its replacement is tidied up
        elif one.model in acting or (request.prune and one.name not in known):
            leaving.add(one.name)
        else:
            keeps[one.name] = held
            ours |= set(held)
    leaving |= {name for name, ask in asks.items() if ask.resting and name in keeps}
    return Tenants(tuple(asks.values()), keeps, frozenset(leaving))


def spare_devices(request: DeviceRequest, given: Held, containers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """For each of these containers, if there are: free devices of its kind, which no other one gets.

    given: of the containers that the run acts on. A container with pinned GPUs has no others.
    """
    tenants = tenants_of(request)
    asks = {ask.container: ask for ask in tenants.asks}
    holders = {**tenants.keeps, **{one.name: _uuids(request.gpus, one.devices) for one in request.containers}, **given}
    spare: dict[str, tuple[str, ...]] = {}
    for name in containers:
        ask = asks[name]
        if not ask.devices.pinned:
            with suppress(FleetError):
                taken = _with_parts(request.gpus, [*holders.values(), *spare.values()])
                spare[name] = _give(ask, request.gpus, taken, holders, ())
    return spare


def _by_replica(containers: Sequence[HostContainer]) -> Iterator[HostContainer]:
    """The containers of interrupted replacements with the name of their replica, if no other one has it. Those that run
    and have no such name hold their devices for themselves."""
    names = {one.name for one in containers}
    temporary = [one for one in containers if one.model and stands_for(one.name) != one.name]
    yield from (one for one in containers if one not in temporary)
    for one in sorted(temporary, key=lambda one: not one.running):
        own = stands_for(one.name)
        if own not in names:
            names.add(own)
            yield replace(one, name=own)
        elif one.running:
            yield one


def place(tenants: Tenants, gpus: Sequence[Gpu], first: Collection[str] = ()) -> dict[str, tuple[str, ...]]:
    """Container name -> the UUIDs of its devices, for every container that asks.

    gpus: as they will be after partitioning. A container keeps suitable devices, unless a
    whole GPU of them will be in MIG mode. The order is: pinned GPUs, then the largest request, last
    the containers to be stopped, which may get none. first: UUIDs of GPUs whose MIG devices are
    used before those of others. Raises FleetError with a table of the device holders where there
    is no room.
    """
    given, faults = _place(tenants, gpus, first)
    if faults:
        raise FleetError(*(fault for lines in faults.values() for fault in lines), holder_table(gpus, given))
    return {ask.container: given[ask.container] for ask in tenants.asks}


def place_possible(tenants: Tenants, gpus: Sequence[Gpu]) -> dict[str, tuple[str, ...]]:
    """As `place`, but without the containers that get no device."""
    given, faults = _place(tenants, gpus, ())
    return {ask.container: given[ask.container] for ask in tenants.asks if ask.container not in faults}


def _place(
    tenants: Tenants, gpus: Sequence[Gpu], first: Collection[str]
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Container name -> its devices, and container name -> faults where devices are missing."""
    there = {device for gpu in gpus for device in (gpu.uuid, *gpu.devices)}
    partitioned = {gpu.uuid for gpu in gpus if gpu.mig}
    moving = {ask.container for ask in tenants.asks if partitioned & set(tenants.keeps.get(ask.container, ()))}
    given = {name: held for name, held in tenants.keeps.items() if set(held) <= there and name not in moving}
    waiting = [ask for ask in tenants.asks if ask.container not in given]
    faults: dict[str, tuple[str, ...]] = {}
    for ask in sorted(waiting, key=lambda ask: (ask.resting, not ask.devices.pinned, -ask.devices.count)):
        taken = _with_parts(gpus, given.values())
        try:
            given[ask.container] = _give(ask, gpus, taken, given, first)
        except FleetError as error:
            if not ask.resting:
                faults[ask.container] = error.faults
            given[ask.container] = ()
    return given, faults


def choose_gpus(free: Sequence[Gpu], count: int) -> Optional[tuple[Gpu, ...]]:
    """The GPUs of the fewest products, with the most NVLinks among them; if equal, with the fewest links
    to the remaining GPUs; if equal, with the lowest indices. None if fewer GPUs are free."""

    def links(some: Collection[Gpu], others: Collection[Gpu]) -> int:
        return sum(one.links.get(other.index, 0) for one in some for other in others)

    def worth(chosen: tuple[Gpu, ...]) -> tuple[int, int, int, list[int]]:
        rest = [gpu for gpu in free if gpu not in chosen]
        products = {(gpu.name, gpu.memory) for gpu in chosen}
        return len(products), -links(chosen, chosen), links(chosen, rest), [gpu.index for gpu in chosen]

    alike = len({(gpu.name, gpu.memory) for gpu in free}) < 2
    if count == 0 or (alike and not any(gpu.links for gpu in free)):
        return tuple(free[:count]) if len(free) >= count else None
    return min(combinations(free, count), key=worth, default=None)


def holder_table(gpus: Iterable[Gpu], given: Held) -> str:
    """A table: one line for each GPU, or for each MIG device of one."""
    holder: dict[str, list[str]] = {}
    for name, devices in given.items():
        for device in devices:
            holder.setdefault(device, []).append(name)
    rows = []
    for gpu in gpus:
        if not gpu.mig:
            rows.append((str(gpu), ", ".join(holder.get(gpu.uuid, ())) or "free"))
            continue
        rows.append((f"{gpu}, MIG", ", ".join(holder.get(gpu.uuid, ())) or ("" if gpu.devices else "no instances")))
        for instance in gpu.instances:
            for part in instance.compute:
                place_of = f" at {instance.start}" if instance.start is not None else ""
                who = ", ".join(holder.get(part.uuid or "", ())) or "free"
                rows.append((f"  {instance.device_name(part)}{place_of}", who))
    width = max((len(device) for device, _who in rows), default=0)
    return "Who has what:\n" + "\n".join(f"  {device.ljust(width)}  {who}".rstrip() for device, who in rows)


def _give(
    ask: Ask, gpus: Sequence[Gpu], taken: Collection[str], given: Held, first: Collection[str]
) -> tuple[str, ...]:
    if ask.devices.cpu:
        return ()
    if ask.devices.mig:
        return (_mig_device(ask, gpus, taken, first),)
    if ask.devices.pinned:
        return tuple(_pinned(ask, index, gpus, given) for index in ask.devices.pinned)
    free = [gpu for gpu in gpus if not gpu.mig and gpu.uuid not in taken]
    chosen = choose_gpus(free, ask.devices.count)
    if chosen is None:
        count, parted = ask.devices.count, sum(1 for gpu in gpus if gpu.mig)
        raise FleetError(
            f"{ask.path}.gpus: {ask.container} asks for {count} GPU{'s' if count > 1 else ''}; "
            f"free: {len(free)} of {len(gpus)}" + (f", partitioned by MIG: {parted}" if parted else "")
        )
    return tuple(gpu.uuid for gpu in chosen)


def _mig_device(ask: Ask, gpus: Sequence[Gpu], taken: Collection[str], first: Collection[str]) -> str:
    wanted = ask.devices.mig
    ordered = sorted(gpus, key=lambda gpu: gpu.uuid not in first)
    named = [uuid for gpu in ordered for uuid, name in gpu.devices.items() if name == wanted]
    free = next((uuid for uuid in named if uuid not in taken), None)
    if free is not None:
        return free
    if named:
        raise FleetError(
            f"{ask.path}.mig: {ask.container} asks for a {wanted}; free: 0 of {len(named)}; "
            f"add one in fleet_mig, or give fleet_mig: auto"
        )
    refuse_unknown(ask, gpus)
    raise FleetError(
        f"{ask.path}.mig: {ask.container} asks for a {wanted}, and this host has none; "
        f"add one in fleet_mig, or give fleet_mig: auto"
    )


def refuse_unknown(ask: Ask, gpus: Sequence[Gpu]) -> None:
    """Raises FleetError where every GPU with MIG reports its profiles, and none has the requested one."""
    profile = (ask.devices.mig or "").rpartition("c.")[2]
    capable = [gpu for gpu in gpus if gpu.mig is not None]
    if all(gpu.profiles for gpu in capable) and not any(
        profile == offered.name for gpu in capable for offered in gpu.profiles
    ):
        has = "; ".join(f"{gpu}: {', '.join(offered.name for offered in gpu.profiles)}" for gpu in capable)
        raise FleetError(
            f'{ask.path}.mig: "{ask.devices.mig}" is not a profile of any GPU of this host; '
            f"it has {has or 'none with MIG'}"
        )


def _pinned(ask: Ask, index: int, gpus: Sequence[Gpu], given: Held) -> str:
    gpu = find_gpu(gpus, str(index))
    if gpu is None:
        raise FleetError(f"{ask.path}.gpus: no GPU {index} on this host; it has {', '.join(map(str, gpus)) or 'none'}")
    if gpu.mig:
        raise FleetError(
            f"{ask.path}.gpus: {gpu} is partitioned by MIG; give {{mig: PROFILE}}, or fleet_mig: {{{index}: off}}"
        )
    holders = [name for name, devices in given.items() if gpu.uuid in devices]
    if holders:
        raise FleetError(f"{ask.path}.gpus: {gpu} is held by {', '.join(holders)}, which this run leaves alone")
    return gpu.uuid


def _satisfies(ask: Devices, held: Sequence[str], gpus: Sequence[Gpu]) -> bool:
    """Whether a container may keep what it holds."""
    if ask.mig:
        return len(held) == 1 and any(gpu.devices.get(held[0]) == ask.mig for gpu in gpus)
    whole = [gpu for uuid in held for gpu in gpus if gpu.uuid == uuid and not gpu.mig]
    if len(whole) != len(held) or len(held) != ask.gpus_per_replica:
        return False
    return not ask.pinned or sorted(gpu.index for gpu in whole) == sorted(ask.pinned)


def _uuids(gpus: Sequence[Gpu], devices: Iterable[str]) -> tuple[str, ...]:
    """What a container holds, each device by its UUID; an unknown device stays as written."""
    held = []
    for device in devices:
        gpu = find_gpu(gpus, device)
        means = resolve(gpus, device)
        held.append(gpu.uuid if gpu else next(iter(means)) if len(means) == 1 else device)
    return tuple(held)


def _with_parts(gpus: Sequence[Gpu], given: Iterable[Sequence[str]]) -> set[str]:
    """The devices, with the MIG devices of whole GPUs and the GPUs of MIG devices."""
    taken = {device for devices in given for device in devices}
    for gpu in gpus:
        if gpu.uuid in taken:
            taken |= set(gpu.devices)
        elif taken & set(gpu.devices):
            taken.add(gpu.uuid)
    return taken

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Plans the ordered changes that give a host's GPUs a layout. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import Client
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import (
    ComputeInstance,
    Gpu,
    GpuInstance,
    Profile,
    compute_slices,
    find_gpu,
    with_known_profiles,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import Step, plan_instances
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import (
    ALL,
    Device,
    Instance,
    Layout,
    instances,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

Targets = Mapping[str, Optional[tuple[Device, ...]]]  # by GPU UUID; None: MIG off


@dataclass(frozen=True)
class Partition:
    """stops: clients to stop before the steps. after: the GPUs as they will be; what a step
    creates has a placeholder for its UUID."""

    steps: tuple[Step, ...]
    stops: tuple[Client, ...]
    after: tuple[Gpu, ...]

    @property
    def actions(self) -> list[str]:
        """In the order of the run, including the clients to stop and to start again."""
        return [
            *(f"stop {client.name}" for client in self.stops),
            *map(str, self.steps),
            *(f"start {client.name}" for client in starting_again(self.stops, self.after)),
        ]


def starting_again(stopped: Iterable[Client], gpus: Sequence[Gpu]) -> list[Client]:
    """All stopped clients except containers that leave, and models whose devices are gone. A
    partitioned GPU is gone as a whole GPU."""
    there = {device for gpu in gpus for device in (gpu.uuid, *gpu.devices)}

    def has_all(client: Client) -> bool:
        parted = [gpu for gpu in gpus if gpu.mig and gpu.uuid in client.devices]
        return client.devices <= there and all(client.devices & set(gpu.devices) for gpu in parted)

    return [one for one in stopped if not one.leaving and (not one.model or has_all(one))]


def plan_partition(gpus: Sequence[Gpu], layout: Layout, clients: Collection[Client], force: bool = False) -> Partition:
    """Raises FleetError with the faults of all GPUs: missing, does not fit, or in use."""
    targets, faults = _targets(gpus, layout)
    profiles = with_known_profiles(gpus)
    steps: list[Step] = []
    stops: dict[str, Client] = {}
    after: list[Gpu] = []
    for gpu in gpus:
        if gpu.uuid not in targets:
            after.append(gpu)
            continue
        try:
            own = _plan_gpu(gpu, profiles[gpu.uuid], targets[gpu.uuid], clients, force)
        except FleetError as error:
            faults += error.faults
            continue
        steps += own
        after.append(_applied(gpu, profiles[gpu.uuid], own))
        stops.update((client.name, client) for client in _to_stop(gpu, own, clients, force))
    if faults:
        raise FleetError(*faults)
    return Partition(tuple(steps), tuple(stops.values()), tuple(after))


def _targets(gpus: Sequence[Gpu], layout: Layout) -> tuple[Targets, list[str]]:
    """What the layout means for each GPU, and its faults. A GPU's own key overrides `all`, which
    means all GPUs that have MIG."""
    targets: dict[str, Optional[tuple[Device, ...]]] = {}
    faults: list[str] = []
    if ALL in layout.devices:
        targets = {gpu.uuid: layout.devices[ALL] for gpu in gpus if gpu.mig is not None}
        if not targets:
            faults.append(f"{layout.path}.all: no GPU of this host has MIG")
    named: set[str] = set()
    for key, devices in layout.devices.items():
        gpu = find_gpu(gpus, key)
        if key == ALL:
            continue
        if gpu is None:
            faults.append(
                f"{layout.path}.{key}: no such GPU on this host; it has {', '.join(map(str, gpus)) or 'none'}"
            )
        elif gpu.uuid in named:
            faults.append(f"{layout.path}.{key}: {gpu} is named twice, by index and by UUID")
        elif gpu.mig is None and devices is not None:
            faults.append(f"{layout.path}.{key}: {gpu} has no MIG; leave it out, or give off")
        else:
            named.add(gpu.uuid)
            targets[gpu.uuid] = devices
    return targets, faults


def _plan_gpu(
    gpu: Gpu,
    profiles: Sequence[Profile],
    target: Optional[tuple[Device, ...]],
    clients: Collection[Client],
    force: bool,
) -> list[Step]:
    if gpu.mig is None:
        return []
    wanted = instances(target or (), _begun(gpu, clients))
    steps: list[Step] = []
    if gpu.instances or (gpu.mig and wanted):
        steps += _instance_steps(gpu, profiles, wanted, clients, force)
    mode = _mode_steps(gpu, target is not None)
    if any(step.verb == "reset" or not gpu.mode_needs_reset for step in mode):
        _refuse_if_held(gpu, clients, force)
    if gpu.mig or not wanted:
        return [*steps, *mode]
    if not profiles:
        return mode + [Step("create", gpu.index, profile=one.profile, computes=one.computes) for one in wanted]
    return mode + list(plan_instances(gpu.index, profiles, (), wanted, {}))


def _begun(gpu: Gpu, clients: Collection[Client]) -> list[Instance]:
    """GPU instances that are in use, with their parts: a layout that asks for them keeps them as they are."""
    used = {device for one in clients if not (one.leaving or one.watcher) for device in one.devices}
    held = [
        (one.profile, tuple(part.slices for part in one.compute if part.uuid in used))
        for one in gpu.instances
        if one.division()
    ]
    return [Instance(profile, parts) for profile, parts in held if parts]


def _instance_steps(
    gpu: Gpu, profiles: Sequence[Profile], wanted: Sequence[Instance], clients: Collection[Client], force: bool
) -> list[Step]:
    holders: dict[tuple[int, int], list[str]] = {}
    liked = set()
    stoppable = False
    for instance in gpu.instances:
        for part in instance.compute:
            for client in clients:
                if part.uuid in client.devices and not client.watcher and not client.persistence:
                    if client.may_stop(force):
                        liked.add(instance.id or 0)
                    else:
                        holders.setdefault((instance.id or 0, part.id), []).append(client.name)
                        stoppable = stoppable or client.may_stop(True)
    try:
        return list(plan_instances(gpu.index, profiles, gpu.instances, wanted, holders, frozenset(liked)))
    except FleetError as error:
        hint = (
            "; force (-e mig_force=true) stops and starts models itself" if stoppable and "in use" in str(error) else ""
        )
        raise FleetError(f"{error}{hint}") from error


def _mode_steps(gpu: Gpu, wanted: bool) -> list[Step]:
    steps = []
    if wanted != gpu.mig_pending:
        steps.append(Step("enable" if wanted else "disable", gpu.index))
    if wanted != gpu.mig and gpu.mode_needs_reset:
        steps.append(Step("reset", gpu.index))
    return steps


def _refuse_if_held(gpu: Gpu, clients: Iterable[Client], force: bool) -> None:
    holding = [client for client in _on(gpu, clients) if not client.may_stop(force)]
    if holding:
        how = "needs a reset, which" if gpu.mode_needs_reset else "is changed, which"
        hint = (
            "; force (-e mig_force=true) stops and starts models and DCGM itself"
            if any(one.may_stop(True) for one in holding)
            else ""
        )
        raise FleetError(
            f"GPU {gpu.index}: MIG mode {how} works only while nothing holds the GPU; it is held by "
            f"{', '.join(client.name for client in holding)}. Stop these and run again{hint}"
        )


def _on(gpu: Gpu, clients: Iterable[Client]) -> list[Client]:
    return [client for client in clients if client.devices & {gpu.uuid, *gpu.devices}]


def _to_stop(gpu: Gpu, steps: Sequence[Step], clients: Iterable[Client], force: bool) -> list[Client]:
    """Clients that hold what is removed: the whole GPU where its mode changes, else the destroyed instances.

    Watchers hold the GPU itself, so any removal on the GPU stops them.
    """
    verbs = {step.verb for step in steps}
    gone = {
        part.uuid
        for step in steps
        for instance in gpu.instances
        if instance.id == step.instance
        for part in instance.compute
        if part.id in step.destroys
    }
    whole = "reset" in verbs or bool(verbs & {"enable", "disable"} and not gpu.mode_needs_reset)
    return [
        client
        for client in _on(gpu, clients)
        if client.may_stop(force) and (whole or client.devices & gone or (client.watcher and gone))
    ]


def _applied(gpu: Gpu, profiles: Sequence[Profile], steps: Sequence[Step]) -> Gpu:
    """The GPU after the steps."""
    present = {one.id: one for one in gpu.instances}
    new: list[GpuInstance] = []
    mig = gpu.mig
    memory = {profile.name: profile.size for profile in profiles}
    for step in steps:
        if step.verb in ("enable", "disable"):
            mig = step.verb == "enable"
        elif step.verb == "destroy":
            del present[step.instance]
        elif step.verb == "divide":
            one = present[step.instance]
            kept = tuple(part for part in one.compute if part.id not in step.destroys)
            present[step.instance] = replace(one, compute=kept + _made(gpu, one, step.computes, len(new)))
        elif step.verb == "create":
            one = GpuInstance(None, step.profile, step.start, memory.get(step.profile, 0))
            sizes = step.computes or (compute_slices(step.profile),)
            new.append(replace(one, compute=_made(gpu, one, sizes, len(new))))
        elif step.verb == "reset":
            mig = gpu.mig_pending if mig == gpu.mig else mig
    ordered = sorted([*present.values(), *new], key=lambda one: (one.start is None, one.start or 0))
    return replace(gpu, mig=mig, mig_pending=mig, profiles=tuple(profiles), instances=tuple(ordered))


def _made(gpu: Gpu, one: GpuInstance, sizes: Sequence[int], ordinal: int) -> tuple[ComputeInstance, ...]:
    """Compute instances to be created, each with a unique placeholder as UUID."""
    place = f"{one} on GPU {gpu.index}" if one.start is not None else f"{one} #{ordinal} on GPU {gpu.index}"
    return tuple(
        ComputeInstance(-1 - index, size, None, f"(to be made: {place}, {size}c #{index})")
        for index, size in enumerate(sizes)
    )

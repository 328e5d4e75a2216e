# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applies a partition: stops the clients of the GPUs, runs each GPU's steps, starts the clients again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Protocol

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import Client
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, find_gpu
from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import Step
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import Observation
from ansible_collections.inference.fleet.plugins.module_utils.gpu.partition import (
    Partition,
    plan_partition,
    starting_again,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import ALL, Layout
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError


class Smi(Protocol):
    """What repartitioning needs from nvidia-smi."""

    def observe(self) -> Observation: ...
    def carry_out(self, step: Step) -> None: ...


class Switch(Protocol):
    """Stops and starts what holds GPUs."""

    def stop(self, client: Client) -> None: ...
    def start(self, client: Client) -> None: ...


@dataclass
class Outcome:
    """done, not_done: actions, as the plan words them. after: the GPUs as they are now."""

    done: list[str] = field(default_factory=list)
    not_done: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    after: tuple[Gpu, ...] = ()


def repartition(partition: Partition, layout: Layout, smi: Smi, switch: Switch) -> Outcome:
    """A step that fails stops only the steps of its own GPU; what was created stays."""
    outcome = Outcome()
    stopped: list[Client] = []
    finished = {gpu.index for gpu in partition.after}  # GPUs whose steps all succeeded
    try:
        for client in partition.stops:
            switch.stop(client)
            stopped.append(client)
            outcome.done.append(f"stop {client.name}")
    except FleetError as error:
        outcome.faults += error.faults
        outcome.not_done += [f"stop {client.name}" for client in partition.stops[len(stopped) :]]
        outcome.not_done += map(str, partition.steps)
        finished -= {step.gpu for step in partition.steps}
    else:
        for gpu, steps in groupby(partition.steps, key=lambda step: step.gpu):
            if not _run(list(steps), layout, smi, outcome):
                finished.discard(gpu)
    try:
        outcome.after = smi.observe().gpus
    except FleetError as error:
        outcome.faults += error.faults
    # A new instance may have the UUID of the instance destroyed at its placement: only the plan distinguishes them.
    planned = {gpu.index: gpu for gpu in partition.after if gpu.index in finished}
    known = [planned.get(gpu.index, gpu) for gpu in outcome.after or partition.after]
    _start_again(stopped, known, outcome, switch)
    return outcome


def _run(steps: Sequence[Step], layout: Layout, smi: Smi, outcome: Outcome) -> bool:
    """Runs one GPU's steps; returns whether all succeeded. Unknown placements are planned once MIG
    is on."""
    due = list(steps)
    for place, step in enumerate(steps):
        try:
            if due[place].verb == "create" and due[place].start is None:
                due[place:] = _placed(step.gpu, layout, smi, due[place:])
            smi.carry_out(due[place])
        except FleetError as error:
            outcome.faults += error.faults
            outcome.not_done += map(str, steps[place:])
            return False
        outcome.done.append(str(step))
    return True


def _placed(gpu: int, layout: Layout, smi: Smi, left: Sequence[Step]) -> tuple[Step, ...]:
    """The same creates, in the same order, with their placements."""
    observed = [one for one in smi.observe().gpus if one.index == gpu]
    if not all(one.mig for one in observed):
        raise FleetError(f"GPU {gpu}: MIG mode was enabled but is not on yet; a reboot applies it")
    mine = {key: devices for key, devices in layout.devices.items() if key == ALL or find_gpu(observed, key)}
    steps = plan_partition(observed, Layout(devices=mine), ()).steps
    if [(step.profile, step.computes) for step in steps] != [(step.profile, step.computes) for step in left]:
        raise FleetError(f"GPU {gpu}: changed while it was being partitioned; run again")
    return steps


def _start_again(stopped: Sequence[Client], gpus: Sequence[Gpu], outcome: Outcome, switch: Switch) -> None:
    back = starting_again(stopped, gpus)
    for client in stopped:
        if client not in back and not client.leaving:
            outcome.not_done.append(f"start {client.name} (its device is gone; model_containers recreates it)")
    for client in back:
        try:
            switch.start(client)
            outcome.done.append(f"start {client.name}")
        except FleetError as error:
            outcome.faults += error.faults
            outcome.not_done.append(f"start {client.name}")

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether a host's GPUs can be partitioned and assigned as the inventory requests. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import (
    DevicePlan,
    plan_devices,
    possible_layout,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import FAULT, INSTALL, NOTE, OK, Check
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError


def device_checks(request: DeviceRequest) -> tuple[DevicePlan, tuple[Check, ...]]:
    """The plan and its checks. A plan with a fault has only the possible part of the layout."""
    try:
        plan = plan_devices(request)
    except FleetError as error:
        return DevicePlan(possible_layout(request)), tuple(
            check for fault in error.faults for check in _as_checks(fault)
        )
    return plan, tuple(_as_planned(request.fleet, plan))


def _as_planned(fleet: Fleet, plan: DevicePlan) -> Iterator[Check]:
    if plan.partition.steps:
        yield Check("mig", INSTALL, ", ".join(plan.partition.actions), "install does it before the models")
    elif fleet.mig:
        yield Check("mig", OK, "partitioned as fleet_mig asks for")
    holding = [name for name, devices in plan.given.items() if devices]
    if holding:
        yield Check("gpus", OK, f"there is a device for each of {', '.join(holding)}")


def _as_checks(fault: str) -> Iterator[Check]:
    """A fault of one line, or a table that belongs to the faults before it."""
    head, *table = fault.splitlines()
    if not table:
        yield Check.parse(head, FAULT)
        return
    yield Check("", NOTE, head)
    for line in table:
        yield Check("", NOTE, line)

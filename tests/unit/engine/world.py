"""One host with the fake engine: an inventory is planned and applied as in the module."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    REPLACE,
    Desired,
    ImageDefaults,
    Plan,
    desired_containers,
    plan_containers,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.converge import Outcome, converge
from ansible_collections.inference.fleet.plugins.module_utils.engine.replacing import tidy
from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import plan_devices
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, scope
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import DRAIN_SECONDS
from ansible_collections.inference.fleet.tests.unit.engine.fake_engine import FakeEngine
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import gpu
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

GPUS = tuple(gpu(index, mig=None) for index in range(24))
STANDARD = Images().vllm
OWN_IMAGE = "own/vllm:1"
REGISTRY = {
    STANDARD: ImageDefaults("sha256:1", {"PATH": "/usr/bin", "VLLM_USAGE_SOURCE": "production"}, {"vendor": "vllm"}),
    OWN_IMAGE: ImageDefaults("sha256:2", {}, {}, ("/data", "/var/cache/inference-fleet")),
}


class World:
    def __init__(self, *entries: dict[str, Any], foreign: Iterable[str] = (), **variables: Any) -> None:
        self.engine = FakeEngine(REGISTRY, foreign)
        self.inventory(*entries, **variables)

    def inventory(self, *entries: dict[str, Any], **variables: Any) -> None:
        """Use this inventory from now on."""
        self.fleet: Fleet = fleet(*entries, **variables)

    def desired(self, names: list[str] | None = None) -> tuple[Desired, ...]:
        speaks_for = scope(self.fleet, names)
        request = DeviceRequest(self.fleet, GPUS, self.engine.host_containers(), speaks_for, prune=names is None)
        return desired_containers(self.fleet, plan_devices(request).given, speaks_for)

    def plan(self, prune: bool = True, names: list[str] | None = None, graceful: bool = False) -> Plan:
        observed = self.engine.observe({self.fleet.image_of(model) for model in self.fleet.models if model.containers})
        return plan_containers(self.desired(names), observed, prune, scope(self.fleet, names), graceful=graceful)

    def steps(self, prune: bool = True, names: list[str] | None = None) -> list[str]:
        return [str(action) for action in self.plan(prune, names).actions]

    def converge(self, prune: bool = True, names: list[str] | None = None) -> Outcome:
        return converge(self.plan(prune, names), self.engine)

    def change(self, beside: Collection[str] = ()) -> Outcome:
        """As the module does in a run that waits. beside: containers whose successor has room beside them."""
        left = tidy(self.engine.containers.values(), DRAIN_SECONDS)
        assert not converge(Plan(left, ()), self.engine).faults
        plan = self.plan(graceful=True)
        actions = (replace(action, beside=action.verb == REPLACE and action.name in beside) for action in plan.actions)
        return converge(replace(plan, actions=tuple(actions)), self.engine)

    def ids(self) -> dict[str, str]:
        return {name: container.id for name, container in self.engine.containers.items()}


def converged(*entries: dict[str, Any], **variables: Any) -> World:
    """A converged host, with an empty journal."""
    world = World(*entries, **variables)
    assert not world.converge().faults
    world.engine.journal.clear()
    return world


def cpu(name: str, **changes: Any) -> dict[str, Any]:
    """A model that needs no GPU."""
    return entry(name=name, devices={"cpu": True}, **changes)

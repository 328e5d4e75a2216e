"""Containers of a host as Docker reports them, with their GPUs."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.tests.unit.samples import entry


def container_id(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def model_container(name: str, *devices: str, running: bool = True) -> HostContainer:
    """One of this collection's: `a-1` is the first replica of the model a."""
    labels = {"managed-by": MANAGED_BY, "model-name": name.rpartition("-")[0]}
    return HostContainer(container_id(name), f"vllm-{name}", "vllm/vllm-openai:v1", running, labels, devices)


def foreign_container(name: str, *devices: str, running: bool = True, image: str = "jupyter:1") -> HostContainer:
    return HostContainer(container_id(name), name, image, running, {}, devices)


def gpus(name: str, ask: Any, **changes: Any) -> dict[str, Any]:
    """A model of the inventory, on whole GPUs."""
    return entry(name=name, devices={"gpus": ask}, **changes)


def mig(name: str, profile: str, **changes: Any) -> dict[str, Any]:
    """A model of the inventory, on a MIG device."""
    return entry(name=name, devices={"mig": profile}, **changes)

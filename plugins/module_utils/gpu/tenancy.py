# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which model runs on which GPU or GPU instance, in DCGM's terms. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, resolve


@dataclass(frozen=True)
class Tenancy:
    """uuid: of the GPU. instance, profile: of a GPU instance; None for a whole GPU.

    models, containers: what runs there; several where a GPU instance has several compute instances.
    """

    gpu: int
    uuid: str
    instance: Optional[int]
    profile: Optional[str]
    models: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()


def tenancies(gpus: Collection[Gpu], containers: Iterable[HostContainer]) -> tuple[Tenancy, ...]:
    """One for each GPU instance, and for each GPU without GPU instances."""
    held = {
        one.name: (one.model, frozenset().union(*(resolve(gpus, device) for device in one.devices)))
        for one in containers
        if one.running and one.model
    }
    found = []
    for gpu in gpus:
        for instance in gpu.instances or (None,):
            devices = {part.uuid for part in instance.compute} if instance else {gpu.uuid}
            here = sorted(name for name, (_model, holds) in held.items() if holds & devices)
            models = tuple(sorted({str(held[name][0]) for name in here}))
            number, profile = (instance.id, instance.profile) if instance else (None, None)
            found.append(Tenancy(gpu.index, gpu.uuid, number, profile, models, tuple(here)))
    return tuple(found)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which model container gets which device. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count

from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.model.parse import FleetError


def place(fleet: Fleet, held: Mapping[str, Iterable[str]]) -> dict[str, tuple[str, ...]]:
    """Container name -> its device IDs (GPU indices as text), for every container of the fleet.

    held: what the containers that exist hold. Pinned GPUs come first; a container that has
    as many free GPUs as it asks for keeps them; the others get the lowest free indices.
    """
    asks = {name: model.devices for model in fleet.models for name in model.containers}
    slices = [f"{model.name} ({model.devices})" for model in fleet.models if model.containers and model.devices.mig]
    if slices:
        raise FleetError(
            "devices.mig: this inference.fleet does not place models on MIG slices yet; "
            f"asked for by {', '.join(slices)}"
        )
    placed = {name: tuple(map(str, ask.pinned)) for name, ask in asks.items() if not ask.count}
    taken = {device for devices in placed.values() for device in devices}
    for name, ask in asks.items():
        devices = tuple(held.get(name, ()))
        whole = all(device.isdigit() for device in devices)  # not a MIG slice of former times, nor `all`
        if ask.count and len(devices) == ask.count and whole and not taken & set(devices):
            placed[name] = devices
            taken |= set(devices)
    free = (str(index) for index in count() if str(index) not in taken)
    for name, ask in asks.items():
        if name not in placed:
            placed[name] = tuple(next(free) for _gpu in range(ask.count))
    return placed

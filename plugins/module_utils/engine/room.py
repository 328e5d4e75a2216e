# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How each container is replaced: side by side where there are free devices and memory. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    REPLACE,
    Action,
    Container,
    Plan,
)

Devices = tuple[str, ...]
_ALIVE = ("running", "restarting")


@dataclass(frozen=True)
class Room:
    """What the host has for successors.

    spare: container -> free devices of its kind, for the first container of a model that is replaced. memory: bytes
    that programs can get. used: container -> bytes that it uses. took: model -> seconds of its last start. nodes:
    the device nodes of devices.
    """

    spare: Mapping[str, Devices] = field(default_factory=dict)
    memory: int = 0
    used: Mapping[str, int] = field(default_factory=dict)
    took: Mapping[str, int] = field(default_factory=dict)
    nodes: Callable[[Devices], Devices] = lambda _devices: ()


def arrange(plan: Plan, containers: Iterable[Container], room: Room) -> Plan:
    """The plan with the way of each replacement. containers: all model containers of the host.

    A container that needs a device of another one, which changes too, is removed before anything is created.
    """
    held = {one.spec.name: frozenset(one.spec.devices) for one in containers if one.status in _ALIVE}
    memory = room.memory
    ways: dict[str, tuple[Action, ...]] = {}
    for model, chain in plan.replacements().items():
        needs = max(room.used.get(action.name, 0) for action in chain)
        fits = needs <= memory
        found = list(_ways(model, chain, held, room, fits))
        memory -= needs if any(action.beside for way in found for action in way) else 0
        ways.update((action.name, way) for action, way in zip(chain, found))
    return replace(plan, actions=tuple(one for action in plan.actions for one in _way(action, ways)))


def _way(action: Action, ways: Mapping[str, tuple[Action, ...]]) -> tuple[Action, ...]:
    return ways[action.name] if action.verb == REPLACE else (action,)


def _ways(
    model: str, chain: Sequence[Action], held: dict[str, frozenset[str]], room: Room, fits: bool
) -> Iterator[tuple[Action, ...]]:
    """For each container of a model. held: by running containers; becomes what they hold afterwards."""
    spare: Optional[Devices] = room.spare.get(chain[0].name)
    for action in chain:
        desired, own = action.wanted, held.get(action.name)
        wanted = desired.spec.devices
        taken = {device for name, devices in held.items() if name != action.name for device in devices}
        free = spare if own and own & {*wanted} else wanted
        if taken & {*wanted}:
            yield _recreated(action)
        elif own is None:
            yield (action,)  # nobody is served by it
        elif free is None or not fits:
            yield (_noted(action, _without(model, chain, held, room, "memory" if free is not None else "device")),)
        else:
            spare = tuple(sorted(own)) if len(own) == len(free) else None
            held[action.name] = frozenset(free)
            given = replace(desired, spec=replace(desired.spec, devices=free, nodes=room.nodes(free)))
            yield (replace(_noted(action, "the previous one serves meanwhile"), desired=given, beside=True),)


def _without(model: str, chain: Sequence[Action], held: Mapping[str, object], room: Room, lacking: str) -> str:
    first = chain[0].wanted.spec.name.rpartition("-")[0]
    if sum(name.rpartition("-")[0] == first for name in held) > 1:
        return "the other replicas serve meanwhile"
    took = f"about {room.took[model]} s, as long as the last start took" if model in room.took else "the whole start"
    return f"no free {lacking}: clients are without {model} for {took}"


def _recreated(action: Action) -> tuple[Action, ...]:
    desired = action.wanted
    return (
        replace(action, verb="remove"),
        Action("create", action.name, desired, detail=action.detail),
        Action("start", action.name, desired),
    )


def _noted(action: Action, note: str) -> Action:
    return replace(action, detail=f"{action.detail}; {note}")

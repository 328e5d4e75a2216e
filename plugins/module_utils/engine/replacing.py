# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A container with another configuration takes the place of a container that serves, and gives it back if it fails.

The new container is NAME-next until it has answered a request. Then the previous one becomes NAME-previous, the new
one NAME, and the previous one ends with its last request. If both have room, they run side by side. Otherwise the
previous container is stopped first, as NAME-previous, and becomes NAME again if the new one fails. So NAME is always a
container that has served, and after an interrupted run the names say what is left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Optional, Protocol

from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import Action, Container, Spec
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import NEXT, PREVIOUS, stands_for
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

_STOPPED = 0  # exit code of a container that was told to stop (entrypoint.py)


class Engine(Protocol):
    """What a replacement needs from Docker."""

    def inspect(self, name: str) -> Optional[Container]: ...
    def create(self, spec: Spec) -> None: ...
    def start(self, name: str) -> None: ...
    def stop(self, name: str) -> None: ...
    def remove(self, container_id: str, name: str) -> None: ...
    def rename(self, name: str, new: str) -> None: ...
    def refuse(self, name: str) -> None: ...
    def admit(self, name: str) -> None: ...
    def drain(self, name: str, seconds: float) -> int: ...


def tidy(containers: Iterable[Container], drain: int) -> tuple[Action, ...]:
    """What is left to do of interrupted replacements. Afterwards each container has the name of a replica. drain: the
    seconds that a container which still serves gets to finish."""
    groups: dict[str, dict[str, Container]] = {}
    for one in containers:
        own = stands_for(one.spec.name)
        groups.setdefault(own, {})[one.spec.name.removeprefix(own)] = one
    return tuple(action for own, group in sorted(groups.items()) for action in _tidied(own, group, drain))


def _tidied(own: str, group: dict[str, Container], drain: int) -> Iterable[Action]:
    serves, new, old = group.get(""), group.get(NEXT), group.get(PREVIOUS)
    if serves is None:
        # Both run: the new container had answered, and the previous one lost its name.
        serves = new if new and (old is None or old.status == "running") else old
        if serves:
            yield Action("rename", serves.spec.name, container_id=serves.id, detail=own)
    for one in (new, old):
        if one and one is not serves:
            yield Action(
                "remove",
                one.spec.name,
                container_id=one.id,
                detail="of an interrupted replacement",
                drain=drain if one is old and one.status == "running" else 0,
            )


def tidied(containers: Iterable[Container], actions: Iterable[Action]) -> tuple[Container, ...]:
    """The containers after `tidy`, for check mode."""
    gone = {action.container_id for action in actions if action.verb == "remove"}
    names = {action.container_id: action.detail for action in actions if action.verb == "rename"}
    return tuple(
        replace(one, spec=replace(one.spec, name=names.get(one.id, one.spec.name)))
        for one in containers
        if one.id not in gone
    )


def replace_container(
    action: Action, engine: Engine, serves: Callable[[str], Optional[str]], say: Callable[[str], None]
) -> Optional[str]:
    """None, or why the new container does not serve; then the previous one serves as before. action: with the verb
    `replace`. serves: waits until the container of that name answers a request, or returns its fault."""
    name = action.name
    before = engine.inspect(name)
    ran = bool(before and (before.status in ("running", "restarting") or before.exit_code == _STOPPED))
    try:
        if not action.beside:
            _drain(name, action.drain, engine, say)
            engine.stop(name)
            engine.rename(name, name + PREVIOUS)
        fault = _begin(action.wanted.spec, engine, serves)
    except FleetError as error:
        fault = str(error)
    if fault:
        return f"{fault}\n{_go_back(action, engine, serves, ran)}"
    if action.beside:
        engine.rename(name, name + PREVIOUS)
    engine.rename(name + NEXT, name)
    say(f"{name}: the new container serves")
    if action.beside:
        _drain(name + PREVIOUS, action.drain, engine, say)
    engine.remove(action.container_id or "", name + PREVIOUS)
    return None


def _begin(spec: Spec, engine: Engine, serves: Callable[[str], Optional[str]]) -> Optional[str]:
    name = spec.name + NEXT
    engine.create(replace(spec, name=name))
    engine.start(name)
    engine.refuse(name)  # long before the engine has loaded the model and listens
    fault = serves(name)
    if not fault:
        engine.admit(name)
    return fault


def _go_back(action: Action, engine: Engine, serves: Callable[[str], Optional[str]], ran: bool) -> str:
    """What became of the previous container."""
    name = action.name
    try:
        failed = engine.inspect(name + NEXT)
        if failed:
            engine.remove(failed.id, name + NEXT)
        if action.beside:
            return f"{name}: the previous container serves as before"
        if engine.inspect(name + PREVIOUS):
            engine.rename(name + PREVIOUS, name)
        if not ran:
            return f"{name}: the previous container did not run either"
        previous = engine.inspect(name)
        if previous and previous.status == "running":  # Docker did not stop it
            engine.admit(name)
        else:
            engine.start(name)
        fault = serves(name)
        return f"{name}: the previous container {f'does not serve again: {fault}' if fault else 'serves again'}"
    except FleetError as error:
        return f"{name}: the previous container cannot be brought back: {error}"


def _drain(name: str, seconds: int, engine: Engine, say: Callable[[str], None]) -> None:
    left = engine.drain(name, seconds)
    if left:
        say(f"{name}: {left} requests were not complete after {seconds} s, and are cut off")

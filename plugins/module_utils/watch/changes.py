# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What differs between two observations of a host, as lines for a person. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.watch.observation import NOT_YET


def change_lines(before: Optional[Mapping[str, Any]], after: Mapping[str, Any]) -> list[str]:
    """before: None at the first observation, which is reported as a whole."""
    if after["fault"]:
        return [] if before and before["fault"] == after["fault"] else [f"cannot be read: {after['fault']}"]
    if before is None:
        return list(_first(after))
    if before["fault"]:
        return ["can be read again", *_first(after)]
    return [*_containers(before, after), *_models(before, after), *_rest(before, after)]


def _first(seen: Mapping[str, Any]) -> Iterator[str]:
    models = _ready(seen)
    yield from (_model(name, *counts) for name, counts in models.items())
    yield from (f"service {one['service']} {_state(one)}" for one in seen["containers"] if one["service"])
    if not seen["containers"]:
        yield "has no containers of this collection"
    empty: dict[str, Any] = {"containers": [], "gpu_note": "", "drained_since": None, "alerts": None}
    yield from _rest(empty, seen)


def _containers(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = ({one["name"]: one for one in seen["containers"]} for seen in (before, after))
    yield from (f"container {name} was removed" for name in old if name not in new)
    for name, one in new.items():
        previous = old.get(name)
        if previous is None:
            yield f"container {name} was created and {_state(one)}"
        elif one["status"] != previous["status"]:
            yield f"container {name} {_state(one)}"
        elif one["started_at"] != previous["started_at"]:
            yield f"container {name} was restarted{_restarts(one)}"
        elif one["health"] != previous["health"] and one["service"]:
            yield f"service {one['service']} {_state(one)}"


def _models(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    old, new = _ready(before), _ready(after)
    yield from (f"model {name}: has no container any more" for name in old if name not in new)
    yield from (_model(name, *counts) for name, counts in new.items() if counts != old.get(name))


def _rest(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    if after["drained_since"] and not before["drained_since"]:
        yield f"is drained since {after['drained_since']}"
    if before["drained_since"] and not after["drained_since"]:
        yield "is not drained any more"
    if after["gpu_note"] not in (before["gpu_note"], NOT_YET):
        if after["gpu_note"]:
            yield f"GPUs: {after['gpu_note']}"
        elif before["gpu_note"] != NOT_YET:
            yield "the GPUs can be read again"
    if after["alerts"] is not None:
        old, new = ({(one["name"], one["summary"]): one for one in seen["alerts"] or ()} for seen in (before, after))
        yield from (f"alert {one['name']} fires: {one['summary']}" for key, one in new.items() if key not in old)
        yield from (f"alert {one['name']} is over: {one['summary']}" for key, one in old.items() if key not in new)


def _ready(seen: Mapping[str, Any]) -> dict[str, tuple[int, int]]:
    """Model -> replicas that answer, and containers."""
    found: dict[str, tuple[int, int]] = {}
    for one in seen["containers"]:
        if one["model"]:
            ready, total = found.get(one["model"], (0, 0))
            found[one["model"]] = (ready + bool(one["ready"]), total + 1)
    return found


def _model(name: str, ready: int, total: int) -> str:
    return f"model {name}: {ready} of {total} replicas ready"


def _state(one: Mapping[str, Any]) -> str:
    if one["status"] == "running":
        return f"runs{', ' + one['health'] if one['health'] else ''}"
    if one["status"] == "exited":
        return f"died with exit code {one['exit_code']}" if one["exit_code"] else "stopped"
    return f"is {one['status']}{_restarts(one)}"


def _restarts(one: Mapping[str, Any]) -> str:
    return f" (restarts by Docker: {one['restarts']})" if one["restarts"] else ""

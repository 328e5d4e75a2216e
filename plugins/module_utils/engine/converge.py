# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applies a plan: stage by stage, containers of a stage in parallel, and waits until each is healthy."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Optional, Protocol, TypeVar

from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    REPLACE,
    STAGES,
    STARTING_WEIGHT,
    WEIGHT,
    Action,
    Container,
    Desired,
    Plan,
    Spec,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.progress import stage
from ansible_collections.inference.fleet.plugins.module_utils.engine.replacing import replace_container
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

T = TypeVar("T")

SIDE_BY_SIDE = 32
LOG_LINES = 20
LAST_WORDS = 5
STAGE_LINES, STAGE_SECONDS = 50, 5  # how much of a log shows what a starting engine does, and how often it is read
POLL_SECONDS = 0.5


class Waitable(Protocol):
    """What waiting needs from Docker."""

    def inspect(self, name: str) -> Optional[Container]: ...
    def last_lines(self, name: str, count: int) -> list[str]: ...


class Engine(Waitable, Protocol):
    """What converging needs from Docker."""

    def pull(self, reference: str) -> None: ...
    def remove(self, container_id: str, name: str) -> None: ...
    def stop(self, name: str) -> None: ...
    def start(self, name: str) -> None: ...
    def unpause(self, name: str) -> None: ...
    def connect(self, name: str, network: str, aliases: Sequence[str]) -> None: ...
    def disconnect(self, name: str, network: str) -> None: ...
    def set_restart(self, name: str, policy: str) -> None: ...
    def set_cpus(self, name: str, cpus: str) -> None: ...
    def set_weight(self, name: str, weight: int) -> None: ...
    def create(self, spec: Spec) -> None: ...
    def rename(self, name: str, new: str) -> None: ...
    def refuse(self, name: str) -> None: ...
    def admit(self, name: str) -> None: ...
    def drain(self, name: str, seconds: float) -> int: ...
    def is_healthy(self, container: Container) -> bool: ...
    def trial(self, name: str) -> Optional[str]: ...


class Hopeless(str):
    """A fault that waiting cannot fix: the container died, or reports that it will not become ready."""


@dataclass
class Outcome:
    """The result of a plan. done: the applied actions. faults: by container or image. took: model -> seconds of the
    start of a container."""

    done: list[Action] = field(default_factory=list)
    faults: dict[str, str] = field(default_factory=dict)
    ready: set[str] = field(default_factory=set)
    took: dict[str, float] = field(default_factory=dict)


def _silent(_line: str) -> None:
    """Where nobody reads the progress."""


def converge(plan: Plan, engine: Engine, wait: bool = True, say: Callable[[str], None] = _silent) -> Outcome:
    """Tries every action and every wait; a failure stops only the steps of its own container.

    wait: wait until containers are ready; otherwise only probe which are ready now. say: gets a line of progress when
    something changes."""
    outcome = Outcome()
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for verbs in STAGES:
            chains = plan.stage(verbs)
            ends = pool.map(lambda actions: _run_chain(actions, engine, outcome, say), chains.values())
            outcome.faults.update({name: fault for name, fault in zip(chains, ends) if fault})
        if not wait:
            outcome.ready = probe(plan, engine)
            return outcome
        replaced = [
            pool.submit(_replace_all, actions, engine, outcome, say) for actions in plan.replacements().values()
        ]
        changing = {action.name for action in plan.actions if action.verb == REPLACE}
        waits = [one for one in plan.waits if one.spec.name not in changing and _may_get_ready(one, outcome)]
        ends = pool.map(lambda one: _wait(one, plan, engine, outcome, say), waits)
        for one, fault in zip(waits, ends):
            if fault:
                outcome.faults[one.spec.name] = fault
            else:
                outcome.ready.add(one.spec.name)
        for chain in replaced:
            chain.result()
    return outcome


def probe(plan: Plan, engine: Engine) -> set[str]:
    """The names of the containers that are ready now, without waiting."""

    def answers(one: Desired) -> bool:
        container = plan.untouched.get(one.spec.name) or engine.inspect(one.spec.name)
        return bool(container and container.status == "running" and engine.is_healthy(container))

    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        return {one.spec.name for one, good in zip(plan.waits, pool.map(answers, plan.waits)) if good}


def wait_until_ready(
    name: str,
    engine: Waitable,
    is_ready: Callable[[Container], bool],
    timeout: float,
    now: Callable[[], float] = time.monotonic,
    pause: Callable[[float], None] = time.sleep,
    seen: Optional[Container] = None,
    gave_up: str = "",
    say: Optional[Callable[[str], None]] = None,
) -> Optional[str]:
    """None once the container is ready; the fault, with the last lines of its log, when the container
    dies (Hopeless) or after `timeout` seconds. seen: the container as just observed, if known, which
    saves a call to Docker if it is ready. gave_up: the health check's output that means the container
    will not become ready. say: gets a line when the engine enters another stage of its start."""
    began = now()
    deadline = began + timeout
    shown, next_look = "", began
    try:
        first = container = seen or engine.inspect(name)
        while first and container and container.restarts == first.restarts and container.status == "running":
            if is_ready(container):
                if say and shown:
                    say(f"{name}: ready after {now() - began:.0f} s")
                return None
            if say and now() >= next_look:
                next_look = now() + STAGE_SECONDS
                does = _stage(engine, name)
                if does != shown:
                    shown = does
                    say(f"{name}: {does} ({now() - began:.0f} s)")
            # An earlier check may belong to the previous start: Docker keeps its output.
            if gave_up and container.last_check != first.last_check and gave_up in container.last_check[1]:
                return Hopeless(_with_log(engine, name, f"runs, but its health check says {gave_up!r}"))
            if now() >= deadline:
                return _with_log(engine, name, f"runs, but is not ready after {timeout} s")
            pause(POLL_SECONDS)
            container = engine.inspect(name)
        if container is None:
            return f"{name}: there is no such container; was it removed during the wait?"
        if container.status == "running":  # the restart cleared its exit code
            what = f"died and was restarted by Docker, {container.restarts} times by now"
        else:
            what = f"died with exit code {container.exit_code}, is {container.status} now"
        return Hopeless(_with_log(engine, name, what))
    except FleetError as error:
        return f"{name}: {error}"


def _stage(engine: Waitable, name: str) -> str:
    try:
        return stage(engine.last_lines(name, STAGE_LINES)) or "starts"
    except FleetError:  # the wait itself reports a Docker that does not answer
        return "starts"


def last_words(name: str, engine: Waitable) -> list[str]:
    """The last lines of a container's log, or why the log cannot be read."""
    try:
        return engine.last_lines(name, LAST_WORDS)
    except FleetError as error:
        return [str(error)]


def _may_get_ready(desired: Desired, outcome: Outcome) -> bool:
    return desired.spec.name not in outcome.faults and desired.spec.image not in outcome.faults


def _run_chain(
    actions: Iterable[Action], engine: Engine, outcome: Outcome, say: Callable[[str], None]
) -> Optional[str]:
    """The actions on one container in order, until one fails. Returns the fault."""
    for action in actions:
        if action.desired and not _may_get_ready(action.desired, outcome):
            return outcome.faults.get(action.name)
        if action.verb == "pull":
            say(f"pulling the image {action.name}")
        try:
            _carry_out(action, engine)
        except FleetError as error:
            return str(error)
        outcome.done.append(action)
    return None


def _wait(one: Desired, plan: Plan, engine: Engine, outcome: Outcome, say: Callable[[str], None]) -> Optional[str]:
    """The fault of a container that does not get ready, or does not answer a request after its start."""
    name = one.spec.name
    if any(action.name == name and action.verb == "start" for action in outcome.done):
        return _begin(one, name, engine, outcome, say)
    seen = plan.untouched.get(name)
    return wait_until_ready(name, engine, engine.is_healthy, one.ready_timeout, seen=seen, say=say)


def _begin(one: Desired, name: str, engine: Engine, outcome: Outcome, say: Callable[[str], None]) -> Optional[str]:
    """The fault of a container that was started and does not answer a request in time. Until it does, it gets less
    processor time than the containers that serve. name: its own, or that of a successor."""
    began = time.monotonic()
    _weigh(name, STARTING_WEIGHT, engine)
    try:
        fault = wait_until_ready(name, engine, engine.is_healthy, one.ready_timeout, say=say)
        if not fault:
            outcome.took[one.model] = time.monotonic() - began
            fault = engine.trial(name)
        return fault
    finally:
        _weigh(name, WEIGHT, engine)


def _weigh(name: str, weight: int, engine: Engine) -> None:
    with suppress(FleetError):  # it may have ended; and what a killed run left, the next plan mends
        engine.set_weight(name, weight)


def _replace_all(actions: Iterable[Action], engine: Engine, outcome: Outcome, say: Callable[[str], None]) -> None:
    """The containers of one model, one after the other until one fails: the others keep their configuration."""
    left = list(actions)
    while left:
        action = left.pop(0)
        desired = action.desired
        if not desired or not _may_get_ready(desired, outcome):
            continue  # without an image; the previous container serves

        def serves(name: str, desired: Desired = desired) -> Optional[str]:
            return _begin(desired, name, engine, outcome, say)

        say(f"{action.name}: is replaced ({action.detail})")
        try:
            fault = replace_container(action, engine, serves, say)
        except FleetError as error:
            fault = str(error)
        if fault:
            if left:
                fault += f"\n{', '.join(one.name for one in left)}: not replaced"
            outcome.faults[action.name] = fault
            return
        outcome.done.append(action)
        outcome.ready.add(action.name)


def _carry_out(action: Action, engine: Engine) -> None:
    verb, name, spec = action.verb, action.name, action.desired.spec if action.desired else None
    if action.drain:
        engine.drain(name, action.drain)
    if verb == "create" and spec:
        engine.create(spec)
    elif verb == "update" and spec and spec.cpus is not None and "cpus" in action.changes:
        engine.set_cpus(name, spec.cpus)
    elif verb == "update" and spec and "weight" in action.changes:
        engine.set_weight(name, spec.weight)
    elif verb == "update" and spec:
        engine.set_restart(name, spec.restart)
    elif verb == "rename":
        engine.rename(name, action.detail)
    elif verb == "remove":
        engine.remove(action.container_id or name, name)
    elif verb == "connect" and spec:
        engine.connect(name, action.detail, spec.aliases)
    elif verb == "disconnect":
        engine.disconnect(name, action.detail)
    else:  # pull, stop, start, unpause
        getattr(engine, verb)(name)


def _with_log(engine: Waitable, name: str, what: str) -> str:
    try:
        lines = engine.last_lines(name, LOG_LINES)
    except FleetError as error:  # report both: the container's fault is more important
        return f"{name}: {what}; its log cannot be read: {error}"
    log = "\n    ".join(lines) if lines else "(nothing)"
    return f"{name}: {what}; the end of its log (docker logs {name}):\n    {log}"

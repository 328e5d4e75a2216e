"""A container with another configuration takes the place of one that serves, on a fake engine."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import Container
from ansible_collections.inference.fleet.plugins.module_utils.engine.replacing import tidied, tidy
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import DRAIN_SECONDS, stands_for
from ansible_collections.inference.fleet.tests.unit.engine.world import OWN_IMAGE, World, converged, cpu

OLD, NEW = "sha256:1", "sha256:2"
BESIDE = ("vllm-a-1", "vllm-a-2", "vllm-a-3")


class Killed(BaseException):
    """The run was killed before this call to Docker."""


def changed(replicas: int = 1) -> World:
    """A host that serves a model, and an inventory that wants another image."""
    world = converged(cpu("a", replicas=replicas))
    world.inventory(cpu("a", replicas=replicas, image=OWN_IMAGE))
    world.engine.pull(OWN_IMAGE)
    world.engine.journal.clear()
    return world


def images(world: World) -> dict[str, str]:
    return {name: one.spec.image for name, one in world.engine.containers.items()}


def watch(world: World) -> list[int]:
    """How many containers clients reach, before each call to Docker."""
    counts: list[int] = []
    world.engine.before = lambda: counts.append(len(world.engine.reachable("a")))
    return counts


# All goes well


def test_side_by_side_the_previous_container_serves_until_the_new_one_has_answered() -> None:
    world = changed()
    reached = watch(world)
    outcome = world.change(BESIDE)
    assert not outcome.faults
    assert outcome.ready == {"vllm-a-1"}
    assert world.engine.journal == [
        "create vllm-a-1-next",
        "start vllm-a-1-next",
        "refuse vllm-a-1-next",
        "admit vllm-a-1-next",
        "rename vllm-a-1",
        "rename vllm-a-1-next",
        "drain vllm-a-1-previous",
        "remove vllm-a-1-previous",
    ]
    assert min(reached) == 1
    assert images(world) == {"vllm-a-1": NEW}


def test_without_room_the_previous_container_makes_room_and_is_kept() -> None:
    world = changed()
    assert not world.change().faults
    assert world.engine.journal == [
        "drain vllm-a-1",
        "stop vllm-a-1",
        "rename vllm-a-1",
        "create vllm-a-1-next",
        "start vllm-a-1-next",
        "refuse vllm-a-1-next",
        "admit vllm-a-1-next",
        "rename vllm-a-1-next",
        "remove vllm-a-1-previous",
    ]
    assert images(world) == {"vllm-a-1": NEW}


@pytest.mark.parametrize("beside", [BESIDE, ()])
def test_replicas_are_replaced_one_after_the_other(beside: tuple[str, ...]) -> None:
    world = changed(replicas=3)
    reached = watch(world)
    assert not world.change(beside).faults
    assert min(reached) == (3 if beside else 2)
    assert images(world) == dict.fromkeys(BESIDE, NEW)


def test_models_are_replaced_side_by_side() -> None:
    world = converged(cpu("a"), cpu("b"))
    world.inventory(cpu("a", image=OWN_IMAGE), cpu("b", image=OWN_IMAGE))
    assert world.change().ready == {"vllm-a-1", "vllm-b-1"}


def test_the_plan_afterwards_is_empty() -> None:
    world = changed(replicas=2)
    world.change(BESIDE)
    assert world.plan(graceful=True).actions == ()


@pytest.mark.parametrize("beside", [BESIDE, ()])
def test_requests_that_do_not_end_are_cut_off(beside: tuple[str, ...]) -> None:
    world = changed()
    world.engine.busy = {"vllm-a-1": 3, "vllm-a-1-previous": 3}
    assert not world.change(beside).faults
    assert images(world) == {"vllm-a-1": NEW}


def test_surplus_replicas_and_removed_models_finish_their_requests() -> None:
    world = converged(cpu("a", replicas=2), cpu("b"))
    world.inventory(cpu("a"))
    assert not world.change().faults
    journal = world.engine.journal
    assert sorted(journal) == ["drain vllm-a-2", "drain vllm-b-1", "remove vllm-a-2", "remove vllm-b-1"]
    assert journal.index("drain vllm-b-1") < journal.index("remove vllm-b-1")


def test_a_model_that_stops_finishes_its_requests() -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a", state="stopped"))
    assert not world.change().faults
    assert world.engine.journal == ["drain vllm-a-1", "stop vllm-a-1"]


# The new container fails


def _breaks(kind: str, world: World) -> None:
    if kind == "dies":
        world.engine.dies["vllm-a-1-next"] = 1
    elif kind == "answers errors":
        world.engine.broken.add(NEW)
    else:
        world.engine.fails[kind, "vllm-a-1-next"] = "Docker says no"


@pytest.mark.parametrize("kind", ["dies", "answers errors", "create", "start", "refuse", "admit", "logs"])
@pytest.mark.parametrize("beside", [BESIDE, ()])
def test_the_previous_container_serves_again(beside: tuple[str, ...], kind: str) -> None:
    world = changed(replicas=2)
    _breaks("dies" if kind == "logs" else kind, world)
    if kind == "logs":
        world.engine.fails["logs", "vllm-a-1-next"] = "Docker says no"
    reached = watch(world)
    outcome = world.change(beside)
    assert images(world) == {"vllm-a-1": OLD, "vllm-a-2": OLD}
    assert len(world.engine.reachable("a")) == 2
    assert min(reached) == (2 if beside else 1)
    fault = outcome.faults["vllm-a-1"]
    assert f"vllm-a-1: the previous container serves {'as before' if beside else 'again'}" in fault
    assert "vllm-a-2: not replaced" in fault


@pytest.mark.parametrize("step", ["drain", "stop", "rename"])
def test_a_previous_container_that_cannot_make_room_serves_again(step: str) -> None:
    world = changed()
    world.engine.fails[step, "vllm-a-1"] = "Docker says no"
    assert "Docker says no\nvllm-a-1: the previous container serves again" in world.change().faults["vllm-a-1"]
    assert len(world.engine.reachable("a")) == 1


def test_a_previous_container_that_fails_too_is_reported() -> None:
    world = changed()
    world.engine.dies = {"vllm-a-1-next": 1, "vllm-a-1": 1}
    fault = world.change().faults["vllm-a-1"]
    assert "vllm-a-1-next: died with exit code 1" in fault
    assert "the previous container does not serve again: vllm-a-1: died" in fault
    assert images(world) == {"vllm-a-1": OLD}


def test_a_container_that_had_died_is_not_started_again_with_its_previous_configuration() -> None:
    world = changed()
    world.engine.change("vllm-a-1", status="exited", exit_code=1)
    world.engine.dies = {"vllm-a-1-next": 1}
    assert "the previous container did not run either" in world.change().faults["vllm-a-1"]
    assert "start vllm-a-1" not in world.engine.journal


def test_without_the_image_nothing_is_touched() -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a", image="absent/vllm:1"))
    outcome = world.change(BESIDE)
    assert list(outcome.faults) == ["absent/vllm:1"]
    assert world.engine.journal == ["pull absent/vllm:1"]


# The run is killed


def kill_at_the_end(steps: Iterator[int]) -> None:
    if next(steps, None) is None:
        raise Killed


def killings(beside: tuple[str, ...], replicas: int) -> Iterator[World]:
    """The host after a run that was killed before each of its calls to Docker."""
    step = 0
    while True:
        world = changed(replicas)
        world.engine.before = partial(kill_at_the_end, iter(range(step)))
        try:
            world.change(beside)
        except Killed:
            world.engine.before = lambda: None
            yield world
            step += 1
        else:
            return


@pytest.mark.parametrize(("beside", "replicas", "steps"), [(BESIDE, 1, 9), ((), 1, 10), (BESIDE, 2, 18), ((), 2, 20)])
@pytest.mark.parametrize("reboot", [False, True])
def test_after_one_more_run_everything_serves(beside: tuple[str, ...], replicas: int, steps: int, reboot: bool) -> None:
    count = 0
    for world in killings(beside, replicas):
        count += 1
        if beside or replicas > 1:
            assert world.engine.reachable("a"), world.engine.journal
        if reboot:
            for name in world.engine.containers:
                world.engine.change(name, status="exited", exit_code=0)
        assert not world.change(beside).faults
        assert images(world) == dict.fromkeys(BESIDE[:replicas], NEW), world.engine.journal
        assert len(world.engine.reachable("a")) == replicas
        assert world.plan(graceful=True).actions == ()
    assert count == steps


@pytest.mark.parametrize("beside", [BESIDE, ()])
def test_after_one_more_run_with_a_new_version_that_fails_the_previous_one_serves(beside: tuple[str, ...]) -> None:
    """Unless the new version has served before it breaks."""
    for world in killings(beside, 1):
        world.engine.dies["vllm-a-1-next"] = 1
        world.change(beside)
        assert list(images(world)) == ["vllm-a-1"]
        assert len(world.engine.reachable("a")) == 1, world.engine.journal


def test_in_check_mode_the_containers_are_seen_as_they_will_be() -> None:
    for world in (*killings(BESIDE, 1), *killings((), 1)):
        before = tuple(world.engine.containers.values())
        actions = tidy(before, DRAIN_SECONDS)
        seen = tidied(before, actions)
        world.change()
        assert [one.spec.name for one in seen] in (["vllm-a-1"], [])
        assert all(stands_for(one.spec.name) == one.spec.name for one in seen)


def test_nothing_is_left_to_do_without_a_replacement() -> None:
    containers: tuple[Container, ...] = tuple(converged(cpu("a", replicas=2)).engine.containers.values())
    assert tidy(containers, 1) == ()


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("vllm-a-1-next", "vllm-a-1"),
        ("vllm-a-1-previous", "vllm-a-1"),
        ("vllm-a-next-1", "vllm-a-next-1"),
        ("vllm-a-1-next-2", "vllm-a-1-next-2"),
        ("vllm-a-1-next-2-next", "vllm-a-1-next-2"),
        ("caddy-1-next", "caddy-1-next"),
    ],
)
def test_names(name: str, own: str) -> None:
    assert stands_for(name) == own

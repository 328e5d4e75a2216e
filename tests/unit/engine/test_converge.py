"""Applying a plan on a fake engine: every action is tried, and every fault is reported."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    STARTING_WEIGHT,
    WEIGHT,
    Container,
    Plan,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.converge import (
    LOG_LINES,
    POLL_SECONDS,
    Hopeless,
    converge,
    probe,
    wait_until_ready,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.tests.unit.engine.fake_engine import FakeClock, FakeEngine
from ansible_collections.inference.fleet.tests.unit.engine.world import OWN_IMAGE, World, converged, cpu

STANDARD = Images().vllm


def run(world: World) -> tuple[set[str], dict[str, str]]:
    """The ready containers, and the faults."""
    outcome = world.converge()
    return outcome.ready, outcome.faults


# All goes well


def test_everything_gets_ready() -> None:
    world = World(cpu("a", replicas=2), cpu("b"), cpu("c", state="stopped"))
    assert run(world) == ({"vllm-a-1", "vllm-a-2", "vllm-b-1"}, {})
    assert world.engine.containers["vllm-c-1"].status == "created"


def test_an_empty_plan_touches_nothing() -> None:
    world = converged(cpu("a"))
    outcome = world.converge()
    assert (outcome.done, outcome.faults, outcome.ready) == ([], {}, {"vllm-a-1"})
    assert world.engine.journal == []


def test_stages_follow_one_another() -> None:
    world = converged(cpu("old", replicas=2))
    world.inventory(cpu("a", image=OWN_IMAGE), cpu("b", image=OWN_IMAGE))
    world.converge()
    verbs = [line.split(" ")[0] for line in world.engine.journal]
    assert verbs[:3] == ["pull", "remove", "remove"]
    assert sorted(verbs[3:]) == ["create", "create", "start", "start"]


def test_containers_are_made_side_by_side() -> None:
    """Each create waits for the other's: one after the other would break the barrier."""
    world = World(cpu("a"), cpu("b"))
    both = threading.Barrier(2, timeout=10)
    create = world.engine.create

    def create_together(spec: object) -> None:
        both.wait()
        create(spec)  # type: ignore[arg-type]

    world.engine.create = create_together  # type: ignore[assignment,method-assign]
    assert run(world)[1] == {}


def test_containers_are_waited_for_side_by_side() -> None:
    world = converged(cpu("a"), cpu("b"))
    both = threading.Barrier(2, timeout=10)

    def answer_together(_container: Container) -> bool:
        both.wait()
        return True

    world.engine.is_healthy = answer_together  # type: ignore[method-assign]
    assert run(world) == ({"vllm-a-1", "vllm-b-1"}, {})


@pytest.mark.parametrize("fate", ["serves", "answers errors", "is never ready"])
def test_until_it_has_answered_a_container_comes_behind_those_that_serve(fate: str) -> None:
    world = converged(cpu("a"), cpu("b"))
    world.inventory(cpu("a", image=OWN_IMAGE, ready_timeout=1), cpu("b"))
    engine = world.engine
    engine.weights.clear()
    if fate == "answers errors":
        engine.broken.add(engine.registry[OWN_IMAGE].id)
    elif fate == "is never ready":
        engine.unready.add("vllm-a-1-next")
    world.change(beside={"vllm-a-1"})
    assert engine.weights == {"vllm-a-1-next": [STARTING_WEIGHT, WEIGHT]}
    assert {one.spec.weight for one in engine.containers.values()} == {WEIGHT}


def test_a_weight_that_cannot_be_set_is_no_fault_of_the_start() -> None:
    world = World(cpu("a"))
    world.engine.fails["weigh", "vllm-a-1"] = "no such cgroup"
    assert run(world) == ({"vllm-a-1"}, {})


# Trouble: only what it concerns stops


def test_an_image_that_cannot_be_pulled_stops_its_own_models_only() -> None:
    world = World(cpu("a", image="own/none:1"), cpu("b", image="own/none:1"), cpu("c"))
    assert run(world) == (
        {"vllm-c-1"},
        {"own/none:1": "image own/none:1: cannot be pulled and is not on this host: not found"},
    )
    assert set(world.engine.containers) == {"vllm-c-1"}


def test_a_model_keeps_running_when_its_new_image_cannot_be_pulled() -> None:
    world = converged(cpu("a"))
    before = world.ids()
    world.inventory(cpu("a", image="own/none:1"))
    assert set(run(world)[1]) == {"own/none:1"}
    assert world.ids() == before
    assert world.engine.containers["vllm-a-1"].status == "running"


def test_a_model_that_is_to_go_goes_though_an_image_cannot_be_pulled() -> None:
    world = converged(cpu("old"))
    world.inventory(cpu("a", image="own/none:1"))
    run(world)
    assert world.engine.containers == {}


@pytest.mark.parametrize("verb", ["create", "start"])
def test_a_container_that_fails_leaves_the_others_their_turn(verb: str) -> None:
    world = World(cpu("a"), cpu("b"), cpu("c"))
    world.engine.fails[verb, "vllm-b-1"] = f"{verb} of vllm-b-1: no space left on device"
    assert run(world) == (
        {"vllm-a-1", "vllm-c-1"},
        {"vllm-b-1": f"{verb} of vllm-b-1: no space left on device"},
    )


def test_a_container_that_could_not_be_made_is_not_started() -> None:
    world = World(cpu("a"))
    world.engine.fails["create", "vllm-a-1"] = "no"
    run(world)
    assert "start vllm-a-1" not in world.engine.journal


def test_a_container_that_could_not_be_removed_is_not_recreated() -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a", args={"dtype": "auto"}))
    world.engine.fails["remove", "vllm-a-1"] = "removing container vllm-a-1: device or resource busy"
    assert run(world) == (set(), {"vllm-a-1": "removing container vllm-a-1: device or resource busy"})
    assert world.engine.journal == ["remove vllm-a-1"]


def test_only_what_was_done_is_reported_as_done() -> None:
    world = World(cpu("a"), cpu("b"))
    world.engine.fails["start", "vllm-a-1"] = "no"
    done = sorted(map(str, world.converge().done))
    assert done == [
        "create vllm-a-1 (missing)",
        "create vllm-b-1 (missing)",
        f"pull {STANDARD}",
        "start vllm-b-1",
    ]


def test_the_next_run_does_what_this_one_could_not() -> None:
    world = World(cpu("a"), cpu("b"))
    world.engine.fails["start", "vllm-a-1"] = "no"
    run(world)
    world.engine.fails.clear()
    assert world.steps() == ["start vllm-a-1 (was created)"]
    assert run(world) == ({"vllm-a-1", "vllm-b-1"}, {})


def test_an_error_that_is_no_fault_of_the_fleet_is_not_swallowed() -> None:
    world = World(cpu("a"))
    world.engine.images[STANDARD] = world.engine.registry[STANDARD]
    world.engine.create = lambda spec: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        world.converge()


# Models that do not get ready


def test_a_model_that_dies_at_once_is_reported_with_its_last_lines_and_the_others_get_ready() -> None:
    world = World(cpu("a"), cpu("b"))
    world.engine.dies["vllm-a-1"] = 3
    world.engine.logs["vllm-a-1"] = ["loading weights", "ValueError: max-model-len is too large"]
    assert run(world) == (
        {"vllm-b-1"},
        {
            "vllm-a-1": "vllm-a-1: died with exit code 3, is exited now; the end of its log (docker logs vllm-a-1):\n"
            "    loading weights\n"
            "    ValueError: max-model-len is too large"
        },
    )


def test_a_model_that_never_answers_is_reported_after_its_own_deadline() -> None:
    world = World(cpu("a"), cpu("b"))
    world.engine.unready.add("vllm-a-1")
    plan = world.plan()
    in_no_time = Plan(plan.actions, tuple(replace(one, ready_timeout=0) for one in plan.waits))
    outcome = converge(in_no_time, world.engine)
    assert (outcome.ready, outcome.faults) == (
        {"vllm-b-1"},
        {
            "vllm-a-1": "vllm-a-1: runs, but is not ready after 0 s; "
            "the end of its log (docker logs vllm-a-1):\n    (nothing)"
        },
    )


def test_what_failed_is_not_waited_for() -> None:
    world = World(cpu("a"))
    world.engine.fails["start", "vllm-a-1"] = "no"
    world.engine.fails["inspect", "vllm-a-1"] = "waited for"
    assert run(world)[1] == {"vllm-a-1": "no"}


# Waiting, with a clock of our own


class Waiting:
    """A container `a` that runs in a fake engine, and a clock."""

    def __init__(self) -> None:
        world = converged(cpu("a"))
        self.engine: FakeEngine = world.engine
        self.clock = FakeClock()
        self.engine.unready.add("vllm-a-1")

    def later(self, seconds: float, **changes: object) -> None:
        self.clock.at[seconds] = lambda: self.engine.change("vllm-a-1", **changes)

    def until(
        self, timeout: float, is_ready: Callable[[Container], bool] | None = None, gave_up: str = ""
    ) -> str | None:
        ready, clock = is_ready or self.engine.is_healthy, self.clock
        return wait_until_ready("vllm-a-1", self.engine, ready, timeout, clock.now, clock.pause, gave_up=gave_up)


@pytest.fixture
def waiting() -> Waiting:
    return Waiting()


def test_a_container_that_is_ready_is_not_waited_for(waiting: Waiting) -> None:
    waiting.engine.unready.clear()
    assert waiting.until(600) is None
    assert waiting.clock.seconds == 0


def test_a_container_is_ready_as_soon_as_it_answers(waiting: Waiting) -> None:
    waiting.clock.at[90] = waiting.engine.unready.clear
    assert waiting.until(600) is None
    assert 90 <= waiting.clock.seconds <= 90 + POLL_SECONDS


def test_the_deadline_is_kept(waiting: Waiting) -> None:
    fault = waiting.until(600)
    assert fault is not None
    assert fault.startswith("vllm-a-1: runs, but is not ready after 600 s; ")
    assert 600 <= waiting.clock.seconds <= 600 + POLL_SECONDS


def test_an_answer_at_the_deadline_still_counts(waiting: Waiting) -> None:
    waiting.clock.at[600] = waiting.engine.unready.clear
    assert waiting.until(600) is None


def test_a_container_that_dies_while_it_is_waited_for_is_reported_at_once(waiting: Waiting) -> None:
    waiting.later(30, status="exited", exit_code=137)
    fault = waiting.until(600)
    assert fault is not None
    assert fault.startswith("vllm-a-1: died with exit code 137, is exited now; ")
    assert waiting.clock.seconds <= 30 + POLL_SECONDS


def test_a_container_that_is_between_two_restarts_is_reported_at_once(waiting: Waiting) -> None:
    waiting.later(30, status="restarting", exit_code=1, restarts=1)
    fault = waiting.until(600)
    assert fault is not None
    assert fault.startswith("vllm-a-1: died with exit code 1, is restarting now; ")


def test_a_container_that_docker_started_again_meanwhile_is_reported_as_such(waiting: Waiting) -> None:
    """Docker no longer has its exit code: reporting 0 would be wrong."""
    waiting.later(30, status="running", exit_code=0, restarts=2)
    fault = waiting.until(600)
    assert fault is not None
    assert fault.startswith("vllm-a-1: died and was restarted by Docker, 2 times by now; ")


def test_restarts_of_earlier_days_are_not_held_against_a_container(waiting: Waiting) -> None:
    waiting.engine.change("vllm-a-1", restarts=4)
    waiting.clock.at[90] = waiting.engine.unready.clear
    assert waiting.until(600) is None


def test_a_container_that_somebody_removes_is_reported_as_missing(waiting: Waiting) -> None:
    waiting.clock.at[30] = waiting.engine.containers.clear
    assert waiting.until(600) == ("vllm-a-1: there is no such container; was it removed during the wait?")


def test_a_container_that_was_never_there_is_reported_as_missing(waiting: Waiting) -> None:
    waiting.engine.containers.clear()
    assert waiting.until(600) == ("vllm-a-1: there is no such container; was it removed during the wait?")


def test_a_docker_that_goes_away_is_reported_as_such(waiting: Waiting) -> None:
    waiting.engine.fails["inspect", "vllm-a-1"] = "inspecting container vllm-a-1: connection refused"
    assert waiting.until(600) == "vllm-a-1: inspecting container vllm-a-1: connection refused"


def test_a_log_that_cannot_be_read_does_not_hide_what_happened(waiting: Waiting) -> None:
    waiting.later(30, status="exited", exit_code=1)
    waiting.engine.fails["logs", "vllm-a-1"] = "reading the log of container vllm-a-1: not supported"
    assert waiting.until(600) == (
        "vllm-a-1: died with exit code 1, is exited now; "
        "its log cannot be read: reading the log of container vllm-a-1: not supported"
    )


def test_only_the_end_of_a_log_is_reported(waiting: Waiting) -> None:
    waiting.engine.logs["vllm-a-1"] = [f"line {number}" for number in range(100)]
    fault = waiting.until(0)
    assert fault is not None
    assert fault.splitlines()[1:] == [f"    line {number}" for number in range(100 - LOG_LINES, 100)]


def test_what_ready_means_is_for_the_caller_to_say(waiting: Waiting) -> None:
    waiting.later(30, health="healthy")
    assert waiting.until(600, lambda container: container.health == "healthy") is None
    assert waiting.clock.seconds >= 30


@pytest.mark.parametrize(
    "end", [{"status": "exited"}, {"status": "restarting"}, {"restarts": 1}, {"last_check": ("12:01", "lost it\n")}]
)
def test_one_that_died_or_gave_up_is_hopeless(waiting: Waiting, end: dict[str, object]) -> None:
    waiting.later(30, **end)
    assert isinstance(waiting.until(600, gave_up="lost it"), Hopeless)
    assert waiting.clock.seconds <= 30 + POLL_SECONDS


def test_one_that_is_slow_is_not_hopeless(waiting: Waiting) -> None:
    waiting.later(30, last_check=("12:01", "not yet"))
    assert not isinstance(waiting.until(600, gave_up="lost it"), Hopeless)
    assert waiting.clock.seconds >= 600


def test_what_its_health_check_says_is_reported(waiting: Waiting) -> None:
    waiting.later(30, last_check=("12:01", "lost it\n"))
    fault = waiting.until(600, gave_up="lost it")
    assert fault is not None
    assert fault.startswith("vllm-a-1: runs, but its health check says 'lost it'; the end of its log ")


def test_what_a_check_said_before_it_was_waited_for_does_not_count(waiting: Waiting) -> None:
    waiting.engine.change("vllm-a-1", last_check=("11:59", "lost it\n"))
    waiting.clock.at[90] = waiting.engine.unready.clear
    assert waiting.until(600, gave_up="lost it") is None


# Progress


def test_a_long_wait_says_what_the_engine_does_when_that_changes(waiting: Waiting) -> None:
    logs, said = waiting.engine.logs, list[str]()
    waiting.clock.at[3] = lambda: logs.update({"vllm-a-1": ["Starting to load model org/m..."]})
    waiting.clock.at[300] = lambda: logs.update({"vllm-a-1": ["Model loading took 15 GiB"]})
    waiting.clock.at[660] = waiting.engine.unready.clear
    clock = waiting.clock
    ready = waiting.engine.is_healthy
    assert wait_until_ready("vllm-a-1", waiting.engine, ready, 900, clock.now, clock.pause, say=said.append) is None
    assert said == [
        "vllm-a-1: starts (0 s)",
        "vllm-a-1: loads its weights (5 s)",
        "vllm-a-1: compiles the model (300 s)",
        "vllm-a-1: ready after 660 s",
    ]


def test_a_container_that_is_ready_at_once_says_nothing(waiting: Waiting) -> None:
    said: list[str] = []
    waiting.engine.unready.clear()
    assert wait_until_ready("vllm-a-1", waiting.engine, waiting.engine.is_healthy, 9, say=said.append) is None
    assert said == []


def test_a_log_that_cannot_be_read_does_not_end_the_wait(waiting: Waiting) -> None:
    said: list[str] = []
    waiting.engine.fails["logs", "vllm-a-1"] = "reading the log of container vllm-a-1: not supported"
    waiting.clock.at[90] = waiting.engine.unready.clear
    clock, ready = waiting.clock, waiting.engine.is_healthy
    assert wait_until_ready("vllm-a-1", waiting.engine, ready, 900, clock.now, clock.pause, say=said.append) is None
    assert said == ["vllm-a-1: starts (0 s)", "vllm-a-1: ready after 90 s"]


def test_a_pull_is_said_before_it_begins() -> None:
    world, said = World(cpu("a")), list[str]()
    converge(world.plan(), world.engine, say=said.append)
    assert said == [f"pulling the image {STANDARD}"]


# A look without waiting


def test_a_look_tells_what_answers_now() -> None:
    world = converged(cpu("a"), cpu("b"), cpu("c"), cpu("d", state="stopped"))
    world.engine.unready.add("vllm-b-1")
    world.engine.change("vllm-c-1", status="exited")
    assert probe(world.plan(), world.engine) == {"vllm-a-1"}
    assert world.engine.journal == []


def test_a_look_at_what_is_not_there_yet_finds_nothing() -> None:
    world = World(cpu("a"))
    assert probe(world.plan(), world.engine) == set()

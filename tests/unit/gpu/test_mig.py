"""What the planner of one GPU promises, over every state that such a GPU can be in.

Where that takes long, an ordinary run takes a sample of the states (`one_in`), and `./run-tests proofs` all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import chain, combinations
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import ComputeInstance, GpuInstance, Profile
from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import Shape, Step, plan_instances
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Device, Instance, instances
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import (
    A30,
    A100,
    State,
    instance,
    multisets,
    one_in,
    present,
    states,
)
from ansible_collections.inference.fleet.tests.unit.samples import faults
from hypothesis import given
from hypothesis import strategies as st

BOTH = pytest.mark.parametrize("profiles", [A30, A100], ids=["A30", "A100"])


def asked(*names: str) -> tuple[Instance, ...]:
    return instances(Device.parse(name, "layout") for name in names)


def held(some: Iterable[GpuInstance]) -> dict[tuple[int, int], list[str]]:
    """Every instance held by its own container."""
    return {(one.id or 0, part.id): [f"container vllm-{one.id}-1"] for one in some for part in one.compute}


def plan(
    profiles: Sequence[Profile],
    have: Sequence[GpuInstance],
    names: Sequence[str],
    holders: Mapping[tuple[int, int], Sequence[str]] | None = None,
) -> tuple[Step, ...]:
    return plan_instances(0, profiles, have, asked(*names), holders or {})


def result(have: Sequence[GpuInstance], steps: Sequence[Step]) -> State:
    """A GPU's instances after the steps, each of which must be possible in order."""
    there = {one.id: (one.profile, one.start or 0) for one in have}
    new = []
    for step in steps:
        if step.verb == "destroy":
            del there[step.instance]
        elif step.verb == "create":
            assert step.start is not None
            new.append((step.profile, step.start))
    return tuple(sorted([*there.values(), *new], key=lambda place: (place[1], place[0])))


def destroyed(steps: Iterable[Step]) -> int:
    return sum(step.verb == "destroy" for step in steps)


# Proved by exhaustion


@cache
def wishes(profiles: tuple[Profile, ...]) -> dict[tuple[str, ...], tuple[Instance, ...]]:
    return {names: asked(*names) for names in multisets(profiles)}


def fewest_destroys(profiles: tuple[Profile, ...], of: Sequence[State]) -> dict[State, dict[tuple[str, ...], int]]:
    """By trying every target state: of each state, how many instances any way to a multiset must destroy."""
    place = {one: 1 << bit for bit, one in enumerate(sorted({one for state in states(profiles) for one in state}))}
    bits = {state: sum(place[one] for one in state) for state in states(profiles)}
    targets: dict[tuple[str, ...], list[int]] = {}
    for state, mask in bits.items():
        targets.setdefault(tuple(sorted(name for name, _start in state)), []).append(mask)
    return {
        state: {
            names: len(state) - max((bits[state] & target).bit_count() for target in masks)
            for names, masks in targets.items()
        }
        for state in of
    }


@BOTH
def test_reaches_every_valid_set_from_every_valid_state_with_the_fewest_destroys(profiles: tuple[Profile, ...]) -> None:
    valid = set(states(profiles))
    tried = one_in(1 if profiles == A30 else 12, states(profiles))
    fewest = fewest_destroys(profiles, tried)
    wanted = wishes(profiles)
    for state in tried:
        have = present(profiles, state)
        for names, ask in wanted.items():
            steps = plan_instances(0, profiles, have, ask, {})
            reached = result(have, steps)
            assert reached in valid
            assert tuple(sorted(name for name, _start in reached)) == names
            assert destroyed(steps) == fewest[state][names]


def subsets(state: State) -> Iterator[tuple[tuple[str, int], ...]]:
    return chain.from_iterable(combinations(state, count) for count in range(1, len(state) + 1))


def check_in_use(profiles: tuple[Profile, ...], state: State, used: Sequence[tuple[str, int]]) -> None:
    """Every request is either met with all instances in use kept, or impossible to meet."""
    have = present(profiles, state)
    holders = held(one for one in have if (one.profile, one.start) in used)
    reachable = {
        tuple(sorted(name for name, _start in target)) for target in states(profiles) if set(used) <= set(target)
    }
    for names, ask in wishes(profiles).items():
        try:
            steps = plan_instances(0, profiles, have, ask, holders)
        except FleetError as error:
            assert names not in reachable
            assert "in use" in str(error)
            assert "container vllm-" in str(error)
        else:
            assert set(used) <= set(result(have, steps))
            assert names in reachable


def test_never_destroys_an_instance_in_use_on_an_a30() -> None:
    for state in states(A30):
        for used in subsets(state):
            check_in_use(A30, state, used)


def test_never_destroys_an_instance_in_use_on_an_a100_whichever_are() -> None:
    """Every set that may be in use, alone on the GPU; with free ones beside it: the next test."""
    for state in one_in(20, [state for state in states(A100) if state]):
        check_in_use(A100, state, state)


@given(st.data())
def test_never_destroys_an_instance_in_use_on_an_a100_beside_free_ones(data: Any) -> None:
    state = data.draw(st.sampled_from([state for state in states(A100) if state]))
    check_in_use(A100, state, data.draw(st.lists(st.sampled_from(state), min_size=1, unique=True)))


@BOTH
def test_what_is_there_already_takes_no_step(profiles: tuple[Profile, ...]) -> None:
    for state in states(profiles):
        assert plan(profiles, present(profiles, state), [name for name, _start in state]) == ()


@BOTH
def test_every_set_that_no_state_has_is_refused_and_the_nearest_fits(profiles: tuple[Profile, ...]) -> None:
    valid = set(multisets(profiles))
    shape = Shape(profiles)
    assert {tuple(sorted(one.elements())) for one in shape.sets()} == valid
    for names in one_in(1 if profiles == A30 else 6, sorted(valid)):
        for extra in profiles:
            larger = tuple(sorted([*names, extra.name]))
            if larger not in valid:
                (fault,) = faults(plan, profiles, (), larger)
                assert fault.startswith("GPU 0: ")
                assert "The nearest that fits: " in fault
                assert tuple(sorted(shape.nearest(Counter(larger)).elements())) in valid


# Where new instances go


def test_a_small_instance_goes_where_it_leaves_the_most_room() -> None:
    assert result((), plan(A100, (), ["1g.5gb"])) == (("1g.5gb", 6),)
    assert result((), plan(A100, (), ["1g.5gb", "1g.5gb", "2g.10gb"])) == (("1g.5gb", 0), ("2g.10gb", 4), ("1g.5gb", 6))


def test_the_set_that_the_driver_scatters_gets_a_place_for_each() -> None:
    """1g, 1g, 2g and then 3g without placements is the MIG User Guide's example of a failure."""
    have = present(A100, (("1g.5gb", 0), ("1g.5gb", 1), ("2g.10gb", 2)))
    steps = plan(A100, have, ["1g.5gb", "1g.5gb", "2g.10gb", "3g.20gb"])
    assert [str(step) for step in steps] == ["GPU 0: create 3g.20gb at 4"]


def test_destroys_come_before_creates_and_carry_ids_and_placements() -> None:
    have = present(A100, (("3g.20gb", 0), ("3g.20gb", 4)))
    steps = plan(A100, have, ["4g.20gb", "3g.20gb"])
    assert [str(step) for step in steps] == ["GPU 0: destroy 3g.20gb at 0", "GPU 0: create 4g.20gb at 0"]
    assert (steps[0].instance, steps[0].destroys) == (1, (0,))
    assert (steps[1].profile_id, steps[1].start) == (5, 0)


# In the way


def test_says_which_instances_and_containers_are_in_the_way() -> None:
    have = present(A100, (("1g.5gb", 0), ("1g.5gb", 2), ("3g.20gb", 4)))
    (fault,) = faults(plan, A100, have, ["4g.20gb", "3g.20gb"], held(have))
    assert fault == (
        "GPU 0: 4g.20gb, 3g.20gb: in the way and in use: 1g.5gb at 0 (container vllm-1-1); "
        "1g.5gb at 2 (container vllm-2-1). Stop or move what holds them, or ask for a layout that keeps them"
    )


def test_names_the_fewest_that_have_to_go() -> None:
    have = present(A100, (("1g.5gb", 0), ("1g.5gb", 4), ("1g.5gb", 5)))
    (fault,) = faults(plan, A100, have, ["3g.20gb", "1g.5gb", "1g.5gb", "1g.5gb"], held(have))
    assert "in use: 1g.5gb at 0 (container vllm-1-1). " in fault


def test_prefers_to_keep_what_would_have_to_be_stopped() -> None:
    have = present(A100, tuple(("1g.5gb", start) for start in range(7)))
    steps = plan_instances(0, A100, have, asked("1g.5gb"), {}, liked=frozenset({3}))
    assert 3 not in [step.instance for step in steps]


# Impossible


@pytest.mark.parametrize(
    ("names", "why", "nearest"),
    [
        (["3g.20gb"] * 3, "asks for 9 compute slices; the GPU has 7", "2 x 3g.20gb"),
        (["3g.20gb"] * 3, "asks for 12 memory slices; the GPU has 8", "2 x 3g.20gb"),
        (["4g.20gb", "4g.20gb"], "asks for 8 compute slices; the GPU has 7", "4g.20gb, 3g.20gb"),
        (
            ["1g.5gb+me", "1g.5gb+me"],
            "asks for the media extensions 2 times (+me); the GPU has them once",
            "1g.5gb, 1g.5gb+me",
        ),
        (["2g.10gb"] * 3 + ["1g.5gb"] * 2, "asks for 8 compute slices; the GPU has 7", "3 x 2g.10gb, 1g.5gb"),
        (["7g.40gb", "1g.5gb"], "asks for 9 memory slices; the GPU has 8", "7g.40gb"),
    ],
)
def test_an_impossible_set_is_refused_with_why_and_the_nearest_that_fits(
    names: list[str], why: str, nearest: str
) -> None:
    (fault,) = faults(plan, A100, (), names)
    assert why in fault
    assert fault.endswith(f"The nearest that fits: {nearest}")


def test_an_unknown_profile_is_reported_with_those_the_gpu_has() -> None:
    (fault,) = faults(plan, A30, (), ["3g.40gb"])
    assert '"3g.40gb" is not a profile of this GPU; it has 1g.6gb, 1g.6gb+me, 2g.12gb, 2g.12gb+me, 4g.24gb' in fault


def test_for_a_profile_of_another_gpu_the_nearest_is_the_one_with_as_many_slices() -> None:
    (fault,) = faults(plan, A100, (), ["3g.40gb", "3g.40gb"])
    assert fault.endswith("The nearest that fits: 2 x 3g.20gb")
    (fault,) = faults(plan, A30, (), ["3g.40gb", "2g.12gb"])
    assert fault.endswith("The nearest that fits: 2g.12gb, 1g.6gb")


def test_all_media_engines_in_one_instance_leave_none_for_others() -> None:
    """As the RTX PRO 6000 Blackwell has them (MIG User Guide)."""
    kinds = {"1g.24gb": (1, 4), "1g.24gb-me": (0, 4), "1g.24gb+me": (2, 1), "1g.24gb+me.all": (6, 1)}
    small = [
        Profile(name, number, 1, (0, 1, 2, 3), total, 23.6, engines)
        for number, (name, (engines, total)) in enumerate(kinds.items())
    ]
    other = [*small, Profile("4g.96gb", 9, 4, (0,), 1, 95.0, 8)]
    assert plan(other, (), ["1g.24gb+me.all", "1g.24gb-me", "1g.24gb-me", "1g.24gb-me"])
    (fault,) = faults(plan, other, (), ["1g.24gb+me.all", "1g.24gb"])
    assert "1g.24gb+me.all takes all media engines, and 1g.24gb need some too" in fault


# Compute instances


def test_parts_share_a_gpu_instance() -> None:
    (step,) = plan(A100, (), ["1c.3g.20gb", "2c.3g.20gb"])
    assert (step.profile, step.computes) == ("3g.20gb", (2, 1))
    assert str(step) == f"GPU 0: create 3g.20gb at {step.start} as 2c, 1c"


def test_a_gpu_instance_is_divided_again_without_being_destroyed() -> None:
    have = [instance(A100, "3g.20gb", 4, 1)]
    (step,) = plan(A100, have, ["1c.3g.20gb"] * 3)
    assert (step.verb, step.instance, step.destroys, step.computes) == ("divide", 1, (0,), (1, 1, 1))


def test_the_parts_that_fit_stay() -> None:
    have = [instance(A100, "3g.20gb", 4, 1, computes=[1, 1, 1])]
    (step,) = plan(A100, have, ["1c.3g.20gb"])
    assert (step.destroys, step.computes) == ((1, 2), ())


def test_a_part_in_use_is_never_destroyed() -> None:
    have = [instance(A100, "3g.20gb", 4, 1, computes=[1, 1, 1])]
    holders = {(1, 1): ["container vllm-a-1"]}
    (fault,) = faults(plan, A100, have, ["3g.20gb"], holders)
    assert "3g.20gb at 4 (container vllm-a-1)" in fault
    (step,) = plan(A100, have, ["1c.3g.20gb"], holders)
    assert step.destroys == (0, 2)


def test_parts_that_leave_no_gap_are_recreated() -> None:
    parts = (ComputeInstance(0, 1, 1, "MIG-a"),)
    have = [GpuInstance(1, "3g.20gb", 4, 4, parts)]
    (step,) = plan(A100, have, ["2c.3g.20gb", "1c.3g.20gb"])
    assert (step.destroys, step.computes) == ((0,), (2, 1))


def test_two_slices_begin_at_every_second() -> None:
    """As for GPU instances: parts in the way are recreated, and parts in use are reported."""
    have = [instance(A100, "3g.20gb", 4, 1, [1, 1, 1])]
    (step,) = plan(A100, have, ["2c.3g.20gb", "1c.3g.20gb"])
    assert (step.destroys, step.computes) == ((0, 1, 2), (2, 1))
    (step,) = plan(A100, have, ["2c.3g.20gb", "1c.3g.20gb"], {(1, 2): ["container a"]})
    assert (step.destroys, step.computes) == ((0, 1), (2,))
    (fault,) = faults(plan, A100, have, ["2c.3g.20gb", "1c.3g.20gb"], {(1, 0): ["container a"]})
    assert "in the way and in use: 3g.20gb at 4 (container a)" in fault


def test_parts_whose_place_is_not_reported_stay_while_nothing_is_missing() -> None:
    """The oldest drivers do not report the placement of parts."""
    have = [
        GpuInstance(1, "3g.20gb", 4, 4, tuple(ComputeInstance(number, 1, None, f"MIG-{number}") for number in (0, 1)))
    ]
    assert plan(A100, have, ["1c.3g.20gb"] * 2) == ()
    (step,) = plan(A100, have, ["1c.3g.20gb"] * 3)
    assert (step.destroys, step.computes) == ((0, 1), (1, 1, 1))


def test_an_instance_without_compute_instances_gets_them() -> None:
    """The state after a run that was interrupted between both steps."""
    have = [GpuInstance(1, "3g.20gb", 4, 4)]
    (step,) = plan(A100, have, ["3g.20gb"])
    assert (step.verb, step.destroys, step.computes) == ("divide", (), (3,))


def test_two_that_are_divided_differently_each_keep_their_own() -> None:
    have = [instance(A100, "3g.20gb", 0, 1, [2, 1]), instance(A100, "3g.20gb", 4, 2, [1, 1, 1])]
    assert plan(A100, have, ["1c.3g.20gb"] * 4 + ["2c.3g.20gb"]) == ()
    # Either could become either, but for what is in use in them.
    holders = {(1, 1): ["container a"], (2, 0): ["container b"], (2, 1): ["container b"]}
    assert plan(A100, have, ["1c.3g.20gb"] * 4 + ["2c.3g.20gb"], holders) == ()

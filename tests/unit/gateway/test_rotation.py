"""The plan of a host's secrets: kept, generated, replaced, and previous values still accepted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway.rotation import (
    Outcome,
    Previous,
    Wanted,
    plan_secrets,
)
from hypothesis import given
from hypothesis import strategies as st

NOW = 1_800_000_000.5
HOUR = 3600
UNTIL = int(NOW) + HOUR
NAMES = ("master_key", "salt_key", "direct-app", "direct-ci")


def maker() -> Callable[[str], str]:
    """Generates NAME-new-1, NAME-new-2 and so on."""
    numbers = count(1)
    return lambda name: f"{name}-new-{next(numbers)}"


def plan(
    wanted: Wanted,
    kept: dict[str, str] | None = None,
    previous: dict[str, tuple[Previous, ...]] | None = None,
    now: float = NOW,
) -> Outcome:
    return plan_secrets(wanted, kept or {}, previous or {}, now, maker())


def master(given: str | None = None, rotate: bool = False, overlap: int = HOUR) -> Wanted:
    """A run with the master key only."""
    return Wanted({"master_key": given}, ["master_key"] if rotate else [], overlap, ["master_key"])


def before(*accepted: tuple[str, int], name: str = "master_key") -> dict[str, tuple[Previous, ...]]:
    """Previous values with their ends, newest first."""
    return {name: tuple(Previous(value, until) for value, until in accepted)}


# What a secret is


def test_keeps_what_the_host_has() -> None:
    assert plan(master(), {"master_key": "old"}) == Outcome({"master_key": "old"})


@pytest.mark.parametrize("kept", [{}, {"master_key": ""}])
def test_generates_what_neither_the_inventory_nor_the_host_has(kept: dict[str, str]) -> None:
    assert plan(master(), kept) == Outcome({"master_key": "master_key-new-1"})


def test_generates_for_each_name_on_its_own() -> None:
    assert plan(Wanted({"a": None, "b": None})).values == {"a": "a-new-1", "b": "b-new-2"}


def test_what_the_inventory_gives_stands() -> None:
    assert plan(master("given"), {"master_key": "old"}).values == {"master_key": "given"}


def test_what_the_inventory_gives_no_longer_is_kept() -> None:
    assert plan(master(None), {"master_key": "given"}) == Outcome({"master_key": "given"})


def test_says_nothing_of_secrets_that_nobody_asked_for() -> None:
    assert plan(master(), {"master_key": "old", "other": "x"}, before(("y", UNTIL), name="other")) == Outcome(
        {"master_key": "old"}
    )


# Rotating


def test_rotating_generates_one_value_and_leaves_the_others_alone() -> None:
    wanted = Wanted({"direct-app": None, "direct-ci": None}, ["direct-app"])
    assert plan(wanted, {"direct-app": "a", "direct-ci": "b"}).values == {
        "direct-app": "direct-app-new-1",
        "direct-ci": "b",
    }


def test_rotating_what_the_host_never_had_makes_it() -> None:
    assert plan(master(rotate=True)) == Outcome({"master_key": "master_key-new-1"})


def test_the_one_before_is_accepted_for_as_long_as_the_overlap() -> None:
    outcome = plan(master(rotate=True, overlap=60), {"master_key": "old"})
    assert outcome.previous == before(("old", int(NOW) + 60))


def test_a_value_that_the_inventory_replaces_is_accepted_for_as_long_too() -> None:
    assert plan(master("given"), {"master_key": "old"}) == Outcome({"master_key": "given"}, before(("old", UNTIL)))


def test_without_an_overlap_the_one_before_ends_at_once() -> None:
    assert plan(master(rotate=True, overlap=0), {"master_key": "old"}).previous == {}


def test_what_does_not_overlap_ends_at_once() -> None:
    wanted = Wanted({"postgres_password": None}, ["postgres_password"], HOUR, ["master_key"])
    assert plan(wanted, {"postgres_password": "old"}).previous == {}


def test_every_one_before_is_accepted_for_its_own_time() -> None:
    earlier = before(("older", UNTIL - 60), ("oldest", UNTIL + 60), ("over", int(NOW)))
    outcome = plan(master(rotate=True), {"master_key": "old"}, earlier)
    assert outcome.previous == before(("old", UNTIL), ("older", UNTIL - 60), ("oldest", UNTIL + 60))


def test_a_rotation_that_is_run_again_leaves_clients_the_key_that_they_have() -> None:
    first = plan(master(rotate=True), {"master_key": "old"})
    again = plan(master(rotate=True), {"master_key": "unknown"}, dict(first.previous), NOW + 60)
    assert again.previous == before(("unknown", UNTIL + 60), ("old", UNTIL))


def test_a_rotation_that_was_cut_off_and_is_run_again_keeps_the_one_before_once() -> None:
    """NAME.previous was written, NAME not yet."""
    again = plan(master(rotate=True), {"master_key": "old"}, before(("old", UNTIL), ("older", UNTIL)), NOW + 60)
    assert again.previous == before(("old", UNTIL + 60), ("older", UNTIL))


@pytest.mark.parametrize("kept", [{"master_key": "old"}, {}])
def test_without_an_overlap_all_those_before_end_at_once(kept: dict[str, str]) -> None:
    earlier = before(("older", UNTIL), ("oldest", UNTIL))
    assert plan(master(rotate=True, overlap=0), kept, earlier).previous == {}
    assert plan(master("given", overlap=0), kept, earlier).previous == {}


def test_what_is_taken_into_use_again_is_not_also_the_one_before() -> None:
    outcome = plan(master("older"), {"master_key": "old"}, before(("older", UNTIL), ("oldest", UNTIL)))
    assert outcome.previous == before(("old", UNTIL), ("oldest", UNTIL))


# In later runs


@pytest.mark.parametrize("overlap", [1, HOUR, 24 * HOUR])
def test_an_overlap_is_neither_lengthened_nor_cut_short_by_a_later_run(overlap: int) -> None:
    earlier = before(("older", UNTIL))
    assert plan(master(overlap=overlap), {"master_key": "old"}, earlier, NOW + 10).previous == earlier


@pytest.mark.parametrize(("seconds", "accepted"), [(-0.1, True), (0, False), (1, False)])
def test_an_overlap_that_is_over_is_dropped(seconds: float, accepted: bool) -> None:
    earlier = before(("older", UNTIL))
    assert bool(plan(master(), {"master_key": "old"}, earlier, UNTIL + seconds).previous) is accepted


def test_an_overlap_of_0_ends_those_of_earlier_runs() -> None:
    assert plan(master(overlap=0), {"master_key": "old"}, before(("older", UNTIL))).previous == {}


def test_rotating_one_without_overlap_leaves_that_of_another_alone() -> None:
    wanted = Wanted({"master_key": None, "direct-app": None}, ["direct-app"], 0, ["master_key", "direct-app"])
    earlier = {**before(("older", UNTIL)), **before(("leaked", UNTIL), name="direct-app")}
    outcome = plan(wanted, {"master_key": "old", "direct-app": "leaked-too"}, earlier)
    assert outcome.previous == {"master_key": earlier["master_key"]}


def test_a_name_that_is_gone_from_the_inventory_is_accepted_no_longer() -> None:
    """Its key was revoked."""
    wanted = Wanted({"master_key": None}, (), HOUR, ["master_key", "direct-app"])
    kept = {"master_key": "old", "direct-app": "a"}
    assert plan(wanted, kept, before(("b", UNTIL), name="direct-app")) == Outcome({"master_key": "old"})


def test_a_run_that_was_cut_off_between_the_two_files_left_nothing_to_accept_twice() -> None:
    """NAME.previous was written, NAME not yet."""
    assert plan(master(), {"master_key": "old"}, before(("old", UNTIL))) == Outcome({"master_key": "old"})


# What is refused


def refused(wanted: Wanted, *faults: str) -> None:
    """These faults, with all secrets and previous values unchanged."""
    kept = {"master_key": "old", "salt_key": "salt"}
    earlier = before(("older", UNTIL))
    wanted = replace(wanted, overlap=HOUR, overlapping=["master_key"], permanent=["salt_key"])
    assert plan(wanted, kept, earlier) == Outcome({name: kept[name] for name in wanted.given}, earlier, faults)


def test_what_the_data_was_encrypted_with_is_not_rotated() -> None:
    refused(
        Wanted({"master_key": None, "salt_key": None}, ["master_key", "salt_key"]),
        "salt_key: is never rotated, since the data here is encrypted with it and cannot be read without it",
    )


def test_what_the_inventory_gives_is_not_rotated() -> None:
    refused(
        Wanted({"master_key": "given", "salt_key": None}, ["master_key"]),
        "master_key: is not generated, since the inventory gives it and would override a "
        "generated value; change it there, and run install to apply it",
    )


def test_a_name_that_is_not_there_is_not_rotated_and_those_that_are_there_are_named() -> None:
    refused(
        Wanted({"salt_key": None, "master_key": None}, ["direct-none"]),
        "direct-none: there is no such secret on this host; it has master_key, salt_key",
    )


def test_what_the_data_was_encrypted_with_is_not_replaced() -> None:
    refused(
        Wanted({"master_key": "given", "salt_key": "other"}),
        "salt_key: the inventory gives another value than this host has, and the data here is encrypted with "
        "that one; remove the value from the inventory, or give the host's value",
    )


@pytest.mark.parametrize("given", [None, "salt"])
def test_what_the_data_was_encrypted_with_may_be_given_as_it_is(given: str | None) -> None:
    assert plan(Wanted({"salt_key": given}, permanent=["salt_key"]), {"salt_key": "salt"}) == Outcome(
        {"salt_key": "salt"}
    )


def test_where_nothing_was_encrypted_yet_any_value_is_right() -> None:
    assert plan(Wanted({"salt_key": "given"}, permanent=["salt_key"])).values == {"salt_key": "given"}


def test_every_fault_is_reported_and_none_shows_a_secret() -> None:
    wanted = Wanted({"master_key": "sk-1", "salt_key": "sk-2"}, ["master_key", "none"], permanent=["salt_key"])
    faults = plan(wanted, {"master_key": "sk-3", "salt_key": "sk-4"}).faults
    assert [fault.partition(":")[0] for fault in faults] == ["master_key", "none", "salt_key"]
    assert "sk-" not in "".join(faults)


# Anything at all

VALUES = st.text("abc", min_size=1, max_size=2)
OVERLAPS = st.integers(0, 2 * HOUR)
KEPT = st.dictionaries(st.sampled_from(NAMES), VALUES)
BEFORE = st.lists(st.builds(Previous, VALUES, st.integers(0, 2 * UNTIL)), max_size=3).map(tuple)
EARLIER = st.dictionaries(st.sampled_from(NAMES), BEFORE)
WANTED = st.builds(
    Wanted,
    given=st.dictionaries(st.sampled_from(NAMES), st.none() | VALUES),
    rotate=st.lists(st.sampled_from(NAMES), max_size=2),
    overlap=OVERLAPS,
    overlapping=st.sets(st.sampled_from(NAMES)),
    permanent=st.sets(st.sampled_from(NAMES), max_size=1),
)


@given(WANTED, KEPT, EARLIER)
def test_planning_again_changes_nothing(
    wanted: Wanted, kept: dict[str, str], earlier: dict[str, tuple[Previous, ...]]
) -> None:
    first = plan(wanted, kept, earlier)
    if first.faults:
        assert plan(wanted, kept, earlier) == first
    else:
        again = replace(wanted, rotate=(), overlap=wanted.overlap or HOUR)
        assert plan(again, dict(first.values), dict(first.previous)) == first


@given(WANTED, KEPT, EARLIER)
def test_what_was_in_use_is_in_use_or_overlaps(
    wanted: Wanted, kept: dict[str, str], earlier: dict[str, tuple[Previous, ...]]
) -> None:
    wanted = replace(wanted, overlap=wanted.overlap or HOUR)
    outcome = plan(wanted, kept, earlier)
    for name in set(wanted.overlapping) & set(wanted.given) & set(kept):
        assert kept[name] in {outcome.values[name], *(one.value for one in outcome.previous.get(name, ()))}


@given(WANTED, KEPT, EARLIER)
def test_nothing_is_accepted_that_is_over_or_that_nobody_asked_for(
    wanted: Wanted, kept: dict[str, str], earlier: dict[str, tuple[Previous, ...]]
) -> None:
    outcome = plan(wanted, kept, earlier)
    assert outcome.values.keys() == wanted.given.keys()
    if not outcome.faults:
        assert outcome.previous.keys() <= set(wanted.overlapping) & set(wanted.given)
        for name, accepted in outcome.previous.items():
            assert accepted
            assert all(one.until > NOW and one.value != outcome.values[name] for one in accepted)


@given(WANTED, KEPT, EARLIER)
def test_what_was_accepted_is_accepted_for_as_long(
    wanted: Wanted, kept: dict[str, str], earlier: dict[str, tuple[Previous, ...]]
) -> None:
    wanted = replace(wanted, overlap=wanted.overlap or HOUR)
    outcome = plan(wanted, kept, earlier)
    for name in set(wanted.overlapping) & set(wanted.given) & set(earlier):
        for one in earlier[name]:
            if one.until > NOW and one.value not in (outcome.values[name], kept.get(name)):
                assert one in outcome.previous[name]

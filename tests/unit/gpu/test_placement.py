"""Which container gets which GPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import place
from ansible_collections.inference.fleet.tests.unit.samples import entry, faults, fleet
from hypothesis import given
from hypothesis import strategies as st

Held = Mapping[str, tuple[str, ...]]


def gpus(name: str, ask: Any, **changes: Any) -> dict[str, Any]:
    return entry(name=name, devices={"gpus": ask}, **changes)


def placed(*entries: dict[str, Any], held: Held | None = None) -> dict[str, tuple[str, ...]]:
    """Without the `vllm-` that all names begin with."""
    given_held = {f"vllm-{name}": devices for name, devices in (held or {}).items()}
    return {name.removeprefix("vllm-"): devices for name, devices in place(fleet(*entries), given_held).items()}


# On an empty host


def test_gives_the_lowest_free_gpus_in_the_order_of_the_inventory() -> None:
    assert placed(gpus("b", 2), gpus("a", 1, replicas=2)) == {"b-1": ("0", "1"), "a-1": ("2",), "a-2": ("3",)}


def test_pinned_gpus_are_given_first() -> None:
    assert placed(gpus("a", 2), gpus("b", [1, 0]), gpus("c", [3])) == {
        "a-1": ("2", "4"),
        "b-1": ("1", "0"),
        "c-1": ("3",),
    }


def test_a_model_on_cpus_gets_none() -> None:
    assert placed(entry(name="a", devices={"cpu": True}), gpus("b", 1)) == {"a-1": (), "b-1": ("0",)}


def test_a_stopped_model_keeps_its_place_an_absent_one_has_none() -> None:
    assert placed(gpus("a", 1, state="stopped"), gpus("b", 1, state="absent"), gpus("c", 1)) == {
        "a-1": ("0",),
        "c-1": ("1",),
    }


# On a host that has containers


def test_a_container_keeps_the_gpus_it_holds_when_others_come() -> None:
    assert placed(gpus("new", 2), gpus("a", 1), held={"a-1": ("0",)}) == {"new-1": ("1", "2"), "a-1": ("0",)}


def test_a_container_keeps_the_gpus_it_holds_when_others_go() -> None:
    assert placed(gpus("b", 1), held={"a-1": ("0",), "b-1": ("1",)}) == {"b-1": ("1",)}


def test_the_gpus_of_one_that_goes_are_given_again() -> None:
    assert placed(gpus("b", 1), gpus("c", 1), held={"a-1": ("0",), "b-1": ("1",)})["c-1"] == ("0",)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (("0", "1"), "it asks for fewer now"),
        ((), "it had none"),
        (("all",), "it had been given all"),
        (("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",), "it had a slice"),
    ],
)
def test_a_container_that_holds_something_else_than_it_asks_for_is_placed_anew(held: tuple[str, ...], why: str) -> None:
    assert placed(gpus("a", 1), held={"a-1": held}) == {"a-1": ("0",)}, why


def test_a_container_gives_way_to_one_that_is_pinned_to_its_gpu() -> None:
    assert placed(gpus("a", 1), gpus("b", [0]), held={"a-1": ("0",)}) == {"a-1": ("1",), "b-1": ("0",)}


def test_of_two_that_hold_the_same_gpu_the_first_keeps_it() -> None:
    assert placed(gpus("a", 1), gpus("b", 1), held={"a-1": ("1",), "b-1": ("1",)}) == {"a-1": ("1",), "b-1": ("0",)}


# MIG slices


def test_refuses_mig_slices_while_it_cannot_place_them() -> None:
    models = fleet(entry(name="a", devices={"mig": "3g.40gb"}), entry(name="b", devices={"mig": "1g.10gb"}), entry())
    assert faults(place, models, {}) == [
        "devices.mig: this inference.fleet does not place models on MIG slices yet; "
        "asked for by a (mig 3g.40gb), b (mig 1g.10gb)"
    ]


def test_an_absent_models_slice_is_no_reason_to_refuse() -> None:
    assert placed(entry(devices={"mig": "3g.40gb"}, state="absent")) == {}


# Always


ASKS = st.one_of(st.integers(1, 3).map(lambda count: {"gpus": count}), st.just({"cpu": True}))


@st.composite
def inventories(draw: Any) -> list[dict[str, Any]]:
    """Models with counted, pinned (never the same GPU twice) and no GPUs."""
    free = draw(st.permutations(range(6)))
    entries = []
    for name in draw(st.lists(st.sampled_from("abcdef"), unique=True)):
        if draw(st.booleans()) and free:
            pinned, free = free[: (size := draw(st.integers(1, 2)))], free[size:]
            entries.append(gpus(name, list(pinned)))
        else:
            entries.append(entry(name=name, devices=draw(ASKS), replicas=draw(st.integers(1, 3))))
    return entries


HELD = st.dictionaries(
    st.builds("{}-{}".format, st.sampled_from("abcdef"), st.integers(1, 3)),
    st.lists(st.integers(0, 8).map(str), max_size=3, unique=True).map(tuple),
)


@given(inventories(), HELD)
def test_no_gpu_is_given_twice_and_everyone_gets_what_they_ask_for(entries: list[Any], held: Held) -> None:
    result = placed(*entries, held=held)
    given_out = [device for devices in result.values() for device in devices]
    assert len(given_out) == len(set(given_out))
    for model in fleet(*entries).models:
        for name in model.containers:
            assert len(result[name.removeprefix("vllm-")]) == model.devices.gpus_per_replica


@given(inventories(), HELD)
def test_placing_again_changes_nothing(entries: list[Any], held: Held) -> None:
    once = placed(*entries, held=held)
    assert placed(*entries, held=once) == once


@given(inventories(), inventories())
def test_a_container_keeps_its_gpus_whoever_comes_and_goes_unless_one_of_them_is_pinned(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    once = placed(*before)
    kept = [one for one in before if one["name"] in "abc"]
    others = [one for one in after if one["name"] not in "abc"]
    pinned = {
        str(gpu) for one in others if isinstance(one["devices"].get("gpus"), list) for gpu in one["devices"]["gpus"]
    }
    mine = {str(gpu) for one in kept if isinstance(one["devices"].get("gpus"), list) for gpu in one["devices"]["gpus"]}
    if pinned & mine:
        return  # such an inventory is refused
    again = placed(*others, *kept, held=once)
    for model in fleet(*kept).models:
        for container in model.containers:
            name = container.removeprefix("vllm-")
            assert again[name] == once[name] or set(once[name]) & pinned


@given(inventories(), st.randoms(use_true_random=False))
def test_the_order_of_the_inventory_means_nothing_once_all_are_placed(entries: list[Any], random: Any) -> None:
    once = placed(*entries)
    random.shuffle(entries)
    assert placed(*entries, held=once) == once

"""Which container gets which device."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import (
    DeviceRequest,
    Tenants,
    choose_gpus,
    place,
    tenants_of,
)
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import A30, gpu, instance
from ansible_collections.inference.fleet.tests.unit.gpu.tenants import (
    foreign_container,
    gpus,
    mig,
    model_container,
)
from ansible_collections.inference.fleet.tests.unit.samples import entry, faults, fleet
from hypothesis import given
from hypothesis import strategies as st

Given = dict[str, tuple[str, ...]]
Held = Mapping[str, tuple[str, ...]]


def whole(count: int, links: Iterable[tuple[int, int]] = ()) -> tuple[Gpu, ...]:
    """GPUs without MIG; each pair of links has 4 NVLinks."""
    pairs = [*links, *((b, a) for a, b in links)]
    return tuple(gpu(index, mig=None, links={b: 4 for a, b in pairs if a == index}) for index in range(count))


EIGHT = whole(8)
MANY = whole(60)  # more than anybody asks for below
PARTITIONED = (
    gpu(0, state=(("3g.20gb", 0), ("3g.20gb", 4))),
    gpu(1, state=(("1g.5gb", 0), ("1g.5gb", 1), ("3g.20gb", 4))),
)


def tenants(
    entries: Sequence[dict[str, Any]],
    on: Sequence[Gpu],
    has: Iterable[HostContainer],
    names: Iterable[str] | None = None,
    prune: bool = False,
) -> Tenants:
    """The tenants in a run for all models of the inventory, or for some by name."""
    inventory = fleet(*entries)
    acted_on = [model.name for model in inventory.models] if names is None else list(names)
    return tenants_of(DeviceRequest(inventory, on, tuple(has), acted_on, prune))


def placed(
    *entries: dict[str, Any], on: Sequence[Gpu] = EIGHT, has: Iterable[HostContainer] = (), **run: Any
) -> dict[str, list[str]]:
    """Container name without `vllm-` -> its devices, GPUs by index."""
    result = place(tenants(entries, on, has, **run), on)
    return {
        name.removeprefix("vllm-"): [device.removeprefix("GPU-") for device in devices]
        for name, devices in result.items()
    }


def refused(
    *entries: dict[str, Any], on: Sequence[Gpu] = EIGHT, has: Iterable[HostContainer] = (), **run: Any
) -> list[str]:
    """The faults, without the table at their end."""
    *reported, table = faults(place, tenants(entries, on, has, **run), on)
    assert table.startswith("Who has what:\n")
    return reported


# On an empty host


def test_gives_the_largest_ask_first_and_the_lowest_free_gpus() -> None:
    assert placed(gpus("a", 1, replicas=2), gpus("b", 2)) == {"a-1": ["2"], "a-2": ["3"], "b-1": ["0", "1"]}


def test_pinned_gpus_are_given_first_and_in_their_order() -> None:
    given_out = placed(gpus("a", 2), gpus("b", [1, 0]), gpus("c", [3]))
    assert given_out == {"a-1": ["2", "4"], "b-1": ["1", "0"], "c-1": ["3"]}


def test_a_model_on_cpus_gets_none_even_on_a_host_without_gpus() -> None:
    assert placed(entry(name="a", devices={"cpu": True}), on=()) == {"a-1": []}


def test_a_stopped_model_has_a_place_after_the_running_ones_an_absent_one_has_none() -> None:
    models = gpus("a", 1, state="stopped"), gpus("b", 1, state="absent"), gpus("c", 1)
    assert placed(*models) == {"a-1": ["1"], "c-1": ["0"]}


def test_a_stopped_model_goes_without_a_device_where_there_is_no_room() -> None:
    asked = tenants([gpus("a", 9, state="stopped"), gpus("b", 8)], EIGHT, [])
    assert place(asked, EIGHT)["vllm-a-1"] == ()


def test_several_gpus_are_of_one_product_where_that_can_be() -> None:
    mixed = (gpu(0, mig=None, name="NVIDIA L4"), gpu(1, mig=None), gpu(2, mig=None))
    assert choose_gpus(mixed, 2) == mixed[1:]
    assert choose_gpus(mixed, 3) == mixed


# NVLink


PAIRS = whole(4, [(0, 1), (2, 3)])


def test_two_gpus_are_a_linked_pair() -> None:
    assert placed(gpus("a", 2), on=PAIRS) == {"a-1": ["0", "1"]}
    crossed = whole(4, [(0, 3), (1, 2)])
    assert placed(gpus("a", 2), gpus("b", 2), on=crossed) == {"a-1": ["0", "3"], "b-1": ["1", "2"]}


def test_a_pair_that_is_free_goes_before_a_lower_gpu_that_is_not_linked() -> None:
    has = [model_container("a-1", "GPU-0")]
    assert placed(gpus("a", 1), gpus("b", 2), on=PAIRS, has=has) == {"a-1": ["0"], "b-1": ["2", "3"]}


def test_a_single_gpu_does_not_break_up_a_linked_pair_while_another_is_free() -> None:
    on = whole(5, [(0, 1), (2, 3)])
    assert placed(gpus("a", 1), on=on) == {"a-1": ["4"]}
    assert placed(gpus("a", 1, replicas=2), on=on) == {"a-1": ["4"], "a-2": ["0"]}


def test_the_other_half_of_a_broken_pair_goes_before_a_whole_pair() -> None:
    has = [model_container("a-1", "GPU-2")]
    assert placed(gpus("a", 1), gpus("b", 1), on=PAIRS, has=has)["b-1"] == ["3"]


def test_four_of_eight_are_those_with_most_links_among_them() -> None:
    """A ring of four on 0, 3, 5, 6; the others hang on it by one link each."""
    on = whole(8, [(0, 3), (3, 5), (5, 6), (6, 0), (0, 1), (3, 2), (5, 4), (6, 7)])
    assert placed(gpus("a", 4), on=on) == {"a-1": ["0", "3", "5", "6"]}


def test_unlinked_gpus_are_given_where_there_are_no_linked_ones_left() -> None:
    has = [model_container("a-1", "GPU-0"), model_container("b-1", "GPU-2")]
    assert placed(gpus("a", 1), gpus("b", 1), gpus("c", 2), on=PAIRS, has=has)["c-1"] == ["1", "3"]


# On a host that has containers


def test_a_container_keeps_the_gpus_it_holds_when_others_come() -> None:
    has = [model_container("a-1", "GPU-0")]
    assert placed(gpus("new", 2), gpus("a", 1), has=has) == {"new-1": ["1", "2"], "a-1": ["0"]}


def test_a_container_keeps_the_gpus_it_holds_when_others_go() -> None:
    has = [model_container("a-1", "GPU-0"), model_container("b-1", "GPU-1")]
    assert placed(gpus("b", 1), has=has, prune=True) == {"b-1": ["1"]}


def test_the_gpus_of_one_that_goes_are_given_again() -> None:
    has = [model_container("a-1", "GPU-0"), model_container("b-1", "GPU-1")]
    assert placed(gpus("b", 1), gpus("c", 1), has=has, prune=True)["c-1"] == ["0"]


def test_a_gpu_held_by_index_is_the_same_as_by_uuid() -> None:
    """Containers created before GPUs were given by UUID hold GPUs by index."""
    has = [model_container("a-1", "1", "0")]
    assert placed(gpus("a", 2), gpus("b", 1), has=has) == {"a-1": ["1", "0"], "b-1": ["2"]}


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (("GPU-2", "GPU-3"), "it asks for fewer now"),
        ((), "it had none"),
        (("all",), "it had been given all"),
        (("MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f",), "it had a MIG device"),
        (("GPU-of-another-host",), "the GPU was replaced"),
    ],
)
def test_a_container_that_holds_something_else_than_it_asks_for_is_placed_again(
    held: tuple[str, ...], why: str
) -> None:
    has = [model_container("a-1", *held)]
    assert placed(gpus("a", 1), has=has) == {"a-1": ["0"]}, why
    assert tenants([gpus("a", 1)], EIGHT, has).leaving == {"vllm-a-1"}


def test_a_container_gives_way_to_one_that_is_pinned_to_its_gpu() -> None:
    has = [model_container("a-1", "GPU-0")]
    assert placed(gpus("a", 1), gpus("b", [0]), has=has) == {"a-1": ["1"], "b-1": ["0"]}
    assert tenants([gpus("a", 1), gpus("b", [0])], EIGHT, has).leaving == {"vllm-a-1"}


def test_a_container_that_is_on_its_pinned_gpus_in_another_order_stays() -> None:
    has = [model_container("a-1", "GPU-1", "GPU-0")]
    assert placed(gpus("a", [0, 1]), has=has) == {"a-1": ["1", "0"]}


def test_of_two_that_hold_the_same_gpu_the_first_keeps_it() -> None:
    has = [model_container("a-1", "GPU-1"), model_container("b-1", "GPU-1")]
    assert placed(gpus("a", 1), gpus("b", 1), has=has) == {"a-1": ["1"], "b-1": ["0"]}


def test_a_stopped_models_container_keeps_its_gpu_and_counts_as_leaving() -> None:
    """Other containers may get its device although it still runs."""
    has = [model_container("a-1", "GPU-0")]
    models = [gpus("a", 1, state="stopped"), gpus("b", 1)]
    assert placed(*models, has=has) == {"a-1": ["0"], "b-1": ["1"]}
    assert tenants(models, EIGHT, has).leaving == {"vllm-a-1"}


def test_a_whole_gpu_that_is_in_mig_mode_now_is_not_kept() -> None:
    on = (gpu(0), gpu(1, mig=False))
    has = [model_container("a-1", "GPU-0", running=False)]
    assert placed(gpus("a", 1), on=on, has=has) == {"a-1": ["1"]}
    assert tenants([gpus("a", 1)], on, has).leaving == {"vllm-a-1"}


def test_a_whole_gpu_that_is_to_be_partitioned_is_not_kept() -> None:
    """Its container does not run, so the GPU is free for it."""
    has = [model_container("a-1", "GPU-0", running=False)]
    found = tenants([gpus("a", 1)], (gpu(0, mig=False), gpu(1, mig=False)), has)
    assert place(found, (gpu(0), gpu(1, mig=False))) == {"vllm-a-1": ("GPU-1",)}


# What a run acts on


def test_a_model_that_is_not_acted_on_keeps_what_it_holds_whatever_it_asks_for_now() -> None:
    has = [model_container("a-1", "GPU-0")]
    models = gpus("a", 2), gpus("b", 1)
    assert placed(*models, has=has, names=["b"]) == {"b-1": ["1"]}
    assert placed(*models, has=has, names=["a"])["a-1"] == ["0", "1"]


def test_a_model_that_is_not_acted_on_and_has_no_device_takes_none_from_one_that_is() -> None:
    assert placed(gpus("waiting", 8), gpus("b", 1), names=["b"]) == {"b-1": ["0"]}
    rebooted = [model_container("a-1", "MIG-that-is-gone")]
    assert placed(mig("a", "3g.20gb"), gpus("b", 1), has=rebooted, names=["b"]) == {"b-1": ["0"]}


def test_a_model_that_is_not_listed_keeps_what_it_holds_unless_it_is_pruned() -> None:
    has = [model_container("gone-1", "GPU-0")]
    assert placed(gpus("a", 1), has=has) == {"a-1": ["1"]}
    assert placed(gpus("a", 1), has=has, prune=True) == {"a-1": ["0"]}
    assert tenants([gpus("a", 1)], EIGHT, has, prune=True).leaving == {"vllm-gone-1"}


def test_a_model_that_is_taken_away_by_name_gives_up_its_gpu() -> None:
    has = [model_container("a-1", "GPU-0"), model_container("b-1", "GPU-1")]
    assert tenants([gpus("b", 1)], EIGHT, has, names=["a"]).leaving == {"vllm-a-1"}


def test_replicas_that_are_no_longer_wanted_give_up_their_gpu() -> None:
    has = [model_container("a-1", "GPU-0"), model_container("a-2", "GPU-1")]
    assert placed(gpus("a", 1), gpus("b", 1), has=has) == {"a-1": ["0"], "b-1": ["1"]}


# Pinned


def test_a_pinned_gpu_that_is_not_there_is_reported_with_those_there_are() -> None:
    assert refused(gpus("a", [2]), on=whole(2)) == [
        "fleet_models[0].devices.gpus: no GPU 2 on this host; "
        "it has GPU 0 (NVIDIA A100-SXM4-40GB), GPU 1 (NVIDIA A100-SXM4-40GB)"
    ]


def test_a_pinned_gpu_in_mig_mode_is_refused_with_both_ways_out() -> None:
    assert refused(gpus("a", [1]), on=(gpu(0, mig=False), gpu(1))) == [
        "fleet_models[0].devices.gpus: GPU 1 (NVIDIA A100-SXM4-40GB) is partitioned by MIG; "
        "give {mig: PROFILE}, or fleet_mig: {1: off}"
    ]


def test_a_pinned_gpu_that_this_run_leaves_alone_is_refused_with_its_holder() -> None:
    has = [model_container("a-1", "GPU-0"), foreign_container("notebook", "1")]
    assert refused(gpus("a", 1), gpus("b", [0, 1]), has=has, names=["b"]) == [
        "fleet_models[1].devices.gpus: GPU 0 (NVIDIA A100-SXM4-40GB) is held by vllm-a-1, which this run leaves alone"
    ]
    assert refused(gpus("a", 1), gpus("b", [1]), has=has) == [
        "fleet_models[1].devices.gpus: GPU 1 (NVIDIA A100-SXM4-40GB) is held by notebook, which this run leaves alone"
    ]


# MIG devices


def test_gives_a_free_instance_of_the_lowest_gpu_and_placement() -> None:
    models = mig("a", "3g.20gb", replicas=2), mig("b", "1g.5gb", replicas=2)
    assert placed(*models, on=PARTITIONED) == {
        "a-1": ["MIG-0-1"],
        "a-2": ["MIG-0-2"],
        "b-1": ["MIG-1-1"],
        "b-2": ["MIG-1-2"],
    }


def test_a_part_of_a_gpu_instance_goes_by_its_own_name() -> None:
    halves = (instance(A30, "2g.12gb", 0, 1, [1, 1]), instance(A30, "2g.12gb", 2, 2))
    on = (replace(gpu(0, A30), instances=halves),)
    assert placed(mig("a", "2g.12gb"), mig("b", "1c.2g.12gb", replicas=2), on=on) == {
        "a-1": ["MIG-2-0"],
        "b-1": ["MIG-1-0"],
        "b-2": ["MIG-1-1"],
    }


def test_a_container_keeps_its_instance_whatever_else_is_free() -> None:
    has = [model_container("a-1", "MIG-1-3")]
    models = mig("b", "3g.20gb", replicas=2), mig("a", "3g.20gb")
    assert placed(*models, on=PARTITIONED, has=has) == {"b-1": ["MIG-0-1"], "b-2": ["MIG-0-2"], "a-1": ["MIG-1-3"]}


def test_a_container_on_an_instance_of_another_profile_is_placed_again() -> None:
    has = [model_container("a-1", "MIG-0-1")]
    assert placed(mig("a", "1g.5gb"), on=PARTITIONED, has=has) == {"a-1": ["MIG-1-1"]}


def test_a_container_whose_instance_is_gone_is_placed_again() -> None:
    """MIG instances do not outlive a reboot."""
    has = [model_container("a-1", "MIG-of-before-the-reboot", running=False)]
    assert placed(mig("a", "1g.5gb"), on=PARTITIONED, has=has) == {"a-1": ["MIG-1-1"]}


def test_whole_gpus_and_mig_devices_share_a_host() -> None:
    on = (PARTITIONED[0], gpu(1, mig=False), gpu(2, mig=None))
    assert placed(mig("a", "3g.20gb"), gpus("b", 1, replicas=2), on=on) == {
        "a-1": ["MIG-0-1"],
        "b-1": ["1"],
        "b-2": ["2"],
    }


# No room


def test_says_who_has_what_where_the_gpus_do_not_suffice() -> None:
    on = (
        gpu(0, mig=False),
        gpu(1, mig=None, name="NVIDIA L40S"),
        gpu(2, state=(("3g.20gb", 0), ("1g.5gb", 4))),
        gpu(3),
    )
    has = [
        model_container("old-1", "GPU-0"),
        foreign_container("notebook", "GPU-1"),
        model_container("small-1", "MIG-2-1"),
    ]
    models = gpus("big", 2), mig("small", "3g.20gb"), mig("small2", "3g.20gb")
    assert "\n".join(faults(place, tenants(models, on, has), on)) == (
        "fleet_models[0].devices.gpus: vllm-big-1 asks for 2 GPUs; free: 0 of 4, partitioned by MIG: 2\n"
        "fleet_models[2].devices.mig: vllm-small2-1 asks for a 3g.20gb; free: 0 of 1; "
        "add one in fleet_mig, or give fleet_mig: auto\n"
        "Who has what:\n"
        "  GPU 0 (NVIDIA A100-SXM4-40GB)       vllm-old-1\n"
        "  GPU 1 (NVIDIA L40S)                 notebook\n"
        "  GPU 2 (NVIDIA A100-SXM4-40GB), MIG\n"
        "    3g.20gb at 0                      vllm-small-1\n"
        "    1g.5gb at 4                       free\n"
        "  GPU 3 (NVIDIA A100-SXM4-40GB), MIG  no instances"
    )


def test_a_profile_that_no_gpu_has_is_reported_with_those_they_have() -> None:
    on = (gpu(0), gpu(1, A30, name="NVIDIA A30"))
    assert refused(mig("a", "1c.3g.40gb"), on=on) == [
        'fleet_models[0].devices.mig: "1c.3g.40gb" is not a profile of any GPU of this host; it has '
        "GPU 0 (NVIDIA A100-SXM4-40GB): 1g.5gb, 1g.5gb+me, 1g.10gb, 2g.10gb, 3g.20gb, 4g.20gb, 7g.40gb; "
        "GPU 1 (NVIDIA A30): 1g.6gb, 1g.6gb+me, 2g.12gb, 2g.12gb+me, 4g.24gb"
    ]


def test_a_profile_that_a_gpu_has_and_nobody_made_is_reported_with_how_to_get_one() -> None:
    for profile in ("2g.10gb", "2c.3g.20gb"):
        assert refused(mig("a", profile), on=PARTITIONED) == [
            f"fleet_models[0].devices.mig: vllm-a-1 asks for a {profile}, and this host has none; "
            f"add one in fleet_mig, or give fleet_mig: auto"
        ]


# Other containers of the host


@pytest.mark.parametrize(("name", "left"), [("MIG-0-1", "MIG-0-2"), ("0:0", "MIG-0-2"), ("GPU-0:1", "MIG-0-1")])
def test_the_mig_device_that_another_container_was_given_by_name_is_taken(name: str, left: str) -> None:
    assert placed(mig("a", "3g.20gb"), on=PARTITIONED[:1], has=[foreign_container("x", name)]) == {"a-1": [left]}


@pytest.mark.parametrize("name", ["0", "GPU-0"])
def test_a_gpu_that_another_container_was_given_by_name_is_taken_with_all_its_parts(name: str) -> None:
    assert placed(gpus("a", 1), has=[foreign_container("x", name)]) == {"a-1": ["1"]}
    assert refused(mig("a", "3g.20gb"), on=PARTITIONED[:1], has=[foreign_container("x", name)]) == [
        "fleet_models[0].devices.mig: vllm-a-1 asks for a 3g.20gb; free: 0 of 2; "
        "add one in fleet_mig, or give fleet_mig: auto"
    ]


def test_another_container_that_was_given_all_takes_none() -> None:
    """Monitors have all GPUs."""
    has = [foreign_container("nvtop", "all"), foreign_container("e", "0", "1", image="nvidia/dcgm-exporter:4")]
    assert placed(gpus("a", 2), on=whole(2), has=has) == {"a-1": ["0", "1"]}


def test_another_container_that_does_not_run_takes_none() -> None:
    has = [foreign_container("notebook", "GPU-0", running=False)]
    assert placed(gpus("a", 1), has=has) == {"a-1": ["0"]}


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
    st.lists(st.integers(0, 8).map("GPU-{}".format), max_size=3, unique=True).map(tuple),
)


def running(held: Mapping[str, Iterable[str]]) -> list[HostContainer]:
    return [model_container(name, *devices) for name, devices in held.items()]


def uuids(given_out: Mapping[str, list[str]]) -> dict[str, list[str]]:
    return {name: [f"GPU-{index}" for index in indices] for name, indices in given_out.items()}


def on_many(entries: list[dict[str, Any]], held: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    return uuids(placed(*entries, on=MANY, has=running(held), prune=True))


@given(inventories(), HELD)
def test_no_gpu_is_given_twice_and_everyone_gets_what_they_ask_for(entries: list[Any], held: Held) -> None:
    result = on_many(entries, held)
    given_out = [device for devices in result.values() for device in devices]
    assert len(given_out) == len(set(given_out))
    for model in fleet(*entries).models:
        for name in model.containers:
            own = result[name.removeprefix("vllm-")]
            assert len(own) == model.devices.gpus_per_replica
            assert not model.devices.pinned or set(own) == {f"GPU-{index}" for index in model.devices.pinned}


@given(inventories(), HELD)
def test_placing_again_changes_nothing(entries: list[Any], held: Held) -> None:
    once = on_many(entries, held)
    assert on_many(entries, once) == once
    assert not tenants(entries, MANY, running(once), prune=True).leaving


@given(inventories(), inventories())
def test_a_container_keeps_its_gpus_whoever_comes_and_goes_unless_one_of_them_is_pinned(
    before: list[dict[str, Any]], after: list[dict[str, Any]]
) -> None:
    once = on_many(before, {})
    kept = [one for one in before if one["name"] in "abc"]
    others = [one for one in after if one["name"] not in "abc"]
    pinned, mine = (
        {f"GPU-{gpu}" for one in some if isinstance(ask := one["devices"].get("gpus"), list) for gpu in ask}
        for some in (others, kept)
    )
    if pinned & mine:
        return  # such an inventory is refused
    again = on_many([*others, *kept], once)
    for model in fleet(*kept).models:
        for container in model.containers:
            name = container.removeprefix("vllm-")
            assert again[name] == once[name] or set(once[name]) & pinned


@given(inventories(), st.randoms(use_true_random=False))
def test_the_order_of_the_inventory_and_of_docker_means_nothing_once_all_are_placed(
    entries: list[Any], random: Any
) -> None:
    once = on_many(entries, {})
    random.shuffle(entries)
    shuffled = list(once.items())
    random.shuffle(shuffled)
    assert on_many(entries, dict(shuffled)) == once

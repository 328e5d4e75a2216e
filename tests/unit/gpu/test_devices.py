"""Layouts, given and automatic, and the placement on the GPUs after partitioning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, count, product
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import (
    Client,
    HostContainer,
    OpenDevice,
    clients_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import (
    DevicePlan,
    needs_gpus,
    plan_devices,
    refuse_unmade,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, GpuInstance, Profile
from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import plan_instances
from ansible_collections.inference.fleet.plugins.module_utils.gpu.partition import plan_partition
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Device, Instance, Layout
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import A30, A100, State, gpu, instance, states
from ansible_collections.inference.fleet.tests.unit.gpu.tenants import (
    foreign_container,
    gpus,
    mig,
    model_container,
)
from ansible_collections.inference.fleet.tests.unit.samples import entry, faults, fleet
from hypothesis import given, settings
from hypothesis import strategies as st

Entries = Sequence[dict[str, Any]]
KINDS = {"NVIDIA A100-SXM4-40GB": A100, "NVIDIA A30": A30}


def a30(index: int, state: State = (), **changes: Any) -> Gpu:
    return gpu(index, A30, state, name="NVIDIA A30", memory=24576, **changes)


def off(index: int, profiles: tuple[Profile, ...] = A100) -> Gpu:
    """MIG off, with known profiles, as with newer drivers."""
    one = a30(index, mig=False) if profiles is A30 else gpu(index, mig=False)
    return replace(one, profiles=profiles)


def plan(
    on: Sequence[Gpu],
    entries: Entries,
    has: Sequence[HostContainer] = (),
    layout: Any = "auto",
    processes: Sequence[OpenDevice] = (),
) -> DevicePlan:
    inventory = fleet(*entries, mig=layout)
    names = [model.name for model in inventory.models]
    return plan_devices(DeviceRequest(inventory, on, has, names, prune=True, processes=processes))


def given_out(made: DevicePlan) -> dict[str, list[str]]:
    """By container without its `vllm-`."""
    return {name.removeprefix("vllm-"): list(devices) for name, devices in made.given.items()}


def containers(made: DevicePlan) -> list[HostContainer]:
    """The containers after the plan is applied."""
    return [model_container(name, *devices) for name, devices in given_out(made).items()]


def carried_out(made: DevicePlan) -> tuple[Gpu, ...]:
    """The GPUs after the plan's steps, with their placements and UUIDs."""
    return tuple(_real(one) if one.mig else one for one in made.partition.after)


def _real(one: Gpu) -> Gpu:
    profiles = KINDS[one.name]
    there = list(one.instances)
    if any(made.start is None for made in there):
        asked = [Instance(made.profile, _parts(made)) for made in there]
        steps = plan_instances(one.index, profiles, (), asked, {})
        there = [instance(profiles, step.profile, step.start or 0, 0, step.computes) for step in steps]
        there = [replace(made, id=None, compute=tuple(replace(part, id=-1) for part in made.compute)) for made in there]
    free = (number for number in count(1) if number not in [made.id for made in there])
    numbered = [made if made.id is not None else replace(made, id=next(free)) for made in there]
    return replace(one, profiles=profiles, instances=tuple(_with_uuids(one, made) for made in numbered))


def _parts(made: GpuInstance) -> tuple[int, ...]:
    return tuple(sorted((part.slices for part in made.compute), reverse=True)) if made.division() else ()


def _with_uuids(one: Gpu, made: GpuInstance) -> GpuInstance:
    free = (number for number in count() if number not in [part.id for part in made.compute])
    parts = [
        part
        if part.uuid and part.uuid.startswith("MIG-") and part.id >= 0
        else replace(part, id=(number := next(free)), uuid=f"MIG-{one.index}-{made.id}-{number}-of-{made.profile}")
        for part in made.compute
    ]
    return replace(made, compute=tuple(parts))


# What an inventory needs


def test_gpus_are_needed_by_a_layout_and_by_models_that_are_not_for_cpus() -> None:
    on_cpu = entry(devices={"cpu": True})
    assert not needs_gpus(fleet(on_cpu))
    assert not needs_gpus(fleet(entry(state="absent")))
    assert needs_gpus(fleet(on_cpu, mig={"0": "off"}))
    assert needs_gpus(fleet(on_cpu, entry(name="b", state="stopped")))


# Layouts that are given


def test_a_layout_is_taken_as_it_is_and_its_devices_are_given_before_they_are_made() -> None:
    made = plan([gpu(0)], [mig("a", "3g.20gb", replicas=2)], layout={0: ["3g.20gb", "3g.20gb"]})
    assert made.layout == Layout.parse({0: ["3g.20gb", "3g.20gb"]}, "fleet_mig")
    assert made.partition.actions == ["GPU 0: create 3g.20gb at 4", "GPU 0: create 3g.20gb at 0"]
    assert len({*made.given["vllm-a-1"], *made.given["vllm-a-2"]}) == 2


def test_containers_are_refused_while_their_devices_are_not_made() -> None:
    made = plan([gpu(0)], [mig("a", "3g.20gb")], layout={0: ["3g.20gb"]})
    assert faults(refuse_unmade, made, [gpu(0)]) == [
        "vllm-a-1: the GPUs are not partitioned as in fleet_mig; run the playbook install, or the module "
        "mig_partition. "
        "Missing: GPU 0: create 3g.20gb at 4"
    ]
    on = carried_out(made)
    refuse_unmade(plan(on, [mig("a", "3g.20gb")], layout={0: ["3g.20gb"]}), on)


def test_a_layout_without_the_device_that_a_model_asks_for_is_refused_with_the_table() -> None:
    reported = faults(plan, [gpu(0)], [mig("a", "3g.20gb")], (), {0: ["4g.20gb"]})
    assert reported == [
        "fleet_models[0].devices.mig: vllm-a-1 asks for a 3g.20gb, and this host has none; "
        "add one in fleet_mig, or give fleet_mig: auto",
        "Who has what:\n  GPU 0 (NVIDIA A100-SXM4-40GB), MIG\n    4g.20gb at 0                      free",
    ]


def test_a_model_that_leaves_its_instance_does_not_keep_it_from_a_layout() -> None:
    on = [gpu(0, state=(("3g.20gb", 4),))]
    made = plan(on, [mig("a", "7g.40gb")], [model_container("a-1", "MIG-0-1")], {0: ["7g.40gb"]})
    assert made.leaving == {"vllm-a-1"}
    assert made.partition.actions == [
        "stop container vllm-a-1",
        "GPU 0: destroy 3g.20gb at 4",
        "GPU 0: create 7g.40gb at 0",
    ]


# auto


def test_auto_makes_what_the_models_ask_for_and_leaves_whole_gpus_whole() -> None:
    on = [off(0), off(1), off(2)]
    made = plan(on, [mig("a", "1c.3g.20gb", replicas=2), gpus("b", 2), mig("c", "4g.20gb")])
    assert made.layout.plain() == {"GPU-2": ["4g.20gb", "1c.3g.20gb", "1c.3g.20gb"]}
    assert given_out(made)["b-1"] == ["GPU-0", "GPU-1"]
    assert made.partition.actions == [
        "GPU 2: enable MIG",
        "GPU 2: reset",
        "GPU 2: create 4g.20gb at 0",
        "GPU 2: create 3g.20gb at 4 as 1c, 1c",
    ]


def test_auto_uses_a_free_instance_before_it_makes_one() -> None:
    on = [off(0), gpu(1, state=(("1g.5gb", 0), ("3g.20gb", 4)))]
    made = plan(on, [mig("a", "3g.20gb"), mig("b", "1g.5gb")])
    assert (made.partition.steps, given_out(made)) == ((), {"a-1": ["MIG-1-2"], "b-1": ["MIG-1-1"]})


def test_auto_makes_an_instance_on_a_gpu_in_mig_mode_before_it_partitions_another() -> None:
    on = [off(0), gpu(1, state=(("3g.20gb", 4),))]
    made = plan(on, [mig("a", "3g.20gb"), mig("b", "4g.20gb")], [model_container("a-1", "MIG-1-1")])
    assert made.partition.actions == ["GPU 1: create 4g.20gb at 0"]


def test_auto_takes_a_free_instance_away_where_a_larger_one_has_to_go() -> None:
    on = [gpu(0, state=(("1g.5gb", 1), ("3g.20gb", 4)))]
    made = plan(on, [mig("a", "3g.20gb"), mig("b", "4g.20gb")], [model_container("a-1", "MIG-0-2")])
    assert made.partition.actions == ["GPU 0: destroy 1g.5gb at 1", "GPU 0: create 4g.20gb at 0"]


def test_auto_passes_a_free_instance_by_where_only_its_gpu_has_room_for_another() -> None:
    """The media extension of GPU 0 is taken, and GPU 1 has room for one while nobody takes its 3g.20gb."""
    on = [
        gpu(0, state=(("1g.5gb+me", 0),)),
        gpu(1, state=(*(("1g.5gb", start) for start in range(4)), ("3g.20gb", 4))),
    ]
    has = [model_container("a-1", "MIG-0-1"), *(model_container(f"b-{one}", f"MIG-1-{one}") for one in range(1, 5))]
    models = [mig("a", "1g.5gb+me"), mig("b", "1g.5gb", replicas=4), mig("c", "3g.20gb"), mig("d", "1g.5gb+me")]
    assert plan(on, models, has).partition.actions == [
        "GPU 0: create 3g.20gb at 4",
        "GPU 1: destroy 3g.20gb at 4",
        "GPU 1: create 1g.5gb+me at 6",
    ]


def test_too_few_whole_gpus_beside_mig_devices_are_reported_as_such() -> None:
    reported = faults(plan, [off(0), off(1, A30)], [mig("a", "3g.20gb"), gpus("b", 2)])
    assert reported[0] == (
        "fleet_models[1].devices.gpus: vllm-b-1 asks for 2 GPUs; free: 1 of 2, partitioned by MIG: 1"
    )


def test_auto_leaves_a_gpu_that_nobody_asks_for_as_it_is() -> None:
    on = [gpu(0, state=(("1g.5gb", 0),)), gpu(1, state=(("2g.10gb", 0),)), off(2)]
    made = plan(on, [mig("a", "1g.5gb"), gpus("b", 1)])
    assert made.layout.plain() == {"GPU-0": ["1g.5gb"]}
    assert made.partition.steps == ()


def test_auto_switches_mig_off_where_a_whole_gpu_is_to_be_had_no_other_way() -> None:
    on = [gpu(0, state=(("1g.5gb", 0),)), gpu(1, state=(("1g.5gb", 0),))]
    made = plan(on, [gpus("a", 1), mig("b", "1g.5gb")], [model_container("b-1", "MIG-0-1")])
    assert given_out(made) == {"a-1": ["GPU-1"], "b-1": ["MIG-0-1"]}
    assert made.partition.actions == ["GPU 1: destroy 1g.5gb at 0", "GPU 1: disable MIG", "GPU 1: reset"]


def test_auto_gives_what_it_counted_on_and_not_what_lies_about_on_another_gpu() -> None:
    """An instance on GPU 0 that the layout does not ask for may be removed later."""
    on = [a30(0, (("1g.6gb", 0), ("1g.6gb", 1))), a30(1, (("1g.6gb", 0), ("1g.6gb", 2)))]
    made = plan(on, [mig("a", "1g.6gb"), mig("b", "1g.6gb")], [model_container("a-1", "MIG-1-1")])
    assert given_out(made) == {"a-1": ["MIG-1-1"], "b-1": ["MIG-1-2"]}


def test_auto_leaves_the_parts_of_two_instances_where_they_are_in_use() -> None:
    """Packed again, they would need only one."""
    divided = (instance(A100, "3g.20gb", 0, 1, [2, 1]), instance(A100, "3g.20gb", 4, 2, [2, 1]))
    on = [replace(gpu(0), instances=divided)]
    has = [model_container("a-1", "MIG-1-0"), model_container("b-1", "MIG-2-1")]
    made = plan(on, [mig("a", "2c.3g.20gb"), mig("b", "1c.3g.20gb")], has)
    assert {step.verb for step in made.partition.steps} == {"divide"}
    assert given_out(made) == {"a-1": ["MIG-1-0"], "b-1": ["MIG-2-1"]}


def test_auto_leaves_the_only_gpu_with_a_profile_to_the_model_that_asks_for_it() -> None:
    made = plan([off(0), off(1, A30)], [mig("a", "3g.20gb"), gpus("b", 1)])
    assert given_out(made)["b-1"] == ["GPU-1"]
    assert made.partition.actions[-1] == "GPU 0: create 3g.20gb at 4"


def test_auto_spares_what_another_container_uses() -> None:
    on = [gpu(0, state=(("1g.5gb", 0), ("1g.5gb", 1)))]
    made = plan(on, [mig("a", "3g.20gb")], [foreign_container("notebook", "MIG-0-1")])
    assert made.partition.actions == ["GPU 0: destroy 1g.5gb at 1", "GPU 0: create 3g.20gb at 4"]


def test_auto_without_room_says_for_whom_and_who_has_what() -> None:
    on = [gpu(0, state=(("3g.20gb", 0), ("3g.20gb", 4)))]
    has = [model_container("a-1", "MIG-0-1"), model_container("a-2", "MIG-0-2")]
    assert faults(plan, on, [mig("a", "3g.20gb", replicas=2), mig("b", "1g.5gb")], has) == [
        "fleet_models[1].devices.mig: fleet_mig: auto finds no room for a 1g.5gb for vllm-b-1",
        "Who has what:\n"
        "  GPU 0 (NVIDIA A100-SXM4-40GB), MIG\n"
        "    3g.20gb at 0                      vllm-a-1\n"
        "    3g.20gb at 4                      vllm-a-2",
    ]


# auto on GPUs whose profiles are not known until MIG is on


def unknown(index: int, kind: tuple[Profile, ...] = A100) -> Gpu:
    return replace(off(index, kind), profiles=())


@pytest.mark.parametrize(
    ("on", "profile", "home"),
    [
        ([unknown(0, A30), unknown(1)], "3g.20gb", 1),
        ([unknown(0, A30), unknown(1)], "1g.5gb", 1),
        ([unknown(0), unknown(1, A30)], "1g.6gb", 1),
        ([unknown(0), unknown(1, A30)], "1c.2g.12gb", 1),
        ([replace(unknown(0), memory=None), unknown(1)], "3g.20gb", 1),
    ],
)
def test_auto_tells_by_a_profiles_name_which_gpu_may_have_it(on: list[Gpu], profile: str, home: int) -> None:
    assert list(plan(on, [mig("a", profile)]).layout.devices) == [f"GPU-{home}"]


def test_auto_counts_on_one_media_extension_a_gpu() -> None:
    made = plan([unknown(0), unknown(1)], [mig("a", "1g.5gb+me", replicas=2)])
    assert made.layout.plain() == {"GPU-0": ["1g.5gb+me"], "GPU-1": ["1g.5gb+me"]}


def test_auto_passes_a_gpu_by_whose_mode_somebody_keeps_from_changing() -> None:
    process = OpenDevice(812, "Xorg", "0::/user.slice", frozenset({"GPU-0"}))
    for on in ([unknown(0), unknown(1)], [off(0), off(1)]):
        made = plan(on, [mig("a", "3g.20gb")], processes=[process])
        assert list(made.layout.devices) == ["GPU-1"]


# Always


NAMES = [*(profile.name for profile in (*A100, *A30)), "1c.3g.20gb", "2c.3g.20gb", "1c.2g.12gb", "1c.2g.10gb"]


@st.composite
def divided(draw: Any, one: GpuInstance, index: int) -> GpuInstance:
    """The same, or in parts, one of which may be missing."""
    most = sum(part.slices for part in one.compute)
    ways = {2: [(1, 1), (1,)], 3: [(2, 1), (1, 1, 1), (2,), ()], 4: [(2, 2), (1, 1)]}
    sizes = draw(st.sampled_from([None, None, *ways.get(most, [])]))
    if sizes is None:
        return one
    parts = instance([*A100, *A30], one.profile, one.start or 0, one.id or 0, sizes or [0]).compute
    named = [replace(part, uuid=f"MIG-{index}-{one.id}-{part.id}") for part in parts if part.slices]
    return replace(one, compute=tuple(named))


@st.composite
def hosts(draw: Any, largest: int = 4) -> list[Gpu]:
    """A100s and A30s, MIG on in any state or off, with profiles known while off or not."""
    found = []
    known = draw(st.booleans())
    for index in range(draw(st.integers(1, largest))):
        kind = draw(st.sampled_from([A100, A30]))
        if draw(st.booleans()):
            found.append(off(index, kind) if known else unknown(index, kind))
            continue
        state = draw(st.sampled_from(states(kind)))
        one = a30(index, state) if kind is A30 else gpu(index, state=state)
        parts = tuple(draw(divided(part, index)) for part in one.instances)
        found.append(replace(one, instances=parts))
    return found


@st.composite
def worlds(draw: Any, largest: int = 4) -> tuple[list[Gpu], list[dict[str, Any]], list[HostContainer]]:
    """GPUs; models of which some run on a MIG device, and others ask for one or for whole GPUs; and containers."""
    on = draw(hosts(largest))
    devices = [(uuid, name) for one in on for uuid, name in one.devices.items()]
    held = draw(st.lists(st.sampled_from(devices), unique=True, max_size=4)) if devices else []
    entries, has = [], []
    for number, (uuid, name) in enumerate(held):
        has.append(model_container(f"held{number}-1", uuid))
        if draw(st.integers(0, 9)):  # some models are gone from the inventory
            entries.append(mig(f"held{number}", name))
    for number in range(draw(st.integers(0, 3))):
        ask = draw(st.sampled_from([{"mig": name} for name in NAMES] + [{"gpus": 1}, {"gpus": 2}] * 3))
        entries.append(entry(name=f"new{number}", devices=ask))
    return on, entries, has


def test_auto_reaches_a_state_that_gives_everyone_a_device_and_that_it_then_leaves_alone() -> None:
    @settings(max_examples=100)
    @given(worlds())
    def check(world: tuple[list[Gpu], Entries, list[HostContainer]]) -> None:
        on, entries, has = world
        try:
            made = plan(on, entries, has)
        except FleetError:
            return
        outcomes.append(len(made.partition.steps))
        after = carried_out(made)
        again = plan(after, entries, has)
        assert again.partition.steps == ()
        check_given(again, after, entries)
        running = plan(after, entries, containers(again))
        assert (running.partition.steps, running.given, running.leaving) == ((), again.given, frozenset())

    outcomes: list[int] = []
    check()
    assert sum(steps > 0 for steps in outcomes) > 20  # it is not for want of cases that it holds


def check_given(made: DevicePlan, on: Sequence[Gpu], entries: Entries) -> None:
    """Every container has what it asks for, and no device has two holders."""
    names = {uuid: name for one in on for uuid, name in one.devices.items()}
    whole = {one.uuid for one in on if not one.mig}
    all_given = [device for devices in made.given.values() for device in devices]
    assert len(all_given) == len(set(all_given))
    for model in fleet(*entries).models:
        for name in model.containers:
            if model.devices.mig:
                assert [names[device] for device in made.given[name]] == [model.devices.mig]
            else:
                assert len(made.given[name]) == model.devices.count
                assert set(made.given[name]) <= whole


@given(worlds())
def test_auto_never_takes_a_device_from_a_model_that_keeps_it(
    world: tuple[list[Gpu], Entries, list[HostContainer]],
) -> None:
    on, entries, has = world
    try:
        made = plan(on, entries, has)
    except FleetError:
        return
    after = {uuid for one in made.partition.after for uuid in one.devices}
    for one in has:
        if any(model["name"] == one.model for model in entries):
            assert set(one.devices) <= after
            assert made.given[one.name] == one.devices
            assert f"stop container {one.name}" not in made.partition.actions


@given(worlds(), st.sampled_from([{"mig": name} for name in NAMES] + [{"gpus": 1}]))
def test_auto_leaves_the_others_alone_when_one_comes_and_when_it_goes(
    world: tuple[list[Gpu], list[dict[str, Any]], list[HostContainer]], ask: dict[str, Any]
) -> None:
    on, entries, has = world
    try:
        made = plan(on, entries, has)
        after = carried_out(made)
        has = containers(plan(after, entries, has))
        more = plan(after, [entry(name="one-more", devices=ask), *entries], has)
    except FleetError:
        return
    assert {name: more.given[name] for name in made.given} == {one.name: one.devices for one in has}
    larger = carried_out(more)
    fewer = plan(larger, entries, [*has, model_container("one-more-1", *more.given["vllm-one-more-1"])])
    assert fewer.given == {one.name: one.devices for one in has}


def can_hold(one: Gpu, devices: Iterable[Device], clients: Sequence[Client]) -> bool:
    known = replace(one, profiles=KINDS[one.name])
    try:
        plan_partition([known], Layout(devices={one.uuid: tuple(devices)}), clients)
    except FleetError:
        return False
    return True


def fits_somehow(on: Sequence[Gpu], entries: Entries, has: Sequence[HostContainer]) -> bool:
    """By trying every choice of whole GPUs and of GPUs for MIG devices, around the running containers."""
    stays = {device for one in has if any(model["name"] == one.model for model in entries) for device in one.devices}
    leaving = [one.name for one in has if not set(one.devices) & stays]
    clients = clients_of(on, has, (), leaving)
    kept: Mapping[str, list[Device]] = {
        one.uuid: [Device.parse(name, "") for uuid, name in one.devices.items() if uuid in stays] for one in on
    }
    asks = [entry["devices"] for entry in entries if f"vllm-{entry['name']}-1" not in [one.name for one in has]]
    asked = [Device.parse(ask["mig"], "") for ask in asks if "mig" in ask]
    needed = sum(ask.get("gpus", 0) for ask in asks)
    for whole in combinations([one for one in on if not kept[one.uuid]], needed):
        homes = [one for one in on if one not in whole]
        for choice in product(homes, repeat=len(asked)):
            wanted = {one.index: [*kept[one.uuid]] for one in homes}
            for home, device in zip(choice, asked, strict=True):
                wanted[home.index].append(device)
            if all(can_hold(one, wanted[one.index], clients) for one in homes if wanted[one.index]):
                return True
    return False


@settings(max_examples=150)
@given(worlds(largest=3))
def test_auto_refuses_only_what_fits_in_no_way_at_all(
    world: tuple[list[Gpu], Entries, list[HostContainer]],
) -> None:
    on, entries, has = world
    try:
        plan(on, entries, has)
    except FleetError:
        assert not fits_somehow(on, entries, has)

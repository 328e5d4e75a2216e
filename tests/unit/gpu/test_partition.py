"""From a layout to the changes of all GPUs of a host, and the clients to stop."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import PERSISTENCE, Client
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.gpu.partition import (
    Partition,
    plan_partition,
    starting_again,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import A30, A100, gpu, instance
from ansible_collections.inference.fleet.tests.unit.samples import faults

THREES = (("3g.20gb", 0), ("3g.20gb", 4))


def hopper(index: int = 0, **changes: Any) -> Gpu:
    return gpu(index, architecture="Hopper", name="NVIDIA H100 80GB HBM3", memory=81559, **changes)


def known(one: Gpu) -> Gpu:
    """Its profiles are listed though MIG is off, as newer drivers do."""
    return replace(one, profiles=A100)


def model(name: str, *devices: str, leaving: bool = False) -> Client:
    return Client(f"container vllm-{name}", frozenset(devices), f"vllm-{name}", model=True, leaving=leaving)


def foreign(name: str, *devices: str) -> Client:
    return Client(f"container {name}", frozenset(devices), name)


def dcgm(*devices: str) -> Client:
    return Client("nvidia-dcgm.service", frozenset(devices), unit="nvidia-dcgm.service", watcher=True)


def daemon(*devices: str) -> Client:
    return Client(PERSISTENCE, frozenset(devices), unit=PERSISTENCE)


def plan(on: Iterable[Gpu], layout: dict[Any, Any], clients: Sequence[Client] = (), force: bool = False) -> Partition:
    return plan_partition(tuple(on), Layout.parse(layout, "fleet_mig"), clients, force)


def actions(on: Gpu, devices: Any, clients: Sequence[Client] = (), force: bool = False) -> list[str]:
    """Of one GPU, without its name."""
    return [action.removeprefix("GPU 0: ") for action in plan([on], {0: devices}, clients, force).actions]


def refused(on: Gpu, devices: Any, clients: Sequence[Client] = (), force: bool = False) -> str:
    (fault,) = faults(plan, [on], {0: devices}, clients, force)
    return fault


# MIG mode


def test_ampere_changes_its_mode_by_a_reset() -> None:
    assert actions(gpu(mig=False), []) == ["enable MIG", "reset"]
    assert actions(gpu(), "off") == ["disable MIG", "reset"]


def test_hopper_changes_its_mode_at_once() -> None:
    assert actions(hopper(mig=False), []) == ["enable MIG"]
    assert actions(hopper(), "off") == ["disable MIG"]


def test_a_driver_that_does_not_tell_the_architecture_knows_only_gpus_that_are_reset() -> None:
    assert actions(gpu(architecture=None, mig=False), []) == ["enable MIG", "reset"]


def test_instances_go_before_the_mode_and_come_after_it() -> None:
    assert actions(gpu(state=THREES), "off") == [
        "destroy 3g.20gb at 0",
        "destroy 3g.20gb at 4",
        "disable MIG",
        "reset",
    ]
    assert actions(known(gpu(mig=False)), ["7g.40gb"]) == ["enable MIG", "reset", "create 7g.40gb at 0"]


@pytest.mark.parametrize(
    ("mig", "pending", "wanted", "expected"),
    [
        (False, True, [], ["reset"]),
        (False, True, "off", ["disable MIG"]),
        (True, False, [], ["enable MIG"]),
        (True, False, "off", ["reset"]),
        (True, True, [], []),
        (False, False, "off", []),
    ],
)
def test_a_pending_mode_is_finished_or_taken_back(mig: bool, pending: bool, wanted: Any, expected: list[str]) -> None:
    before = gpu(mig=mig, mig_pending=pending)
    assert actions(before, wanted) == expected
    (after,) = plan([before], {0: wanted}).after
    assert (after.mig, after.mig_pending) == (wanted == [], wanted == [])
    assert actions(after, wanted) == []


def test_a_mode_that_is_only_pending_is_taken_back_whoever_holds_the_gpu() -> None:
    clients = [foreign("x", "GPU-0")]
    assert actions(gpu(mig=False, mig_pending=True), "off", clients) == ["disable MIG"]
    assert actions(gpu(mig_pending=False), [], clients) == ["enable MIG"]


# Which GPUs


def test_a_gpu_without_mig_is_off_already_and_takes_no_layout() -> None:
    bare = gpu(mig=None, name="NVIDIA L40S")
    assert actions(bare, "off") == []
    assert refused(bare, []) == "fleet_mig.0: GPU 0 (NVIDIA L40S) has no MIG; leave it out, or give off"


def test_gpus_that_the_layout_does_not_name_stay_as_they_are() -> None:
    on = gpu(0, state=THREES), gpu(1, mig=False), gpu(2, mig_pending=False)
    made = plan(on, {2: []}, [daemon("GPU-0")])
    assert (made.actions, made.after[:2]) == (["GPU 2: enable MIG"], on[:2])


@pytest.mark.parametrize("key", ["7", "GPU-12345678"])
def test_a_gpu_that_is_not_there_is_reported_with_those_there_are(key: str) -> None:
    assert faults(plan, [gpu(0), gpu(1, A30, name="NVIDIA A30")], {key: []}) == [
        f"fleet_mig.{key}: no such GPU on this host; it has GPU 0 (NVIDIA A100-SXM4-40GB), GPU 1 (NVIDIA A30)"
    ]


def test_a_gpu_is_named_by_index_or_uuid_and_not_by_both() -> None:
    one = gpu(uuid="GPU-0069414c")
    assert plan([one], {"GPU-0069414c": ["7g.40gb"]}).actions == ["GPU 0: create 7g.40gb at 0"]
    assert faults(plan, [one], {0: [], "GPU-0069414c": []}) == [
        "fleet_mig.GPU-0069414c: GPU 0 (NVIDIA A100-SXM4-40GB) is named twice, by index and by UUID"
    ]


def test_all_means_every_gpu_with_mig_that_is_not_named_itself() -> None:
    on = [gpu(0), gpu(1), gpu(2, mig=None), hopper(3, mig=False)]
    made = plan(on, {"all": ["7g.40gb"], 1: ["4g.20gb"], 3: "off"})
    assert made.actions == ["GPU 0: create 7g.40gb at 0", "GPU 1: create 4g.20gb at 0"]


def test_all_without_any_gpu_that_has_mig_is_a_fault() -> None:
    assert faults(plan, [gpu(mig=None)], {"all": []}) == ["fleet_mig.all: no GPU of this host has MIG"]


def test_the_faults_of_all_gpus_are_reported_at_once_and_nothing_is_planned() -> None:
    on = [gpu(0), gpu(1, state=THREES), gpu(2, mig=False), gpu(3)]
    reported = faults(
        plan,
        on,
        {0: ["3g.40gb"], 1: ["7g.40gb"], 2: [], 3: ["1g.5gb"], 9: []},
        [model("a-1", "MIG-1-1"), foreign("x", "GPU-2")],
    )
    assert [fault.split(":")[0] for fault in reported] == ["fleet_mig.9", "GPU 0", "GPU 1", "GPU 2"]


# Profiles that are not known until MIG is on


def test_instances_are_planned_without_a_placement_while_profiles_are_unknown() -> None:
    made = plan([gpu(mig=False)], {0: ["1c.3g.20gb", "4g.20gb", "2c.3g.20gb"]})
    assert made.actions == [
        "GPU 0: enable MIG",
        "GPU 0: reset",
        "GPU 0: create 4g.20gb",
        "GPU 0: create 3g.20gb as 2c, 1c",
    ]
    assert made.after[0].instance_names() == ["4g.20gb", "3g.20gb as 2c, 1c"]


def test_a_gpu_of_the_same_product_tells_the_profiles() -> None:
    on = [gpu(0), gpu(1, mig=False), gpu(2, A30, name="NVIDIA A30", memory=24576, mig=False)]
    made = plan(on, {1: ["3g.20gb"], 2: ["2g.12gb"]})
    assert [action for action in made.actions if "create" in action] == [
        "GPU 1: create 3g.20gb at 4",
        "GPU 2: create 2g.12gb",
    ]


def test_the_same_name_with_other_memory_is_another_product() -> None:
    on = [gpu(0), gpu(1, mig=False, memory=81920)]
    assert plan(on, {1: ["3g.40gb"]}).actions[-1] == "GPU 1: create 3g.40gb"


def test_a_gpu_in_mig_mode_that_tells_no_profiles_is_a_fault() -> None:
    assert refused(gpu(profiles=()), ["3g.20gb"]) == (
        "GPU 0: nvidia-smi mig -lgip and -lgipp list no profile with a placement"
    )


@pytest.mark.parametrize("names", [["1g.5gb", "1g.5gb+me", "1g.10gb", "2g.10gb"], ["3g.20gb", "1c.4g.20gb"]])
def test_the_order_of_creation_does_not_depend_on_whether_the_profiles_are_known(names: list[str]) -> None:
    """A run that learns placements later continues with its plan."""
    orders = [
        [(step.profile, step.computes) for step in plan([one], {0: names}).steps if step.verb == "create"]
        for one in (gpu(mig=False), known(gpu(mig=False)))
    ]
    assert orders[0] == orders[1]


# What is held


def test_an_instance_in_use_is_not_taken_and_its_clients_are_named() -> None:
    clients = [model("a-1", "MIG-0-1"), foreign("notebook", "MIG-0-2")]
    assert refused(gpu(state=THREES), ["7g.40gb"], clients) == (
        "GPU 0: 7g.40gb: in the way and in use: 3g.20gb at 0 (container vllm-a-1); "
        "3g.20gb at 4 (container notebook). Stop or move what holds them, or ask for a layout that keeps them"
        "; force (-e mig_force=true) stops and starts models itself"
    )


def test_force_is_not_offered_where_it_would_not_help() -> None:
    reported = refused(gpu(state=THREES), "off", [foreign("notebook", "MIG-0-2")])
    assert reported.endswith("3g.20gb at 4 (container notebook). Stop or move what holds them, "
                         "or ask for a layout that keeps them")  # fmt: skip
    reported = refused(gpu(mig=False), [], [foreign("notebook", "GPU-0")])
    assert reported == (
        "GPU 0: MIG mode needs a reset, which works only while nothing holds the GPU; "
        "it is held by container notebook. Stop these and run again"
    )


def test_a_held_gpu_keeps_its_mode_and_its_clients_are_named() -> None:
    clients = [model("a-1", "GPU-0"), dcgm("GPU-0"), Client("Xorg (PID 812)", frozenset({"GPU-0"}))]
    assert refused(gpu(mig=False), [], clients) == (
        "GPU 0: MIG mode needs a reset, which works only while nothing holds the GPU; it is held by "
        "container vllm-a-1, nvidia-dcgm.service, Xorg (PID 812). Stop these and run again; "
        "force (-e mig_force=true) stops and starts models and DCGM itself"
    )
    assert refused(hopper(mig=False), [], clients[1:2]) == (
        "GPU 0: MIG mode is changed, which works only while nothing holds the GPU; it is held by nvidia-dcgm.service. "
        "Stop these and run again; force (-e mig_force=true) stops and starts models and DCGM itself"
    )


def test_with_force_only_those_that_it_does_not_stop_are_in_the_way() -> None:
    clients = [model("a-1", "GPU-0"), dcgm("GPU-0"), Client("Xorg (PID 812)", frozenset({"GPU-0"}))]
    assert refused(gpu(mig=False), [], clients, force=True).endswith(
        "it is held by Xorg (PID 812). Stop these and run again"
    )


def test_clients_of_other_gpus_are_in_nobodys_way() -> None:
    assert actions(gpu(mig=False), [], [foreign("x", "GPU-1"), model("a-1", "MIG-1-1")]) == ["enable MIG", "reset"]


# What is stopped


def test_the_persistence_daemon_is_stopped_around_a_change_of_mode_without_being_asked() -> None:
    expected = [f"stop {PERSISTENCE}", "enable MIG", "reset", f"start {PERSISTENCE}"]
    assert actions(gpu(mig=False), [], [daemon("GPU-0")]) == expected
    assert actions(gpu(), ["7g.40gb"], [daemon("GPU-0")]) == ["create 7g.40gb at 0"]


def test_a_daemon_that_holds_every_gpu_is_stopped_once() -> None:
    made = plan([gpu(0, mig=False), gpu(1, mig=False)], {"all": []}, [daemon("GPU-0", "GPU-1")])
    assert [action for action in made.actions if PERSISTENCE in action] == [
        f"stop {PERSISTENCE}",
        f"start {PERSISTENCE}",
    ]


def test_force_stops_the_models_in_the_way_and_starts_those_that_keep_their_device() -> None:
    clients = [model("a-1", "MIG-0-1"), model("b-1", "MIG-0-2"), model("c-1", "MIG-0-3")]
    state = (("1g.5gb", 0), ("1g.5gb", 1), ("3g.20gb", 4))
    assert actions(gpu(state=state), ["4g.20gb", "3g.20gb"], clients, force=True) == [
        "stop container vllm-a-1",
        "stop container vllm-b-1",
        "destroy 1g.5gb at 0",
        "destroy 1g.5gb at 1",
        "create 4g.20gb at 0",
    ]


def test_force_takes_no_instance_that_need_not_go() -> None:
    state = (("1g.5gb", 0), ("1g.5gb", 1))
    clients = [model("a-1", "MIG-0-1"), model("b-1", "MIG-0-2")]
    assert actions(gpu(state=state), ["1g.5gb"], clients[:1], force=True) == ["destroy 1g.5gb at 1"]
    assert actions(gpu(state=state), ["1g.5gb", "1g.5gb"], clients, force=True) == []


def test_force_leaves_parts_in_use_where_they_are() -> None:
    """Packed again, they would need one instance less."""
    halves = (instance(A100, "3g.20gb", 0, 1, [2]), instance(A100, "3g.20gb", 4, 2, [1]))
    clients = [model("a-1", "MIG-1-0"), model("b-1", "MIG-2-0")]
    for force in (False, True):
        assert actions(replace(gpu(), instances=halves), ["2c.3g.20gb", "1c.3g.20gb"], clients, force) == []


def test_force_stops_a_model_on_a_whole_gpu_for_good_where_that_gpu_is_partitioned() -> None:
    assert actions(gpu(mig=False), [], [model("a-1", "GPU-0")], force=True) == [
        "stop container vllm-a-1",
        "enable MIG",
        "reset",
    ]


def test_force_stops_watchers_for_whatever_is_taken_and_starts_them_again() -> None:
    watcher = dcgm("GPU-0")
    assert actions(gpu(state=THREES), ["3g.20gb"], [watcher], force=True) == [
        "stop nvidia-dcgm.service",
        "destroy 3g.20gb at 0",
        "start nvidia-dcgm.service",
    ]
    assert actions(gpu(), ["7g.40gb"], [watcher], force=True) == ["create 7g.40gb at 0"]


def test_our_own_exporter_is_stopped_and_started_around_a_change_without_force() -> None:
    exporter = Client("container dcgm-exporter", frozenset({"GPU-0"}), "dcgm-exporter", watcher=True, own=True)
    assert actions(gpu(mig=False), ["7g.40gb"], [exporter])[:2] == ["stop container dcgm-exporter", "enable MIG"]
    assert actions(gpu(mig=False), ["7g.40gb"], [exporter])[-1] == "start container dcgm-exporter"
    assert actions(gpu(state=THREES), ["3g.20gb"], [exporter]) == [
        "stop container dcgm-exporter",
        "destroy 3g.20gb at 0",
        "start container dcgm-exporter",
    ]


def test_watchers_are_not_counted_as_holders_of_instances() -> None:
    exporter = Client("container dcgm-exporter", frozenset({"GPU-0", "MIG-0-1"}), "dcgm-exporter", watcher=True)
    assert actions(gpu(state=THREES[:1]), [], [exporter]) == ["destroy 3g.20gb at 0"]


def test_a_model_that_leaves_is_stopped_without_force_and_not_started() -> None:
    clients = [model("a-1", "MIG-0-1", leaving=True)]
    assert actions(gpu(state=THREES), ["4g.20gb", "3g.20gb"], clients) == [
        "stop container vllm-a-1",
        "destroy 3g.20gb at 0",
        "create 4g.20gb at 0",
    ]
    assert actions(gpu(mig=False), [], [model("a-1", "GPU-0", leaving=True)])[0] == "stop container vllm-a-1"


def test_a_model_that_leaves_and_is_in_nobodys_way_is_not_stopped() -> None:
    assert actions(gpu(state=THREES), ["3g.20gb", "3g.20gb"], [model("a-1", "MIG-0-1", leaving=True)]) == []


def test_other_containers_are_never_stopped() -> None:
    clients = [foreign("x", "MIG-0-1")]
    assert refused(gpu(state=THREES), "off", clients, force=True).startswith(
        "GPU 0: no instances: in the way and in use: 3g.20gb at 0 (container x). "
    )


# What is started again


def test_a_model_is_started_again_while_all_its_devices_are_there() -> None:
    """A container on a MIG device also has the GPU's own node open."""
    on = [gpu(0, state=(("3g.20gb", 4),)), gpu(1, mig=False)]
    back = [model("a-1", "MIG-0-1", "GPU-0"), model("b-1", "GPU-1"), dcgm("GPU-9"), foreign("x", "GPU-1")]
    gone = [
        model("c-1", "MIG-0-2"),
        model("d-1", "GPU-1", "GPU-2"),
        model("e-1", "GPU-0"),
        model("f-1", "GPU-1", leaving=True),
    ]
    assert starting_again([*back, *gone], on) == back


# How the GPUs will be


def test_what_is_to_be_made_has_names_that_no_two_share() -> None:
    made = plan([gpu(0), gpu(1)], {"all": ["3g.20gb", "1c.3g.20gb", "1c.3g.20gb"]})
    devices = [uuid for one in made.after for uuid in one.devices]
    assert len(set(devices)) == len(devices) == 6


def test_an_instance_that_only_loses_parts_gets_no_new_ones() -> None:
    on = replace(gpu(), instances=(instance(A100, "3g.20gb", 4, 1, [1, 1, 1]),))
    made = plan([on], {0: ["1c.3g.20gb"]}, [model("a-1", "MIG-1-1")])
    assert made.actions == ["GPU 0: divide 3g.20gb at 4"]
    assert made.after[0].devices == {"MIG-1-1": "1c.3g.20gb"}

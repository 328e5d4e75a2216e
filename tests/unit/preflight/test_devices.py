"""The checks of partitioning and placement of GPUs, before any change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import scope
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import faults_of
from ansible_collections.inference.fleet.plugins.module_utils.preflight.devices import device_checks
from ansible_collections.inference.fleet.plugins.module_utils.report.table import check_lines
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import gpu
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

SLICED = gpu(0, state=(("3g.20gb", 4),))
WHOLE = gpu(1, mig=False)
LABELS = {"managed-by": "inference.fleet", "model-name": "half"}
RUNNING = HostContainer("1", "vllm-half-1", "vllm", True, LABELS, ("MIG-0-1",))


def checked(
    *entries: dict[str, Any], gpus: tuple[Gpu, ...] = (SLICED, WHOLE), force: bool = False, **variables: Any
) -> Any:
    asked = fleet(*entries, **variables)
    return device_checks(DeviceRequest(asked, gpus, [RUNNING], scope(asked, None), prune=True, force=force))


HALF = entry(name="half", devices={"mig": "3g.20gb"})


def test_what_install_would_do_to_the_gpus_is_reported() -> None:
    plan, checks = checked(HALF, mig={0: ["3g.20gb", "4g.20gb"]})
    assert faults_of(checks) == []
    assert [str(step) for step in plan.partition.steps] == ["GPU 0: create 4g.20gb at 0"]
    assert check_lines([check.as_dict() for check in checks]) == [
        "install  mig   GPU 0: create 4g.20gb at 0; install does it before the models",
        "ok       gpus  there is a device for each of vllm-half-1",
    ]


def test_a_fault_of_the_layout_is_one_line_and_leaves_no_plan() -> None:
    plan, checks = checked(HALF, mig={0: ["7g.40gb"]})
    assert plan.partition.steps == ()
    (fault,) = faults_of(checks)
    assert fault.startswith("GPU 0: 7g.40gb: in the way and in use: 3g.20gb at 4 (container vllm-half-1).")


def test_where_a_gpu_is_lost_the_others_are_partitioned_all_the_same() -> None:
    layout = {0: ["3g.20gb", "4g.20gb"], 1: ["7g.40gb"]}
    plan, checks = checked(HALF, mig=layout, gpus=(SLICED,))
    assert faults_of(checks) == [f"fleet_mig.1: no such GPU on this host; it has {SLICED}"]
    assert plan.layout.plain() == {"0": ["3g.20gb", "4g.20gb"]}


def test_a_gpu_that_moved_up_an_index_is_left_to_who_has_it_as_a_whole() -> None:
    moved = replace(WHOLE, index=0)
    owner = replace(RUNNING, name="vllm-big-1", devices=(WHOLE.uuid,))
    asked = fleet(entry(name="big", devices={"gpus": 1}), mig={0: ["3g.20gb"], 1: "off"})
    plan, checks = device_checks(DeviceRequest(asked, (moved,), [owner], scope(asked, None), prune=True))
    assert faults_of(checks)
    assert plan.layout.plain() == {}


def test_a_full_host_is_reported_with_its_table() -> None:
    _plan, checks = checked(HALF, entry(name="big", devices={"gpus": 2}), mig={0: ["3g.20gb"]})
    assert faults_of(checks) == [
        "fleet_models[1].devices.gpus: vllm-big-1 asks for 2 GPUs; free: 1 of 2, partitioned by MIG: 1",
        "Who has what:",
        "  GPU 0 (NVIDIA A100-SXM4-40GB), MIG",
        "    3g.20gb at 4                      vllm-half-1",
        "  GPU 1 (NVIDIA A100-SXM4-40GB)       free",
    ]


def test_a_model_that_is_about_to_go_does_not_stand_in_the_way() -> None:
    plan, checks = checked(entry(name="all", devices={"mig": "7g.40gb"}), mig={0: ["7g.40gb"]})
    assert faults_of(checks) == []
    assert plan.leaving == {"vllm-half-1"}


def test_force_lets_a_running_model_be_moved() -> None:
    only = (gpu(0, state=(("3g.20gb", 0),)),)
    layout = {"gpus": only, "mig": {0: ["4g.20gb", "3g.20gb"]}}
    assert faults_of(checked(HALF, **layout)[1])
    plan, checks = checked(HALF, force=True, **layout)
    assert faults_of(checks) == []
    assert [client.container for client in plan.partition.stops] == ["vllm-half-1"]

"""inference.fleet.mig_partition: the whole module, on simulated GPUs and their holders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import PERSISTENCE
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import NvidiaSmi
from ansible_collections.inference.fleet.plugins.module_utils.gpu.partition import plan_partition
from ansible_collections.inference.fleet.plugins.module_utils.gpu.repartition import repartition
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import mig_partition
from ansible_collections.inference.fleet.tests.unit.gpu.hosts import Host, hosting
from ansible_collections.inference.fleet.tests.unit.gpu.machines import Machine, Runner, smi_of
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import A30 as A30_PROFILES
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import A100 as A100_PROFILES
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import multisets
from ansible_collections.inference.fleet.tests.unit.gpu.tenants import foreign_container, model_container
from ansible_collections.inference.fleet.tests.unit.running import Module
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

A100, A30, H100 = "A100-SXM4-40GB", "A30", "H100-SXM5-80GB"
Run = Callable[..., dict[str, Any]]
Hosts = Callable[..., Host]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hosts]:
    """A host with these GPUs."""
    with ExitStack() as opened:

        def host(*gpus: Any, driver: str = "550.90.07", on: tuple[int, ...] = (), **hardware: Any) -> Host:
            machine = Machine(tmp_path, driver=driver, gpus=list(gpus), **hardware)
            for gpu in on:
                machine.mig(gpu)
            return opened.enter_context(hosting(machine, monkeypatch))

        yield host


@pytest.fixture
def host(make: Hosts) -> Host:
    """One A100 in MIG mode."""
    return make(A100, on=(0,))


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    module = Module(mig_partition.main, capsys)
    return lambda layout, **options: module(layout=layout, **options)


def uuids(answer: dict[str, Any], name: str) -> list[str]:
    return [one["uuid"] for one in answer["devices"] if one["name"] == name]


def actions(answer: dict[str, Any]) -> list[str]:
    """Without the name of the first GPU."""
    return [action.removeprefix("GPU 0: ") for action in answer["actions"]]


def state(host: Host) -> tuple[list[Any], set[str]]:
    """The state that a refusal must not change."""
    return [gpu.instance_names() if gpu.mig else gpu.mig_pending for gpu in smi_of(host.machine).observe().gpus], (
        host.running()
    )


def settled(run: Run, layout: dict[Any, Any], **options: Any) -> dict[str, Any]:
    """A run that changes nothing, with the same result in check mode."""
    for check in (True, False):
        answer = run(layout, check=check, **options)
        assert (answer["changed"], answer["actions"], answer["diff"]["before"]) == (False, [], answer["diff"]["after"])
    return answer


# Created devices and results


def test_makes_the_layout_and_then_has_nothing_to_do(host: Host, run: Run) -> None:
    answer = run({0: ["1g.5gb", "3g.20gb", "2g.10gb", "1g.5gb"]})
    assert (answer["changed"], answer["before"]) == (True, {"0": []})
    assert answer["after"] == {"0": ["2g.10gb at 0", "1g.5gb at 2", "1g.5gb at 3", "3g.20gb at 4"]}
    assert answer["diff"] == {
        "before": "",
        "after": "GPU 0: 2g.10gb at 0\nGPU 0: 1g.5gb at 2\nGPU 0: 1g.5gb at 3\nGPU 0: 3g.20gb at 4\n",
    }
    assert settled(run, {0: ["3g.20gb", "2g.10gb", "1g.5gb", "1g.5gb"]})["devices"] == answer["devices"]


def test_returns_each_device_with_its_gpu_profile_and_placement(make: Hosts, run: Run) -> None:
    host = make(A30, A100, on=(0, 1))
    answer = run({0: ["2g.12gb"], 1: ["3g.20gb", "1c.3g.20gb", "2c.3g.20gb"]})
    listed = re.findall(r"MIG (\S+) +Device +\d+: \(UUID: (\S+)\)", host.machine.ok("-L"))
    assert sorted((one["name"], one["uuid"]) for one in answer["devices"]) == sorted(listed)
    assert [(one["gpu"], one["profile"], one["start"], one["name"]) for one in answer["devices"]] == [
        (0, "2g.12gb", 0, "2g.12gb"),
        (1, "3g.20gb", 0, "2c.3g.20gb"),
        (1, "3g.20gb", 0, "1c.3g.20gb"),
        (1, "3g.20gb", 4, "3g.20gb"),
    ]
    assert {one["gpu"]: one["gpu_uuid"] for one in answer["devices"]} == {
        gpu.index: gpu.uuid for gpu in smi_of(host.machine).observe().gpus
    }


def test_uuids_of_the_old_form_are_returned_as_they_are(make: Hosts, run: Run) -> None:
    make({"kind": A100, "uuid": "GPU-0069414c-9f30-41f9-d5d8-87890423f0c4"}, driver="450.80.02", on=(0,))
    answer = run({0: ["3g.20gb", "1g.5gb"]})
    assert all(
        re.fullmatch(r"MIG-GPU-0069414c-9f30-41f9-d5d8-87890423f0c4/\d+/0", one["uuid"]) for one in answer["devices"]
    )
    assert len(answer["devices"]) == 2
    settled(run, {0: ["3g.20gb", "1g.5gb"]})


def test_check_mode_has_no_uuid_for_what_is_to_be_made(host: Host, run: Run) -> None:
    (kept,) = uuids(run({0: ["1g.5gb"]}), "1g.5gb")
    answer = run({0: ["1g.5gb", "3g.20gb"]}, check=True)
    assert [(one["name"], one["uuid"]) for one in answer["devices"]] == [("3g.20gb", None), ("1g.5gb", kept)]


def test_what_is_there_already_keeps_its_uuid(host: Host, run: Run) -> None:
    (kept,) = uuids(run({0: ["1g.5gb", "3g.20gb"]}), "3g.20gb")
    assert uuids(run({0: ["4g.20gb", "3g.20gb"]}), "3g.20gb") == [kept]


TRANSITIONS: list[list[dict[Any, Any]]] = [
    [{0: ["1g.5gb"] * 7}, {0: ["3g.20gb", "1g.5gb"]}, {0: []}],
    [{0: ["3g.20gb", "3g.20gb"]}, {0: ["4g.20gb", "1c.3g.20gb", "1c.3g.20gb"]}, {0: ["1c.3g.20gb"]}],
    [{"all": ["2c.4g.20gb", "2c.4g.20gb"], 1: []}, {0: ["4g.20gb"], 1: ["2g.12gb+me", "2g.12gb"]}, {1: "off"}],
    [{0: "off", 1: "off"}, {"all": ["1g.6gb+me"], 0: ["1g.5gb+me", "1g.10gb", "2g.10gb", "1g.5gb"]}],
]


@pytest.mark.parametrize("layouts", TRANSITIONS)
def test_check_mode_promises_exactly_what_the_run_then_does(
    make: Hosts, run: Run, layouts: list[dict[Any, Any]]
) -> None:
    host = make(A100, A30, on=(0, 1))
    for layout in layouts:
        before = state(host)
        promised = run(layout, check=True)
        assert state(host) == before
        done = run(layout)
        for part in ("changed", "actions", "diff", "before", "after"):
            assert done[part] == promised[part]
        settled(run, layout)


# MIG mode


@pytest.mark.parametrize(
    ("kind", "driver", "switch", "placed"),
    [
        (A100, "450.80.02", ["enable MIG", "reset"], False),
        (A100, "510.47.03", ["enable MIG", "reset"], False),
        (A100, "550.90.07", ["enable MIG", "reset"], True),
        (H100, "535.183.01", ["enable MIG"], False),
        (H100, "580.173.02", ["enable MIG"], True),
    ],
)
def test_mig_is_switched_on_and_off_whether_or_not_the_driver_lists_profiles_before(
    make: Hosts, run: Run, kind: str, driver: str, switch: list[str], placed: bool
) -> None:
    make(kind, driver=driver)
    wanted = ["1g.5gb", "2g.10gb", "2c.3g.20gb"] if kind == A100 else ["1g.10gb+me", "1g.10gb", "3g.40gb"]
    promised, done = run({0: wanted}, check=True), run({0: wanted})
    assert actions(promised)[: len(switch)] == switch
    assert (done["actions"], done["before"]) == (promised["actions"], {"0": "off"})
    assert all(" at " in action for action in done["actions"] if "create" in action) == placed
    assert (done["diff"] == promised["diff"]) == placed
    assert sorted(one["name"] for one in done["devices"]) == sorted(wanted)
    settled(run, {0: wanted})
    off = run({0: "off"})
    assert (off["after"], off["devices"]) == ({"0": "off"}, [])
    assert actions(off)[-len(switch) :] == [step.replace("enable", "disable") for step in switch]
    settled(run, {0: "off"})


def test_placements_that_are_unknown_before_are_planned_once(
    make: Hosts, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    host = make(A100, driver="510.47.03")
    told = Runner(host.machine)
    monkeypatch.setattr(mig_partition, "NvidiaSmi", lambda: NvidiaSmi("/usr/bin/nvidia-smi", told))
    run({0: ["1g.5gb"] * 7})
    assert told.asked.count("-q -x") == 3  # before, between, after


def test_a_profile_that_turns_out_not_to_be_there_is_told_and_mig_stays_on(make: Hosts, run: Run) -> None:
    make(A100, driver="510.47.03")
    answer = run({0: ["3g.40gb"]})
    assert answer["failed"] and answer["changed"]
    assert answer["msg"].splitlines() == [
        'GPU 0: 3g.40gb: "3g.40gb" is not a profile of this GPU; '
        "it has 1g.5gb, 1g.5gb+me, 2g.10gb, 3g.20gb, 4g.20gb, 7g.40gb. The nearest that fits: 3g.20gb",
        "done: GPU 0: enable MIG; GPU 0: reset",
        "not done: GPU 0: create 3g.40gb",
    ]
    assert actions(run({0: ["3g.20gb"]})) == ["create 3g.20gb at 4"]


def test_ampere_that_changes_at_once_is_not_reset(make: Hosts, run: Run) -> None:
    make(A30, mig_mode_change="immediate")
    assert run({0: ["4g.24gb"]})["after"] == {"0": ["4g.24gb at 0"]}
    settled(run, {0: ["4g.24gb"]})


def test_a_mode_that_somebody_left_pending_is_put_in_force(make: Hosts, run: Run) -> None:
    host = make(A30)
    host.machine.ok("-mig 1")
    assert actions(run({0: ["4g.24gb"]})) == ["reset", "create 4g.24gb at 0"]


def test_instances_that_a_reboot_took_are_made_anew(host: Host, run: Run) -> None:
    answer = run({0: ["3g.20gb", "1g.5gb"]})
    host.machine.reboot()
    again = run({0: ["3g.20gb", "1g.5gb"]})
    assert (again["after"], again["before"]) == (answer["after"], {"0": []})


# Held devices


def test_what_a_container_holds_stays_when_the_rest_changes(host: Host, run: Run) -> None:
    held, _other = uuids(run({0: ["3g.20gb", "3g.20gb"]}), "3g.20gb")
    host.run(foreign_container("notebook", held))
    answer = run({0: ["3g.20gb", "2g.10gb", "1g.5gb"]})
    assert uuids(answer, "3g.20gb") == [held]
    assert host.journal == []


@pytest.mark.parametrize("force", [False, True])
def test_a_layout_that_would_take_a_held_instance_changes_nothing_on_any_gpu(
    make: Hosts, run: Run, force: bool
) -> None:
    host = make(A30, A100, on=(0, 1))
    (held,) = uuids(run({1: ["3g.20gb"]}), "3g.20gb")
    host.run(foreign_container("notebook", held))
    before = state(host)
    answer = run({0: ["4g.24gb"], 1: ["7g.40gb"]}, force=force)
    assert answer["msg"] == (
        "GPU 1: 7g.40gb: in the way and in use: 3g.20gb at 4 (container notebook). "
        "Stop or move what holds them, or ask for a layout that keeps them"
    )
    assert (answer["failed"], "changed" in answer and answer["changed"]) == (True, False)
    assert (state(host), host.journal) == (before, [])
    assert run({0: ["4g.24gb"], 1: ["7g.40gb"]}, force=force, check=True)["msg"] == answer["msg"]


def test_a_process_that_holds_the_gpu_keeps_its_mode(make: Hosts, run: Run) -> None:
    host = make(A100)
    host.run(foreign_container("notebook", "0"))
    answer = run({0: ["7g.40gb"]})
    assert answer["msg"] == (
        "GPU 0: MIG mode needs a reset, which works only while nothing holds the GPU; "
        "it is held by container notebook. Stop these and run again"
    )
    host.stop("notebook")
    assert run({0: ["7g.40gb"]})["after"] == {"0": ["7g.40gb at 0"]}


def test_the_persistence_daemon_is_stopped_around_a_reset(make: Hosts, run: Run) -> None:
    host = make(A30)
    host.serve(PERSISTENCE, 0)
    promised, done = run({0: ["4g.24gb"]}, check=True), run({0: ["4g.24gb"]})
    assert done["actions"] == promised["actions"]
    assert host.journal == [f"stop {PERSISTENCE}", f"start {PERSISTENCE}"]
    assert host.running() == {PERSISTENCE}


# Leaving and force


def test_a_model_that_leaves_is_stopped_and_not_started(host: Host, run: Run) -> None:
    held, other = uuids(run({0: ["3g.20gb", "3g.20gb"]}), "3g.20gb")
    host.run(model_container("a-1", held))
    host.run(model_container("b-1", other))
    answer = run({0: ["4g.20gb", "3g.20gb"]}, leaving=["vllm-a-1"])
    assert actions(answer) == ["stop container vllm-a-1", "destroy 3g.20gb at 0", "create 4g.20gb at 0"]
    assert (host.journal, uuids(answer, "3g.20gb")) == (["stop vllm-a-1"], [other])


def test_force_stops_what_is_in_the_way_and_starts_what_keeps_its_device(make: Hosts, run: Run) -> None:
    host = make(A100, A30, on=(0,))
    (held,) = uuids(run({0: ["3g.20gb"]}), "3g.20gb")
    host.run(model_container("a-1", held))
    host.run(model_container("b-1", "1"))
    host.serve("nvidia-dcgm.service", 0, 1)
    layout = {0: ["7g.40gb"], 1: "off"}
    assert "; force (-e mig_force=true) stops and starts models itself" in run(layout)["msg"]
    promised, done = run(layout, force=True, check=True), run(layout, force=True)
    assert done["actions"] == promised["actions"]
    assert host.journal == ["stop vllm-a-1", "stop nvidia-dcgm.service", "start nvidia-dcgm.service"]
    assert done["not_done"] == ["start container vllm-a-1 (its device is gone; model_containers recreates it)"]
    settled(run, layout, force=True)


def test_force_starts_a_model_whose_gpu_only_changed_its_mode_back(make: Hosts, run: Run) -> None:
    """A reset applies the pending MIG mode; the GPU is whole afterwards, as before."""
    host = make(A100, on=(0,))
    host.machine.ok("-i 0 -mig 0")
    host.run(model_container("a-1", "0"))
    done = run({0: "off"}, force=True)
    assert host.journal == ["stop vllm-a-1", "start vllm-a-1"]
    assert actions(done) == ["stop container vllm-a-1", "reset", "start container vllm-a-1"]


def test_an_instance_of_another_profile_in_the_same_place_is_not_the_one_that_a_model_had(host: Host, run: Run) -> None:
    """The new device may have the same UUID."""
    held = uuids(run({0: ["3g.20gb", "3g.20gb"]}), "3g.20gb")[0]
    host.run(model_container("a-1", held))
    layout = {0: ["4g.20gb"]}
    promised, done = run(layout, force=True, check=True), run(layout, force=True)
    assert uuids(done, "4g.20gb") == [held]
    assert done["actions"] == promised["actions"]
    assert host.journal == ["stop vllm-a-1"]


# Failures


def test_a_step_that_fails_leaves_what_was_made_and_the_other_gpus_get_their_turn(make: Hosts, run: Run) -> None:
    host = make(A100, A30, on=(0, 1))
    layout = {0: ["3g.20gb", "2g.10gb", "1g.5gb"], 1: ["2g.12gb"]}
    host.machine.fault(
        fail=[{"match": "mig -i 0 -cgi", "after": 1, "times": 1, "code": 23, "message": "Insufficient Resources"}]
    )
    answer = run(layout)
    assert answer["msg"].splitlines() == [
        "nvidia-smi mig -i 0 -cgi 14:0 -C: ended with 23: Insufficient Resources; "
        "the instances on the GPU changed after they were read: run again",
        "done: GPU 0: create 3g.20gb at 4; GPU 1: create 2g.12gb at 0",
        "not done: GPU 0: create 2g.10gb at 0; GPU 0: create 1g.5gb at 2",
    ]
    assert (answer["failed"], answer["changed"]) == (True, True)
    assert answer["actions"] == ["GPU 0: create 3g.20gb at 4", "GPU 1: create 2g.12gb at 0"]
    assert answer["not_done"] == ["GPU 0: create 2g.10gb at 0", "GPU 0: create 1g.5gb at 2"]
    assert answer["diff"]["after"] == "GPU 0: 3g.20gb at 4\nGPU 1: 2g.12gb at 0\n"
    again = run(layout)
    assert actions(again) == ["create 2g.10gb at 0", "create 1g.5gb at 2"]
    settled(run, layout)


@pytest.mark.parametrize("match", ["-cci", "-dgi", "-dci"])
def test_a_step_that_did_half_of_its_work_counts_as_a_change_and_the_next_run_goes_on(
    host: Host, run: Run, match: str
) -> None:
    run({0: ["3g.20gb", "1g.5gb"]})
    layout = {0: ["1c.3g.20gb", "2c.3g.20gb"]}
    host.machine.fault(fail=[{"match": match, "times": 1, "message": "Unknown Error"}])
    answer = run(layout)
    assert (answer["failed"], answer["changed"]) == (True, answer["diff"]["before"] != answer["diff"]["after"])
    assert answer["changed"] == (match != "-dci")
    assert run(layout)["after"] == {"0": ["3g.20gb at 4 as 2c, 1c"]}
    settled(run, layout)


def test_a_reset_that_fails_says_that_a_reboot_does_it_too(make: Hosts, run: Run) -> None:
    host = make(A30)
    host.machine.fault(fail=[{"match": "--gpu-reset", "times": 1, "message": "Unknown Error"}])
    answer = run({0: ["4g.24gb"]})
    assert answer["msg"].splitlines() == [
        "nvidia-smi -i 0 --gpu-reset: ended with 255: Unknown Error; "
        "MIG mode is pending on GPU 0: a reboot also applies it",
        "done: GPU 0: enable MIG",
        "not done: GPU 0: reset; GPU 0: create 4g.24gb at 0",
    ]
    host.machine.reboot()
    assert actions(run({0: ["4g.24gb"]})) == ["create 4g.24gb at 0"]


def test_what_was_stopped_is_started_again_after_a_failure(make: Hosts, run: Run) -> None:
    host = make(A30)
    host.serve(PERSISTENCE, 0)
    host.machine.fault(fail=[{"match": "-mig 1", "message": "Unknown Error"}])
    answer = run({0: []})
    assert answer["msg"].splitlines()[-2:] == [
        f"done: stop {PERSISTENCE}; start {PERSISTENCE}",
        "not done: GPU 0: enable MIG; GPU 0: reset",
    ]
    assert host.running() == {PERSISTENCE}


def test_a_model_whose_instance_a_failed_step_left_is_started_again(host: Host, run: Run) -> None:
    (held,) = uuids(run({0: ["3g.20gb"]}), "3g.20gb")
    host.run(model_container("a-1", held))
    host.machine.fault(fail=[{"match": "-dci", "message": "Unknown Error"}])
    assert run({0: ["7g.40gb"]}, force=True)["failed"]
    assert host.journal == ["stop vllm-a-1", "start vllm-a-1"]


def test_what_does_not_stop_keeps_every_gpu_as_it_is(make: Hosts, run: Run) -> None:
    host = make(A30, A100, on=(1,))
    host.serve(PERSISTENCE, 0)
    host.serve("nvidia-dcgm.service", 0)
    host.fails["stop nvidia-dcgm.service"] = "Job failed"
    answer = run({0: [], 1: ["7g.40gb"]}, force=True)
    assert answer["msg"].splitlines() == [
        "systemctl stop nvidia-dcgm.service: Job failed",
        f"done: stop {PERSISTENCE}; start {PERSISTENCE}",
        "not done: stop nvidia-dcgm.service; GPU 0: enable MIG; GPU 0: reset; GPU 1: create 7g.40gb at 0",
    ]
    assert state(host) == ([False, []], {PERSISTENCE, "nvidia-dcgm.service"})


def test_what_does_not_start_again_is_told_after_the_work_is_done(make: Hosts, run: Run) -> None:
    host = make(A30)
    host.serve(PERSISTENCE, 0)
    host.fails[f"start {PERSISTENCE}"] = "Job failed"
    answer = run({0: []})
    assert answer["msg"].splitlines() == [
        f"systemctl start {PERSISTENCE}: Job failed",
        f"done: stop {PERSISTENCE}; GPU 0: enable MIG; GPU 0: reset",
        f"not done: start {PERSISTENCE}",
    ]


def test_a_driver_that_answers_no_more_after_the_work_still_has_both_lists_told(make: Hosts, run: Run) -> None:
    host = make(A30)
    host.serve(PERSISTENCE, 0)
    host.machine.fault(fail=[{"match": "-q -x", "after": 1, "message": "Unknown Error"}])
    answer = run({0: ["4g.24gb"]})
    assert answer["msg"].splitlines() == [
        "nvidia-smi -q -x: ended with 255: Unknown Error",
        f"done: stop {PERSISTENCE}; GPU 0: enable MIG; GPU 0: reset; GPU 0: create 4g.24gb at 0; start {PERSISTENCE}",
        "not done: nothing",
    ]
    assert (answer["changed"], "diff" in answer, host.running()) == (True, False, {PERSISTENCE})


def test_a_model_that_keeps_its_gpu_is_started_even_if_the_driver_answers_no_more(make: Hosts, run: Run) -> None:
    host = make(A100, on=(0,))
    host.machine.ok("-i 0 -mig 0")
    host.run(model_container("a-1", "0"))
    host.machine.fault(fail=[{"match": "-q -x", "after": 1, "message": "Unknown Error"}])
    assert run({0: "off"}, force=True)["failed"]
    assert host.journal == ["stop vllm-a-1", "start vllm-a-1"]


# Invalid options


def test_a_faulty_layout_fails_before_anything_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mig_partition.NvidiaSmi, "observe", lambda _smi: pytest.fail("asked nvidia-smi"))
    assert run({0: ["3g"], "x": []})["msg"].splitlines() == [
        "layout.0[0]: expected a profile such as 3g.40gb or 1c.3g.40gb, got '3g'",
        "layout.x: expected a GPU index, a UUID that begins with GPU-, or all",
    ]


def test_a_host_without_gpus_is_told_why_it_has_none(make: Hosts, run: Run) -> None:
    make(A100).machine.fault(driver="not loaded")
    assert run({0: []})["msg"].startswith(
        "GPUs are asked for, and there are none: nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate"
    )


def test_a_docker_that_does_not_answer_fails_with_its_words(
    host: Host, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_docker() -> None:
        raise FleetError("Docker does not answer")

    monkeypatch.setattr(mig_partition, "Docker", no_docker)
    assert run({0: []})["msg"] == "Docker does not answer"


# Always


class NoSwitch:
    def stop(self, client: Any) -> None:
        raise AssertionError(client)

    start = stop


LAYOUTS = st.fixed_dictionaries(
    {},
    optional={
        "0": st.one_of(st.just("off"), st.sampled_from(multisets(A100_PROFILES)).flatmap(st.permutations)),
        "1": st.one_of(st.just("off"), st.sampled_from(multisets(A30_PROFILES)).flatmap(st.permutations)),
    },
)


@pytest.mark.parametrize("driver", ["535.183.01", "550.90.07"])
def test_any_layouts_one_after_the_other_are_reached_and_no_placement_is_refused(
    tmp_path_factory: pytest.TempPathFactory, driver: str
) -> None:
    """With profiles that are known from the start, and with those that are not."""

    @settings(max_examples=25, suppress_health_check=list(HealthCheck))
    @given(st.lists(LAYOUTS, min_size=2, max_size=4))
    def check(layouts: list[dict[str, Any]]) -> None:
        machine = Machine(tmp_path_factory.mktemp("machine"), driver=driver, gpus=[A100, A30])
        smi = smi_of(machine)
        for data in layouts:
            layout = Layout.parse(data, "layout")
            plan = plan_partition(smi.observe().gpus, layout, ())
            outcome = repartition(plan, layout, smi, NoSwitch())
            assert (outcome.faults, outcome.not_done, outcome.done) == ([], [], plan.actions)
            for gpu in outcome.after:
                if str(gpu.index) in data:
                    wanted = data[str(gpu.index)]
                    assert gpu.mig == (wanted != "off")
                    assert sorted(gpu.devices.values()) == sorted(() if wanted == "off" else wanted)
            assert plan_partition(outcome.after, layout, ()).steps == ()

    check()

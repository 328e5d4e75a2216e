"""The nvidia-smi client: its commands, its results, and its errors."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, resolve
from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import Step
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import (
    Answer,
    NvidiaSmi,
    Observation,
    run_limited,
)
from ansible_collections.inference.fleet.tests.unit.gpu.machines import Machine, Runner, smi_of
from ansible_collections.inference.fleet.tests.unit.samples import faults

A100, A30, H100 = "A100-SXM4-40GB", "A30", "H100-SXM5-80GB"
UUID = "GPU-14ac2834-0d81-0508-69eb-e25264c08d21"
BUS = "00000000:07:00.0"


@pytest.fixture
def a100(tmp_path: Path) -> Machine:
    return Machine(tmp_path, driver="550.90.07", gpus=[{"kind": A100, "uuid": UUID}]).mig()


def observed(machine: Machine) -> tuple[Gpu, ...]:
    return smi_of(machine).observe_some()


def layout(machine: Machine) -> list[str]:
    """The first GPU's."""
    return observed(machine)[0].instance_names()


def carry_out(machine: Machine, *steps: Step) -> None:
    for step in steps:
        smi_of(machine).carry_out(step)


# Observing


@pytest.mark.parametrize(
    ("driver", "kind", "profiles", "architecture", "power"),
    [
        ("450.80.02", A100, "1g.5gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb", None, 400.0),
        ("510.47.03", A100, "1g.5gb 1g.5gb+me 2g.10gb 3g.20gb 4g.20gb 7g.40gb", "Ampere", 400.0),
        ("550.90.07", A100, "1g.5gb 1g.5gb+me 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb", "Ampere", 400.0),
        ("580.173.02", A100, "1g.5gb 1g.5gb+me 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb", "Ampere", 400.0),
        ("550.90.07", A30, "1g.6gb 1g.6gb+me 2g.12gb 2g.12gb+me 4g.24gb", "Ampere", 165.0),
        ("580.173.02", H100, "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb", "Hopper", 700.0),
        (
            "580.173.02",
            "RTX-PRO-6000",
            "1g.24gb 1g.24gb+me 1g.24gb+gfx 1g.24gb+me.all 1g.24gb-me "
            "2g.48gb 2g.48gb+gfx 2g.48gb+me.all 2g.48gb-me 4g.96gb 4g.96gb+gfx",
            "Blackwell",
            600.0,
        ),
    ],
)
def test_reads_gpus_and_their_instances_under_every_driver(
    tmp_path: Path, driver: str, kind: str, profiles: str, architecture: str | None, power: float
) -> None:
    machine = Machine(tmp_path, driver=driver, gpus=[kind]).mig()
    (empty,) = observed(machine)
    assert (empty.mig, empty.mig_pending, empty.architecture, empty.power_limit) == (True, True, architecture, power)
    assert [profile.name for profile in empty.profiles] == profiles.split()
    assert empty.instances == ()
    smallest = empty.profiles[0]
    machine.ok(f"mig -cgi {smallest.id}:{smallest.starts[1]},{smallest.id}:0 -C")
    (gpu,) = observed(machine)
    assert [(one.profile, one.start) for one in gpu.instances] == [
        (smallest.name, 0),
        (smallest.name, smallest.starts[1]),
    ]
    assert list(gpu.devices.values()) == [smallest.name] * 2
    assert all(uuid.startswith("MIG-") for uuid in gpu.devices)


def test_a_mig_device_has_the_uuid_of_its_own_placement(a100: Machine) -> None:
    """Indices of MIG devices follow the IDs of GPU instances, not their placements."""
    a100.ok("mig -cgi 9:4,19:0,19:1 -C")
    (gpu,) = observed(a100)
    listed = a100.ok("-L").splitlines()[1:]
    by_uuid = {line.split("UUID: ")[1].rstrip(")"): line.split()[1] for line in listed}
    assert gpu.devices == by_uuid
    assert [gpu.instance_of(uuid) for uuid in gpu.devices] == list(gpu.instances)
    assert [resolve([gpu], f"0:{index}") for index in range(3)] == [frozenset([uuid]) for uuid in by_uuid]
    assert gpu.instance_names() == ["1g.5gb at 0", "1g.5gb at 1", "3g.20gb at 4"]


def test_uuids_of_the_old_form_go_to_their_instances(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="450.80.02", gpus=[{"kind": A100, "uuid": UUID}]).mig()
    machine.ok("mig -cgi 9,19 -C")
    (gpu,) = observed(machine)
    assert {uuid: (one.profile, one.id) for one in gpu.instances for uuid in [str(one.compute[0].uuid)]} == {
        f"MIG-{UUID}/{one.id}/0": (one.profile, one.id) for one in gpu.instances
    }


def test_parts_of_a_gpu_instance_are_devices_of_their_own(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4", "mig -cci 1,0")
    (gpu,) = observed(a100)
    assert gpu.instance_names() == ["3g.20gb at 4 as 2c, 1c"]
    assert sorted(gpu.devices.values()) == ["1c.3g.20gb", "2c.3g.20gb"]


@pytest.mark.parametrize(("driver", "known"), [("510.47.03", False), ("580.173.02", True)])
def test_profiles_of_a_gpu_whose_mig_is_off_are_read_where_the_driver_lists_them(
    tmp_path: Path, driver: str, known: bool
) -> None:
    (gpu,) = observed(Machine(tmp_path, driver=driver, gpus=[A100]))
    assert (gpu.mig, gpu.mig_pending, bool(gpu.profiles)) == (False, False, known)


def test_a_pending_mode_is_seen(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[A30])
    machine.ok("-mig 1")
    assert [(gpu.mig, gpu.mig_pending) for gpu in observed(machine)] == [(False, True)]


def test_gpus_without_mig_are_not_asked_for_it(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=["L40S", "L4"])
    run = Runner(machine)
    gpus = NvidiaSmi("/usr/bin/nvidia-smi", run).observe_some()
    assert [(gpu.name, gpu.mig, gpu.mig_pending, gpu.profiles) for gpu in gpus] == [
        ("NVIDIA L40S", None, None, ()),
        ("NVIDIA L4", None, None, ()),
    ]
    assert run.asked == ["-q -x", "-L", "topo -m"]


def test_one_gpu_alone_is_not_asked_for_its_links(a100: Machine) -> None:
    run = Runner(a100)
    NvidiaSmi("/usr/bin/nvidia-smi", run).observe()
    assert run.asked == ["-q -x", "-L", "mig -lgip", "mig -lgipp", "mig -lgi"]


def test_links_and_device_numbers_are_read(tmp_path: Path) -> None:
    gpus = [A100, A100, {"kind": A100, "minor": 7}]
    found = observed(Machine(tmp_path, driver="550.90.07", gpus=gpus, nvlink=[[0, 1, 12], [1, 2, "PIX"]]))
    assert [dict(gpu.links) for gpu in found] == [{1: 12}, {0: 12}, {}]
    assert [gpu.minor for gpu in found] == [0, 1, 7]


def test_one_that_runs_on_a_mig_device_is_reported_with_it(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4,9:0 -C")
    uuid = list(observed(a100)[0].devices)[1]
    assert a100.start_container(uuid, os.getpid()).code == 0
    (gpu,) = observed(a100)
    assert [(process.pid, gpu.device_of(process)) for process in gpu.processes] == [(os.getpid(), uuid)]


def test_the_registration_with_nvswitches_and_the_brand_are_read(tmp_path: Path) -> None:
    gpus = [
        {"kind": H100, "fabric": ["In Progress", "N/A"]},
        {"kind": H100, "fabric": ["Completed", "Success"]},
        {"kind": "RTX-4090", "fabric": ["Not Supported", "Not Supported"]},
    ]
    found = observed(Machine(tmp_path, driver="580.173.02", gpus=gpus))
    assert [(gpu.fabric_state, gpu.fabric_status) for gpu in found] == [
        ("In Progress", None),
        ("Completed", "Success"),
        (None, None),
    ]
    assert [(gpu.brand, gpu.cuda) for gpu in found] == [("NVIDIA", "13.0"), ("NVIDIA", "13.0"), ("GeForce", "13.0")]


# Carrying steps out


@pytest.mark.parametrize("kind", [A100, A30])
def test_ampere_is_switched_by_a_pending_mode_and_a_reset(tmp_path: Path, kind: str) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[kind])
    carry_out(machine, Step("enable", 0))
    assert not observed(machine)[0].mig
    carry_out(machine, Step("reset", 0))
    assert observed(machine)[0].mig
    carry_out(machine, Step("disable", 0), Step("reset", 0))
    assert not observed(machine)[0].mig


def test_no_reset_is_made_where_the_mode_took_effect_at_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[A30], mig_mode_change="immediate")
    run = Runner(machine)
    for step in (Step("enable", 0), Step("reset", 0)):
        NvidiaSmi("/usr/bin/nvidia-smi", run).carry_out(step)
    assert observed(machine)[0].mig
    assert not any("reset" in command for command in run.asked)


def test_hopper_is_switched_at_once(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=[H100, H100])
    carry_out(machine, Step("enable", 1))
    assert [gpu.mig for gpu in observed(machine)] == [False, True]
    carry_out(machine, Step("disable", 1))
    assert [gpu.mig for gpu in observed(machine)] == [False, False]


@pytest.mark.parametrize("driver", ["450.80.02", "510.47.03", "550.90.07", "580.173.02"])
def test_an_instance_is_made_where_it_was_planned_with_the_parts_it_was_planned_with(
    tmp_path: Path, driver: str
) -> None:
    """The oldest driver does not report the ID of a new instance."""
    machine = Machine(tmp_path, driver=driver, gpus=[A100, A100]).mig(1)
    carry_out(
        machine,
        Step("create", 1, profile="1g.5gb", profile_id=19, start=2),
        Step("create", 1, profile="3g.20gb", profile_id=9, start=4, computes=(2, 1)),
    )
    gpu = observed(machine)[1]
    assert gpu.instance_names() == ["1g.5gb at 2", "3g.20gb at 4 as 2c, 1c"]
    assert sorted(gpu.devices.values()) == ["1c.3g.20gb", "1g.5gb", "2c.3g.20gb"]


def test_an_instance_is_destroyed_with_its_parts(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4,19:0", "mig -gi 2 -cci 1,0")
    instance = observed(a100)[0].instances[1]
    assert len(instance.compute) == 2
    carry_out(a100, Step("destroy", 0, instance.id, "3g.20gb", start=4, destroys=(0, 1)))
    assert layout(a100) == ["1g.5gb at 0 without compute instances"]


def test_an_instance_is_divided_again_and_what_stays_is_not_touched(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4", "mig -cci 0,0,0")
    before = observed(a100)[0].instances[0]
    *gone, stays = before.compute
    goes = tuple(part.id for part in gone)
    carry_out(a100, Step("divide", 0, before.id, "3g.20gb", destroys=goes, computes=(2,)))
    (after,) = observed(a100)[0].instances
    assert stays in after.compute
    assert sorted(part.slices for part in after.compute) == [1, 2]


def test_a_division_that_only_takes_parts_away_makes_none(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4", "mig -cci 0,0,0")
    carry_out(a100, Step("divide", 0, 2, "3g.20gb", destroys=(1, 2)))
    assert layout(a100) == ["3g.20gb at 4 as 1c"]


def test_an_instance_that_a_cut_off_run_left_empty_is_filled(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4")
    carry_out(a100, Step("divide", 0, 2, "3g.20gb", computes=(3,)))
    assert layout(a100) == ["3g.20gb at 4"]


# Refusals


def step_fault(machine: Machine, step: Step) -> str:
    (fault,) = faults(smi_of(machine).carry_out, step)
    return fault


def test_an_instance_in_use_is_refused_in_nvidia_smis_words_with_what_to_do(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4 -C")
    a100.start_container(next(iter(observed(a100)[0].devices)), os.getpid())
    assert step_fault(a100, Step("destroy", 0, 2, "3g.20gb", destroys=(0,))) == (
        "nvidia-smi mig -i 0 -gi 2 -ci 0 -dci: ended with 19: Unable to destroy compute instance ID  0 from GPU  0 "
        "GPU instance ID  2: In use by another client / Failed to destroy compute instances: In use by another client; "
        "stop what holds the GPU (inference.fleet.gpu_info names it) and run again"
    )


def test_a_reset_of_a_held_gpu_is_refused_with_the_two_ways_out(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[A30])
    machine.ok("-L")
    with (machine.dev / "nvidia0").open():
        carry_out(machine, Step("enable", 0))
        fault = step_fault(machine, Step("reset", 0))
    assert fault.startswith(
        f"nvidia-smi -i 0 --gpu-reset: ended with 255: 'The following GPUs could not be reset: / GPU {BUS}: In"
    )
    assert fault.endswith(
        "; stop what holds the GPU (inference.fleet.gpu_info names it) and run again; "
        "MIG mode is pending on GPU 0: a reboot also applies it"
    )
    carry_out(machine, Step("reset", 0))
    assert observed(machine)[0].mig


def test_a_mode_of_a_held_hopper_is_refused(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=[H100])
    machine.ok("-L")
    with (machine.dev / "nvidia0").open():
        assert step_fault(machine, Step("enable", 0)) == (
            f"nvidia-smi -i 0 -mig 1: ended with 19: Unable to enable MIG Mode for GPU {BUS}: "
            "In use by another client / Terminating early due to previous errors.; "
            "stop what holds the GPU (inference.fleet.gpu_info names it) and run again"
        )


def test_a_mode_that_the_gpu_does_not_have_is_a_fault_though_nvidia_smi_goes_on(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=["L40S"])
    assert step_fault(machine, Step("enable", 0)) == (
        f"nvidia-smi -i 0 -mig 1: ended with 0: Unable to enable MIG Mode for GPU {BUS}: Not Supported / "
        "Treating as warning and moving on. / All done."
    )


def test_no_room_where_some_was_planned_says_to_run_again(a100: Machine) -> None:
    a100.ok("mig -cgi 19:4 -C")
    assert step_fault(a100, Step("create", 0, profile="3g.20gb", profile_id=9, start=4)) == (
        "nvidia-smi mig -i 0 -cgi 9:4 -C: ended with 23: Unable to create a GPU instance on GPU  0 using profile 9: "
        "Insufficient Resources / Failed to create GPU instances: Insufficient Resources; "
        "the instances on the GPU changed after they were read: run again"
    )


def test_a_part_that_an_instance_does_not_offer_is_reported_with_those_it_does(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4")
    assert step_fault(a100, Step("divide", 0, 2, "3g.20gb", computes=(4,))) == (
        "GPU 0: 3g.20gb offers no compute instance of 4 slices; it has 1c, 2c, 3c"
    )


def test_an_instance_that_is_gone_as_soon_as_it_was_made_is_reported(a100: Machine) -> None:
    run = spoiled(a100, "mig -lgi", lambda text: "No GPU instances found: Not Found")
    step = Step("create", 0, profile="3g.20gb", profile_id=9, start=4, computes=(2, 1))
    assert faults(NvidiaSmi("/usr/bin/nvidia-smi", run).carry_out, step) == [
        "nvidia-smi mig -lgi: 3g.20gb at 4 was created on GPU 0 and is gone"
    ]


# A host that has none, or whose driver is in trouble


def test_a_host_without_nvidia_smi_has_no_gpus_and_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert NvidiaSmi().observe() == Observation((), "no nvidia-smi on this host: the NVIDIA driver is not installed")
    assert faults(NvidiaSmi().observe_some) == [
        "GPUs are asked for, and there are none: no nvidia-smi on this host: the NVIDIA driver is not installed"
    ]


def test_a_driver_that_is_not_loaded_is_a_note(a100: Machine) -> None:
    a100.fault(driver="not loaded")
    assert smi_of(a100).observe() == Observation(
        (),
        "nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
        "Make sure that the latest NVIDIA driver is installed and running.",
    )


def test_a_driver_without_a_device_is_a_note(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[])
    assert smi_of(machine).observe() == Observation((), "nvidia-smi: No devices were found")


def test_a_driver_that_was_updated_under_a_running_kernel_is_a_fault(a100: Machine) -> None:
    a100.fault(driver="mismatch")
    assert faults(smi_of(a100).observe) == [
        "nvidia-smi -q -x: ended with 18: Failed to initialize NVML: Driver/library version mismatch / "
        "NVML library version: 535.183; the driver was updated while an older one is loaded: reboot the host"
    ]


def test_a_lost_gpu_is_a_fault(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[A100, A100])
    machine.fault(lost=[1])
    assert faults(smi_of(machine).observe) == [
        "nvidia-smi -q -x: ended with 15: Unable to determine the device handle for GPU0000:0F:00.0: GPU is lost.  "
        "Reboot the system to recover this GPU; "
        "the GPU has fallen off the bus: reboot the host, and look at `dmesg | grep -i xid`"
    ]


def test_a_caller_without_the_right_to_read_instances_is_reported(a100: Machine) -> None:
    run = spoiled(a100, "mig -lgi", lambda text: "Failed to display GPU instances: Insufficient Permissions", status=4)
    assert faults(NvidiaSmi("/usr/bin/nvidia-smi", run).observe) == [
        "nvidia-smi mig -lgi: ended with 4: Failed to display GPU instances: Insufficient Permissions; "
        "it has to run as root"
    ]


# Warnings around an answer


CORRUPT = "WARNING: infoROM is corrupted at gpu 0000:07:00.0"


def test_a_corrupt_inforom_ends_every_call_with_14_and_everything_is_read(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4 -C")
    plain = smi_of(a100).observe()
    a100.fault(inforom=["0000:07:00.0"])
    assert [a100.smi(call).code for call in ("-q -x", "-L", "mig -lgipp")] == [14, 14, 14]
    assert smi_of(a100).observe() == Observation(plain.gpus, warnings=(CORRUPT,))


def test_a_gpu_with_a_corrupt_inforom_is_partitioned(a100: Machine) -> None:
    a100.fault(inforom=["0000:07:00.0"])
    carry_out(a100, Step("create", 0, profile="3g.20gb", profile_id=9, start=4, computes=(2, 1)))
    assert layout(a100) == ["3g.20gb at 4 as 2c, 1c"]


def test_ampere_is_reset_for_its_mode_with_a_warning_before_every_answer(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[A30])
    machine.fault(banner="WARNING: something is deprecated")
    carry_out(machine, Step("enable", 0), Step("reset", 0))
    assert observed(machine)[0].mig


def test_a_warning_of_one_call_is_reported_where_the_log_has_none(a100: Machine) -> None:
    run = spoiled(a100, "-L", lambda text: f"{text}{CORRUPT}\n", status=14)
    assert NvidiaSmi("/usr/bin/nvidia-smi", run).observe().warnings == (CORRUPT,)


def test_any_line_before_the_xml_is_a_warning(a100: Machine) -> None:
    run = spoiled(a100, "-q -x", lambda text: f"libibumad is not installed\n{text}")
    observation = NvidiaSmi("/usr/bin/nvidia-smi", run).observe()
    assert (len(observation.gpus), observation.warnings) == (1, ("libibumad is not installed",))


# Garbage


def spoiled(
    machine: Machine, command: str, spoil: Callable[[str], str], status: int = 0
) -> Callable[[Sequence[str], int], Answer]:
    """Runs commands on the machine, and spoils the answer of this one."""

    def run(given: Sequence[str], seconds: int) -> Answer:
        answer = Runner(machine)(given, seconds)
        return Answer(status, spoil(answer.text)) if " ".join(given[1:]) == command else answer

    return run


def cut(text: str) -> str:
    return text[: len(text) // 2] + "\x00NVRM: Xid"


TABLE = "expected a table that ends with its frame, got at its end '"


@pytest.mark.parametrize(
    ("command", "spoil", "reported"),
    [
        ("-q -x", cut, "nvidia-smi -q -x: expected XML, got '<?xml version="),
        ("-q -x", lambda text: "", "nvidia-smi -q -x: expected XML, got '' (no element found"),
        ("-L", lambda text: "\x00", f"nvidia-smi -L: expected a line with {UUID}, got at its end '\\x00'"),
        (
            "-L",
            cut,
            "nvidia-smi: GPU 0: its listings show different MIG devices (GPU instance/compute instance): "
            "-q -x: 2/0, 7/0, 8/0; mig -lgi and -lci: 2/0, 7/0, 8/0; -L: ",
        ),
        ("mig -lgip", cut, f"nvidia-smi mig -lgip: {TABLE}"),
        ("mig -lgipp", cut, "nvidia-smi mig -lgipp: expected a profile's placements, got 'GPU  0 Profile ID"),
        ("mig -lgi", cut, f"nvidia-smi mig -lgi: {TABLE}"),
        ("mig -lci", cut, f"nvidia-smi mig -lci: {TABLE}"),
        (
            "mig -lci",
            lambda text: "\n".join(text.splitlines()[:-2]),
            "nvidia-smi: GPU 0: its listings show different MIG devices (GPU instance/compute instance): "
            "-q -x: 2/0, 7/0, 8/0; mig -lgi and -lci: 7/0, 8/0; -L: 7/0, 8/0. "
            "The MIG devices changed meanwhile, or an answer was cut off: run again",
        ),
        ("mig -lgip", lambda text: "", "nvidia-smi mig -lgip: expected a table that ends with its frame, got nothing"),
        ("topo -m", lambda text: text[:40], "nvidia-smi topo -m: expected a matrix with a row for each GPU, got at "),
    ],
)
def test_an_answer_that_is_cut_off_or_garbage_is_reported_with_what_was_expected(
    tmp_path: Path, command: str, spoil: Callable[[str], str], reported: str
) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=[{"kind": A100, "uuid": UUID}, A30]).mig()
    machine.ok("mig -i 0 -cgi 9:4,19:0,19:1 -C")
    assert observed(machine)
    (fault,) = faults(NvidiaSmi("/usr/bin/nvidia-smi", spoiled(machine, command, spoil)).observe)
    assert fault.startswith(reported)


def test_profiles_without_placements_are_a_fault_while_mig_is_on(a100: Machine) -> None:
    run = spoiled(a100, "mig -lgipp", lambda text: "")
    assert faults(NvidiaSmi("/usr/bin/nvidia-smi", run).observe) == [
        "nvidia-smi mig -lgip, -lgipp: MIG is on, but no profile with a placement is listed"
    ]


def test_modes_that_are_none_stop_a_reset(a100: Machine) -> None:
    query = "--query-gpu=mig.mode.current,mig.mode.pending"
    run = spoiled(a100, f"-i 0 {query} --format=csv,noheader", lambda text: "[N/A], [N/A]\n")
    assert faults(NvidiaSmi("/usr/bin/nvidia-smi", run).carry_out, Step("reset", 0)) == [
        f"nvidia-smi {query}: expected Enabled or Disabled for each, got '[N/A], [N/A]'"
    ]


def test_garbage_for_the_profiles_of_parts_is_reported(a100: Machine) -> None:
    a100.ok("mig -cgi 9:4")
    run = spoiled(a100, "mig -i 0 -gi 2 -lcip", cut)
    (fault,) = faults(NvidiaSmi("/usr/bin/nvidia-smi", run).carry_out, Step("divide", 0, 2, "3g.20gb", computes=(1,)))
    assert fault.startswith(f"nvidia-smi mig -lcip: {TABLE}")


# A program that hangs


def program(tmp_path: Path, *lines: str) -> str:
    path = tmp_path / "nvidia-smi"
    path.write_text("\n".join(["#!/bin/sh", *lines, ""]))
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    "lines",
    [
        ["echo started", "sleep 60"],
        ["trap '' TERM INT HUP", "sleep 60", "sleep 60"],
        ["sleep 60 &", "exit 0"],
    ],
    ids=["sleeps", "ignores SIGTERM", "leaves a child that holds its output"],
)
def test_a_program_that_hangs_is_killed_with_its_children_after_its_time(tmp_path: Path, lines: list[str]) -> None:
    began = time.monotonic()
    assert faults(run_limited, [program(tmp_path, *lines), "-q", "-x"], 1) == [
        "nvidia-smi -q -x: no answer after 1 s; the driver hangs: "
        "look at `dmesg | grep -iE 'xid|nvrm'`; most often only a reboot helps"
    ]
    assert time.monotonic() - began < 4


def test_a_program_that_cannot_be_started_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "nvidia-smi"
    assert faults(run_limited, [str(path), "-L"], 1) == [f"{path}: cannot be started: No such file or directory"]
    path.write_bytes(b"\x7fELF of another machine")
    path.chmod(0o755)
    assert faults(run_limited, [str(path), "-L"], 1) == [f"{path}: cannot be started: Exec format error"]


def test_an_answer_has_both_streams_and_the_status_whatever_the_bytes(tmp_path: Path) -> None:
    path = program(tmp_path, "echo out", "echo err >&2", r"printf '\377\n'", "cat", "exit 7")
    assert run_limited([path], 10) == Answer(7, "out\nerr\n\ufffd\n")


def test_a_program_answers_in_english_with_its_environment_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("SIMULATED", "yes")
    assert run_limited([program(tmp_path, 'echo "$LC_ALL $SIMULATED"')], 10).text == "C yes\n"


def test_nvidia_smi_is_the_one_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, "echo No devices were found", "exit 6")
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    calls: list[Any] = []

    def run(command: Sequence[str], seconds: int) -> Answer:
        calls.append((list(command), seconds))
        return run_limited(command, seconds)

    assert NvidiaSmi(run=run).observe().note == "nvidia-smi: No devices were found"
    assert calls == [([str(tmp_path / "nvidia-smi"), "-q", "-x"], 60)]

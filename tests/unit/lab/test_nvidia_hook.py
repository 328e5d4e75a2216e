"""What happens to simulated GPUs from outside: clients (containers that the stand-in hook allows, processes
with a device node open), faults on purpose, reboots, calls at once and calls by others than root."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

NVIDIA = Path(__file__).resolve().parents[2] / "lab" / "nvidia"
sys.path.insert(0, str(NVIDIA))

from simulated_nvidia import ctk  # noqa: E402  # found by the path above
from simulated_nvidia.machine import Machine  # noqa: E402  # found by the path above
from simulated_nvidia.state import Store  # noqa: E402  # found by the path above

IN_USE = 19
NO_ROOM = 23


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as running:
        yield running
        running.kill()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """GPU 0 in MIG mode with two devices, GPU 1 whole."""
    made = Machine(tmp_path, driver="550.90.07", gpus=["A100-SXM4-40GB", {"kind": "H100-SXM5-80GB", "minor": 4}]).mig()
    made.ok("mig -cgi 9,9 -C")
    return made


@pytest.fixture
def a100(tmp_path: Path) -> Machine:
    return Machine(tmp_path, driver="550.90.07", gpus=["A100-SXM4-40GB"]).mig()


@pytest.fixture
def hopper(tmp_path: Path) -> Machine:
    return Machine(tmp_path, driver="580.173.02", gpus=["H100-SXM5-80GB", "L40S"])


def uuids(machine: Machine, kind: str) -> list[str]:
    return re.findall(rf"UUID: ({kind}-[^)]+)", machine.ok("-L"))


def processes(machine: Machine, gpu: int) -> list[tuple[str | None, str | None]]:
    """(GPU instance, PID) of every process that `-q -x` lists."""
    found = ET.fromstring(machine.ok(f"-q -x -i {gpu}")).iter("process_info")
    return [(one.findtext("gpu_instance_id"), one.findtext("pid")) for one in found]


def test_a_container_holds_its_mig_device(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    assert machine.start_container(uuids(machine, "MIG")[0], process.pid).code == 0
    assert processes(machine, 0) == [("1", str(process.pid))]
    answer = machine.smi("mig -gi 1 -dci")
    assert (answer.code, answer.out) == (
        IN_USE,
        "Unable to destroy compute instance ID  0 from GPU  0 GPU instance ID  1: In use by another client\n"
        "Failed to destroy compute instances: In use by another client\n",
    )
    machine.ok("mig -gi 2 -dci", "mig -gi 2 -dgi")


def test_a_container_that_ended_holds_nothing(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    machine.start_container("0:1", process.pid)
    process.kill()
    process.wait()
    assert processes(machine, 0) == []
    machine.ok("mig -dci")


def test_another_process_with_that_pid_is_not_the_container(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    machine.start_container("0:1", process.pid)
    record = machine.state / "clients" / "c.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"start": "1"}))
    assert processes(machine, 0) == []


@pytest.mark.parametrize(
    ("devices", "held"), [("all", [["1", "2"], ["N/A"]]), ("1", [[], ["N/A"]]), ("none", [[], []])]
)
def test_a_container_gets_what_it_names(
    machine: Machine, process: subprocess.Popen[bytes], devices: str, held: list[list[str]]
) -> None:
    assert machine.start_container(devices, process.pid).code == 0
    assert [[instance for instance, _ in processes(machine, gpu)] for gpu in (0, 1)] == held


def test_devices_go_by_either_kind_of_name(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    gpu, device = uuids(machine, "GPU")[1], uuids(machine, "MIG")[1]
    assert machine.start_container(f"{gpu},{device}", process.pid).code == 0
    assert [instance for instance, _ in processes(machine, 0)] == ["2"]


def test_the_old_form_of_uuids_goes_with_old_drivers(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    old = Machine(tmp_path, driver="450.80.02", gpus=["A100-SXM4-40GB"]).mig()
    old.ok("mig -cgi 9 -C")
    name = uuids(old, "MIG")[0]
    assert re.fullmatch(r"MIG-GPU-[0-9a-f-]+/2/0", name)
    assert old.start_container(name, process.pid).code == 0


@pytest.mark.parametrize("name", ["MIG-b6cd45f2-9655-5269-9b96-65446729d5dc", "7", "0:2", "MIG-GPU-1/1/0"])
def test_an_unknown_device_is_refused(machine: Machine, process: subprocess.Popen[bytes], name: str) -> None:
    answer = machine.start_container(name, process.pid)
    assert (answer.code, answer.err) == (1, f"nvidia-container-cli: device error: {name}: unknown device\n")


def test_without_a_driver_no_container_starts(machine: Machine, process: subprocess.Popen[bytes]) -> None:
    machine.fault(driver="not loaded")
    answer = machine.start_container("all", process.pid)
    assert (answer.code, answer.err) == (
        1,
        "nvidia-container-cli: initialization error: nvml error: driver not loaded\n",
    )


def test_a_held_ampere_stays_pending_and_is_not_reset(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    machine = Machine(tmp_path, gpus=["A30"], mig_mode_change="immediate")
    machine.start_container("0", process.pid)
    pending = machine.ok("-mig 1").splitlines()
    assert pending[0].endswith("pending enable state for GPU 00000000:07:00.0:In use by another client")
    assert pending[1].startswith("00000000:07:00.0 is currently being used by one or more other processes")
    answer = machine.smi("--gpu-reset")
    assert answer.code == 255
    assert answer.out.splitlines()[1:3] == [
        "The following GPUs could not be reset:",
        "  GPU 00000000:07:00.0: In use by another client",
    ]
    machine.reboot()
    assert machine.ok("--query-gpu=mig.mode.current --format=csv,noheader") == "Enabled\n"


def test_an_open_device_node_holds_the_gpu_and_is_no_process_of_it(machine: Machine) -> None:
    with (machine.dev / "nvidia4").open():
        answer = machine.smi("-i 1 -mig 1")
        assert (answer.code, answer.out.splitlines()[0]) == (
            IN_USE,
            "Unable to enable MIG Mode for GPU 00000000:0F:00.0: In use by another client",
        )
        assert machine.smi("-i 1 -r").code == 255
        assert processes(machine, 1) == []
    machine.ok("-i 1 -mig 1")


def test_an_open_device_node_does_not_keep_instances_from_being_made(machine: Machine) -> None:
    with (machine.dev / "nvidia0").open():
        machine.ok("mig -i 0 -dci", "mig -i 0 -dgi", "mig -i 0 -cgi 0 -C")


def test_a_container_with_the_whole_gpu_does(tmp_path: Path, process: subprocess.Popen[bytes]) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=["H100-SXM5-80GB"])
    machine.ok("-mig 1")
    machine.start_container("0", process.pid)
    answer = machine.smi("mig -cgi 19 -C")
    assert (answer.code, answer.out.splitlines()[-1]) == (
        IN_USE,
        "Failed to create GPU instances: In use by another client",
    )


def test_the_toolkit_links_device_nodes(machine: Machine) -> None:
    assert ctk.main(["system", "create-dev-char-symlinks", "--create-all"], machine.environment) == 0
    links = {path.name: path.readlink().name for path in (machine.dev / "char").iterdir()}
    assert links["195:4"] == "nvidia4"
    assert links["195:255"] == "nvidiactl"


def test_the_toolkit_adds_its_runtime_to_what_is_there(tmp_path: Path, machine: Machine) -> None:
    daemon = tmp_path / "daemon.json"
    daemon.write_text('{"log-driver": "local"}')
    assert ctk.main(["runtime", "configure", "--runtime=docker", f"--config={daemon}"], machine.environment) == 0
    settings = json.loads(daemon.read_text())
    assert settings["log-driver"] == "local"
    assert settings["runtimes"] == {"nvidia": {"args": [], "path": "nvidia-container-runtime"}}


def test_the_toolkit_lists_devices(machine: Machine, capsys: pytest.CaptureFixture[str]) -> None:
    assert ctk.main(["cdi", "list"], machine.environment) == 0
    names = capsys.readouterr().out.split()
    assert {"nvidia.com/gpu=all", "nvidia.com/gpu=0:1", "nvidia.com/gpu=1"} <= set(names)
    assert f"nvidia.com/gpu={uuids(machine, 'MIG')[0]}" in names


FAULTS: list[tuple[dict[str, Any], str, int, str]] = [
    ({"driver": "mismatch"}, "-L", 18, "Failed to initialize NVML: Driver/library version mismatch"),
    ({"driver": "not loaded"}, "-q -x", 9, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA"),
    ({"lost": [0]}, "mig -i 0 -lgip", 15, "GPU is lost.  Reboot the system to recover this GPU"),
    ({"fail": [{"match": "-L", "code": 7, "message": "made up"}]}, "-L", 7, "made up"),
    ({"garbage": ["-L"]}, "-L", 0, "Xid"),
]


@pytest.mark.parametrize(("fault", "call", "code", "words"), FAULTS)
def test_faults_on_purpose(hopper: Machine, fault: dict[str, Any], call: str, code: int, words: str) -> None:
    hopper.fault(**fault)
    answer = hopper.smi(call)
    assert answer.code == code
    assert words in answer.out


def test_a_lost_gpu_leaves_the_others_listed(hopper: Machine) -> None:
    hopper.fault(lost=[0])
    answer = hopper.smi("-L")
    assert answer.code == 15
    assert answer.out.startswith("GPU 1: NVIDIA L40S (UUID: ")
    assert answer.err.startswith("Unable to determine the device handle for GPU0: 0000:07:00.0: GPU is lost.  Reboot")


def test_a_failure_can_wait_and_end(a100: Machine) -> None:
    a100.fault(fail=[{"match": "-cgi 19", "after": 1, "times": 2, "code": NO_ROOM, "message": "no"}])
    assert [a100.smi("mig -cgi 19").code for _ in range(5)] == [0, NO_ROOM, NO_ROOM, 0, 0]


def test_a_call_that_hangs_keeps_no_other_from_working(a100: Machine) -> None:
    a100.fault(hang=["-q -x"])
    command = [sys.executable, str(NVIDIA / "nvidia-smi"), "-q", "-x"]
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run(command, env=a100.environment, timeout=0.5)
    a100.ok("mig -cgi 19")


def test_calls_at_once_do_not_get_in_each_others_way(a100: Machine) -> None:
    command = [sys.executable, str(NVIDIA / "nvidia-smi"), "mig", "-cgi", "19", "-C"]
    calls = [subprocess.Popen(command, env=a100.environment, stdout=subprocess.DEVNULL) for _ in range(8)]
    assert sorted(call.wait() for call in calls) == [0] * 7 + [NO_ROOM]
    assert sorted(re.findall(r" (\d):1 ", a100.ok("mig -lgi"))) == list("0123456")


def test_a_reboot_takes_instances_and_on_hopper_the_mode(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=["A30", "H100-SXM5-80GB", "A30"])
    machine.ok("-i 0,1 -mig 1", "-i 0 -r", "mig -cgi 0 -C", "-i 2 -mig 1")
    before = re.findall(r"MIG-\S+\)", machine.ok("-L"))
    machine.reboot()
    modes = "--query-gpu=mig.mode.current --format=csv,noheader"
    assert machine.ok(modes) == "Enabled\nDisabled\nEnabled\n"
    assert machine.smi("mig -lgi").code == 6
    machine.ok("-i 1 -mig 1", "mig -i 0,1 -cgi 0 -C")
    assert re.findall(r"MIG-\S+\)", machine.ok("-L")) == before


def test_uuids_may_be_new_after_a_reboot(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=["H100-SXM5-80GB"], new_uuids_at_boot=True)
    make = ("-mig 1", "mig -cgi 0 -C", "-L")
    before = machine.ok(*make)
    machine.reboot()
    assert machine.ok(*make) != before


@pytest.mark.parametrize("call", ["-mig 0", "-r", "-pm 0", "mig -lgi", "mig -cgi 19", "mig -dci"])
def test_only_root_changes_anything(a100: Machine, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    a100.ok("mig -cgi 19 -C")
    monkeypatch.setattr(Store, "writable", False)
    answer = a100.smi(call)
    assert answer.code == 4
    assert "Insufficient Permissions" in answer.out
    a100.ok("-L", "-q -x", "mig -lgip")

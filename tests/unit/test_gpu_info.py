"""inference.fleet.gpu_info: the whole module, on simulated GPUs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.gpu.partition import plan_partition
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.plugins.modules import gpu_info
from ansible_collections.inference.fleet.tests.unit.gpu.machines import Machine, smi_of
from ansible_collections.inference.fleet.tests.unit.running import Module

UUID = "GPU-14ac2834-0d81-0508-69eb-e25264c08d21"
Info = Callable[[Machine], dict[str, Any]]


@pytest.fixture
def info(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Info:
    """The module's result for a machine, equal with and without check mode."""
    module = Module(gpu_info.main, capsys)

    def run(machine: Machine) -> dict[str, Any]:
        monkeypatch.setattr(gpu_info, "NvidiaSmi", lambda: smi_of(machine))
        answer = module()
        assert module(check=True) == answer
        return answer

    return run


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    gpus = [{"kind": "A100-SXM4-40GB", "uuid": UUID}, {"kind": "L40S", "minor": 5}]
    return Machine(tmp_path, driver="550.90.07", gpus=gpus, nvlink=[[0, 1, 12]]).mig()


def test_tells_all_of_a_gpu(machine: Machine, info: Info) -> None:
    machine.ok("mig -i 0 -cgi 9:4,19:0", "mig -i 0 -gi 7 -cci", "mig -i 0 -gi 2 -cci 1,0")
    (small_uuid,) = [line.split("UUID: ")[1][:-1] for line in machine.ok("-L").splitlines() if "MIG 1g.5gb" in line]
    machine.start_container(small_uuid, os.getpid())
    answer = info(machine)
    assert answer["note"] == ""
    gpu = answer["gpus"][0]
    profiles, instances, (process,) = gpu.pop("profiles"), gpu.pop("instances"), gpu.pop("processes")
    assert gpu == {
        "index": 0,
        "uuid": UUID,
        "name": "NVIDIA A100-SXM4-40GB",
        "bus_id": "00000000:07:00.0",
        "minor": 0,
        "memory": 40960,
        "driver": "550.90.07",
        "cuda": "12.4",
        "architecture": "Ampere",
        "brand": "NVIDIA",
        "fabric_state": None,
        "fabric_status": None,
        "power_limit": 400.0,
        "persistence": True,
        "mig": True,
        "mig_pending": True,
        "links": {"1": 12},
    }
    assert profiles[4] == {
        "name": "3g.20gb",
        "id": 9,
        "slices": 3,
        "size": 4,
        "starts": [0, 4],
        "total": 2,
        "memory_gib": 19.62,
        "engines": 2,
    }
    small, large = instances
    assert (small["profile"], small["start"], small["size"], small["id"]) == ("1g.5gb", 0, 1, 7)
    assert [(part["name"], part["slices"], part["start"]) for part in large["compute"]] == [
        ("2c.3g.20gb", 2, 0),
        ("1c.3g.20gb", 1, 2),
    ]
    assert [part["uuid"] for part in small["compute"]] == [small_uuid]
    assert sorted(part["index"] for one in instances for part in one["compute"]) == [0, 1, 2]
    assert (process["pid"], process["gpu_instance"], process["compute_instance"]) == (os.getpid(), 7, 0)


def test_a_gpu_without_mig_has_none_of_it(machine: Machine, info: Info) -> None:
    gpu = info(machine)["gpus"][1]
    assert (gpu["name"], gpu["minor"], gpu["mig"], gpu["mig_pending"]) == ("NVIDIA L40S", 5, None, None)
    assert (gpu["profiles"], gpu["instances"], gpu["links"]) == ([], [], {"0": 12})


def test_everything_that_is_returned_is_documented(machine: Machine, info: Info) -> None:
    machine.ok("mig -i 0 -cgi 9 -C")
    returned = yaml.safe_load(gpu_info.RETURN)["gpus"]["contains"]
    (gpu, *_others) = info(machine)["gpus"]
    assert set(gpu) == set(returned)
    for part in ("profiles", "instances"):
        assert set(gpu[part][0]) == set(returned[part]["contains"])
    told = "".join(returned["instances"]["contains"]["compute"]["description"])
    assert all(f"C({name})" in told for name in gpu["instances"][0]["compute"][0])


def test_tells_what_is_on_the_gpus_as_an_inventory_has_it(machine: Machine, info: Info) -> None:
    assert info(machine)["layout"] == {"0": [], "1": "off"}
    machine.ok("mig -i 0 -cgi 9:4,19:0,19:1", "mig -i 0 -gi 7 -cci", "mig -i 0 -gi 8 -cci", "mig -i 0 -gi 2 -cci 1,0")
    found = info(machine)["layout"]
    assert found == {"0": ["1g.5gb", "1g.5gb", "2c.3g.20gb", "1c.3g.20gb"], "1": "off"}
    assert Layout.parse(yaml.safe_load(yaml.safe_dump(found)), "fleet_mig").plain() == found


@pytest.mark.parametrize(
    "made", [["-L"], ["mig -i 0 -cgi 9,14,19 -C"], ["mig -i 0 -cgi 9:4", "mig -i 0 -gi 2 -cci 1,0"]]
)
def test_a_host_whose_layout_is_in_its_inventory_is_left_as_it_is(
    machine: Machine, info: Info, made: list[str]
) -> None:
    machine.ok(*made)
    layout = Layout.parse(info(machine)["layout"], "fleet_mig")
    assert plan_partition(smi_of(machine).observe().gpus, layout, ()).steps == ()


def test_a_gpu_instance_without_a_mig_device_is_not_in_the_layout(machine: Machine, info: Info) -> None:
    machine.ok("mig -i 0 -cgi 9")
    assert info(machine)["layout"]["0"] == []


@pytest.mark.parametrize("driver", ["510.47.03", "580.173.02"])
def test_gpus_in_no_mode_have_the_profiles_that_their_driver_tells(tmp_path: Path, info: Info, driver: str) -> None:
    (gpu,) = info(Machine(tmp_path, driver=driver, gpus=["A30"]))["gpus"]
    assert (gpu["mig"], [one["name"] for one in gpu["profiles"]][:1]) == (
        False,
        ["1g.6gb"] if driver.startswith("580") else [],
    )


def test_a_host_whose_driver_is_not_loaded_is_no_failure(machine: Machine, info: Info) -> None:
    machine.fault(driver="not loaded")
    answer = info(machine)
    assert (answer["gpus"], answer["layout"], "failed" in answer) == ([], {}, False)
    assert answer["note"].startswith(
        "nvidia-smi: NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA"
    )


def test_a_host_without_nvidia_smi_is_no_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    answer = Module(gpu_info.main, capsys)()
    assert (answer["gpus"], answer["note"]) == (
        [],
        "no nvidia-smi on this host: the NVIDIA driver is not installed",
    )


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        ({"driver": "mismatch"}, "the driver was updated while an older one is loaded: reboot the host"),
        ({"lost": [1]}, "the GPU has fallen off the bus: reboot the host, and look at `dmesg | grep -i xid`"),
        ({"garbage": ["-lgipp"]}, "nvidia-smi mig -lgipp: expected a profile's placements, got "),
    ],
)
def test_a_driver_in_trouble_is_a_failure_with_what_to_do(
    machine: Machine, info: Info, fault: dict[str, Any], told: str
) -> None:
    machine.fault(**fault)
    answer = info(machine)
    assert answer["failed"] is True
    assert told in answer["msg"]


def test_a_gpu_without_a_memory_figure_has_null(tmp_path: Path, info: Info) -> None:
    (gpu,) = info(Machine(tmp_path, driver="580.95.05", gpus=["GB10"]))["gpus"]
    assert (gpu["name"], gpu["memory"], gpu["power_limit"], gpu["mig"]) == ("NVIDIA GB10", None, None, None)


def test_a_corrupt_inforom_is_a_warning(machine: Machine, info: Info, monkeypatch: pytest.MonkeyPatch) -> None:
    warned: set[str] = set()
    monkeypatch.setattr(gpu_info.AnsibleModule, "warn", lambda _module, text: warned.add(text))
    machine.fault(inforom=["0000:07:00.0"])
    assert len(info(machine)["gpus"]) == 2
    assert warned == {"nvidia-smi: WARNING: infoROM is corrupted at gpu 0000:07:00.0"}

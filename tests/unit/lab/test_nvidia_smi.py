"""The simulated nvidia-smi prints what the hardware printed, and refuses what it refuses."""

from __future__ import annotations

import json
import re
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

NVIDIA = Path(__file__).resolve().parents[2] / "lab" / "nvidia"
sys.path.insert(0, str(NVIDIA))

from simulated_nvidia import cli, power  # noqa: E402  # found by the path above
from simulated_nvidia.machine import Answer, Machine  # noqa: E402  # found by the path above

A100_R510 = {
    "kind": "A100-PCIE-40GB",
    "uuid": "GPU-14ac2834-0d81-0508-69eb-e25264c08d21",
    "bus_id": "00000000:0F:00.0",
    "flipped": True,
    "mig_uuids": {"11/0": "MIG-b6cd45f2-9655-5269-9b96-65446729d5dc"},
}
A100_R450 = {"kind": "A100-PCIE-40GB", "uuid": "GPU-0069414c-9f30-41f9-d5d8-87890423f0c4"}
NO_ROOM = 23
IN_USE = 19


@pytest.fixture
def a100(tmp_path: Path) -> Machine:
    return Machine(tmp_path, driver="550.90.07", gpus=["A100-SXM4-40GB"]).mig()


@pytest.fixture
def hopper(tmp_path: Path) -> Machine:
    return Machine(tmp_path, driver="580.173.02", gpus=["H100-SXM5-80GB", "L40S"], nvswitch=18)


def captured(name: str) -> list[tuple[str, str]]:
    """(arguments, what was printed) of a capture, in its order."""
    parts = re.split(r"^\$ nvidia-smi +(.*)\n", (NVIDIA / "captures" / name).read_text(), flags=re.MULTILINE)[1:]
    return [(call, f"{text.rstrip()}\n") for call, text in zip(parts[::2], parts[1::2], strict=True)]


def starts(machine: Machine, gpu: int = 0) -> dict[int, int]:
    """GPU instance ID -> where it starts."""
    rows = re.findall(r"^\| +\d+  MIG \S+ +\d+ +(\d+) +(\d+):\d+ +\|", machine.smi(f"mig -i {gpu} -lgi").out, re.M)
    return {int(instance): int(start) for instance, start in rows}


def free(machine: Machine) -> dict[int, int]:
    """Profile ID -> the Free of `-lgip`."""
    rows = re.findall(r"^\| +\d+  MIG \S+ +(\d+) +(\d+)/\d+ ", machine.ok("mig -lgip"), re.M)
    return {int(profile): int(count) for profile, count in rows}


def test_prints_what_an_a100_printed_under_r510(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="510.47.03", gpus=[A100_R510])
    for call, printed in captured("a100-40gb-r510.txt"):
        assert (call, machine.smi(call).out) == (call, printed)
        if call == "-i 0 -mig 1":
            machine.ok("--gpu-reset", "mig -cgi 0")  # a 7g leaves no room, which the table that follows shows
        elif call == "mig -lgip":
            machine.ok("mig -dgi")


def test_prints_what_an_a100_printed_under_r450(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="450.80.02", gpus=[A100_R450]).mig()
    for call, printed in captured("a100-40gb-r450.txt"):
        call = call.replace("-i 3", "-i 0")
        assert (call, machine.smi(call).out) == (call, printed)
        if call == "mig -lgipp":
            machine.ok("mig -cgi 9,19,19 -C", "mig -gi 2 -dci", "mig -gi 2 -dgi")


def test_r450_numbers_the_selected_gpus_when_it_destroys(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="450.80.02", gpus=["A100-PCIE-40GB"] * 4).mig(3)
    machine.ok("mig -cgi 9,19,19 -C", "mig -gi 2 -dci", "mig -gi 2 -dgi")
    for call, printed in captured("a100-40gb-r450.txt")[-2:]:
        assert (call, machine.smi(call).out) == (call, printed)


SEVEN_PLACEMENTS = {
    19: ("{0,1,2,3,4,5,6}:1", 7),
    20: ("{0,1,2,3,4,5,6}:1", 1),
    15: ("{0,2,4,6}:2", 4),
    14: ("{0,2,4}:2", 3),
    9: ("{0,4}:4", 2),
    5: ("{0}:4", 1),
    0: ("{0}:8", 1),
}
RTX_QUARTER, RTX_HALF, RTX_WHOLE = "{0,3,6,9}:3", "{0,6}:6", "{0}:12"
SHAPES: dict[str, dict[int, tuple[str, str, int]]] = {
    kind: {
        profile: (name, *SEVEN_PLACEMENTS[profile])
        for profile, name in zip(SEVEN_PLACEMENTS, names.split(), strict=True)
    }
    for kind, names in {
        "A100-SXM4-40GB": "1g.5gb 1g.5gb+me 1g.10gb 2g.10gb 3g.20gb 4g.20gb 7g.40gb",
        "A100-PCIE-80GB": "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb",
        "H100-SXM5-80GB": "1g.10gb 1g.10gb+me 1g.20gb 2g.20gb 3g.40gb 4g.40gb 7g.80gb",
        "H200-SXM5-141GB": "1g.18gb 1g.18gb+me 1g.35gb 2g.35gb 3g.71gb 4g.71gb 7g.141gb",
        "B200-180GB": "1g.23gb 1g.23gb+me 1g.45gb 2g.45gb 3g.90gb 4g.90gb 7g.180gb",
    }.items()
} | {
    "A30": {
        14: ("1g.6gb", "{0,1,2,3}:1", 4),
        21: ("1g.6gb+me", "{0,1,2,3}:1", 1),
        5: ("2g.12gb", "{0,2}:2", 2),
        6: ("2g.12gb+me", "{0,2}:2", 1),
        0: ("4g.24gb", "{0}:4", 1),
    },
    "RTX-PRO-6000": {
        14: ("1g.24gb", RTX_QUARTER, 4),
        21: ("1g.24gb+me", RTX_QUARTER, 1),
        47: ("1g.24gb+gfx", RTX_QUARTER, 4),
        65: ("1g.24gb+me.all", RTX_QUARTER, 1),
        67: ("1g.24gb-me", RTX_QUARTER, 4),
        5: ("2g.48gb", RTX_HALF, 2),
        35: ("2g.48gb+gfx", RTX_HALF, 2),
        64: ("2g.48gb+me.all", RTX_HALF, 1),
        66: ("2g.48gb-me", RTX_HALF, 2),
        0: ("4g.96gb", RTX_WHOLE, 1),
        32: ("4g.96gb+gfx", RTX_WHOLE, 1),
    },
}


@pytest.mark.parametrize("kind", SHAPES)
def test_every_kind_has_its_profiles_and_placements(tmp_path: Path, kind: str) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=[kind]).mig()
    rows = re.findall(r"^\| +0  MIG (\S+) +(\d+) +(\d+)/(\d+) ", machine.ok("mig -lgip"), re.M)
    assert [(int(profile), name, int(total)) for name, profile, _, total in rows] == [
        (profile, name, total) for profile, (name, _, total) in SHAPES[kind].items()
    ]
    assert all(free == total for _, _, free, total in rows)
    places = re.findall(r"^GPU  0 Profile ID +(\d+) Placement(?:s:| :) (\S+)$", machine.ok("mig -lgipp"), re.M)
    assert {int(profile): place for profile, place in places} == {
        profile: place for profile, (_, place, _) in SHAPES[kind].items()
    }


# Published captures: NVIDIA's MIG User Guide, "Instance Geometry", examples 2 and 3 (A100); of an H100 80 GB
# and an H100 NVL; of an A100 40 GB whose instance IDs are flipped; of an A30 and an RTX PRO 6000.
CHOICES = [
    ("A100-SXM4-40GB", False, "9,19,14,19", {2: 4, 7: 0, 4: 2, 8: 1}),
    ("A100-SXM4-40GB", False, "14,19,19,19,19,19", {5: 4, 13: 6, 7: 0, 8: 1, 9: 2, 10: 3}),
    ("A100-SXM4-40GB", True, "5,14,19", {2: 0, 3: 4, 9: 6}),
    ("A100-SXM4-40GB", True, "9,9", {1: 4, 2: 0}),
    ("A100-SXM4-80GB", False, "14,14,14,20", {5: 4, 3: 0, 4: 2, 13: 6}),
    ("H100-SXM5-80GB", False, "19,19,19,19,19,19,19", {13: 6, 11: 4, 12: 5, 7: 0, 8: 1, 9: 2, 10: 3}),
    ("H100-SXM5-80GB", False, "15,15,15", {5: 4, 3: 0, 4: 2}),
    ("A30", False, "14,14,5", {3: 0, 4: 1, 2: 2}),
    ("RTX-PRO-6000", False, "14,14,14,14", {3: 0, 4: 3, 5: 6, 6: 9}),
    ("RTX-PRO-6000", False, "2g.48gb,1g.24gb,1g.24gb", {1: 0, 5: 6, 6: 9}),
]


@pytest.mark.parametrize(("kind", "flipped", "profiles", "placed"), CHOICES)
def test_chooses_placements_as_the_driver(
    tmp_path: Path, kind: str, flipped: bool, profiles: str, placed: dict[int, int]
) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=[{"kind": kind, "flipped": flipped}]).mig()
    created = re.findall(r"created GPU instance ID +(\d+)", machine.ok(f"mig -cgi {profiles}"))
    assert [int(instance) for instance in created] == list(placed)
    assert starts(machine) == placed


def test_small_ones_first_leave_no_place_for_a_3g(a100: Machine) -> None:
    """MIG User Guide, "Instance Geometry", example 2."""
    answer = a100.smi("mig -cgi 19,19,14,9")
    assert answer.code == NO_ROOM
    assert answer.out.splitlines() == [
        "Successfully created GPU instance ID 13 on GPU  0 using profile MIG 1g.5gb (ID 19)",
        "Successfully created GPU instance ID 11 on GPU  0 using profile MIG 1g.5gb (ID 19)",
        "Successfully created GPU instance ID  3 on GPU  0 using profile MIG 2g.10gb (ID 14)",
        "Unable to create a GPU instance on GPU  0 using profile 9: Insufficient Resources",
        "Failed to create GPU instances: Insufficient Resources",
    ]
    assert len(starts(a100)) == 3


def test_placements_make_the_same_set_fit(a100: Machine) -> None:
    a100.ok("mig -cgi 19:0,19:1,14:2,9:4")
    assert starts(a100) == {7: 0, 8: 1, 4: 2, 2: 4}


def test_the_free_column_is_what_an_h100_reported_with_two_small_instances(hopper: Machine) -> None:
    hopper.ok("-i 0 -mig 1", "mig -cgi 19,19 -C")
    assert free(hopper) == {19: 5, 20: 1, 15: 2, 14: 2, 9: 1, 5: 1, 0: 0}
    hopper.ok("mig -dci", "mig -dgi", "mig -cgi 19,20,9")
    assert free(hopper) == {19: 1, 20: 0, 15: 0, 14: 0, 9: 0, 5: 0, 0: 0}


@pytest.mark.parametrize(
    ("kind", "first", "then", "status"),
    [
        ("A100-SXM4-40GB", "9:0", "5:0", NO_ROOM),
        ("A100-SXM4-40GB", "9,9", "19", NO_ROOM),
        ("A100-SXM4-40GB", "20", "1g.5gb+me", NO_ROOM),
        ("A100-SXM4-40GB", "19", "9:3", 2),
        ("A100-SXM4-40GB", "19", "1g.6gb", 2),
        ("A100-SXM4-40GB", "19", "19:x", 2),
        ("A30", "21", "6", NO_ROOM),
        ("RTX-PRO-6000", "1g.24gb", "1g.24gb+me.all", NO_ROOM),
        ("RTX-PRO-6000", "2g.48gb+me.all", "1g.24gb+gfx", NO_ROOM),
        ("RTX-PRO-6000", "1g.24gb+me.all", "1g.24gb-me,2g.48gb-me", 0),
    ],
)
def test_refuses_what_has_no_room(tmp_path: Path, kind: str, first: str, then: str, status: int) -> None:
    machine = Machine(tmp_path, driver="580.173.02", gpus=[kind]).mig()
    machine.ok(f"mig -cgi {first} -C")
    answer = machine.smi(f"mig -cgi {then}")
    assert answer.code == status
    words = {NO_ROOM: "Insufficient Resources", 2: "Invalid Argument", 0: "Successfully"}[status]
    assert words in answer.out.splitlines()[-1]


def test_a_3g_beside_a_4g_needs_r510(tmp_path: Path) -> None:
    old = Machine(tmp_path, driver="470.57.02", gpus=["A100-SXM4-40GB"]).mig()
    assert old.smi("mig -cgi 5,9").code == NO_ROOM


def test_profiles_come_with_drivers(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="470.57.02", gpus=["A30"]).mig()
    assert list(free(machine)) == [14, 21, 5, 0]


@given(
    st.lists(st.tuples(st.sampled_from(["19", "20", "15", "14", "9", "5", "0", "-"]), st.integers(0, 13)), max_size=9)
)
def test_free_tells_whether_another_one_goes(steps: list[tuple[str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        machine = Machine(Path(folder), driver="550.90.07", gpus=["A100-SXM4-40GB"]).mig()
        for profile, instance in steps:
            if profile == "-":
                machine.smi(f"mig -gi {instance} -dgi")
                continue
            room = free(machine)[int(profile)]
            assert (machine.smi(f"mig -cgi {profile}").code == 0) == (room > 0)
        taken = list(starts(machine).values())
        assert len(taken) == len(set(taken))


def test_parts_a_gpu_instance(a100: Machine) -> None:
    a100.ok("mig -cgi 9")
    assert "MIG 1c.3g.20gb (ID  0)" in a100.ok("mig -gi 2 -cci 0")
    assert a100.ok("mig -gi 2 -cci 2c.3g.20gb").startswith("Successfully created compute instance ID  1 ")
    answer = a100.smi("mig -gi 2 -cci 0")
    assert (answer.code, answer.out.splitlines()[-1]) == (
        NO_ROOM,
        "Failed to create compute instances: Insufficient Resources",
    )
    rows = re.findall(r"MIG (\S+) +(\d+) +(\d+) +(\d:\d) +\|", a100.ok("mig -lci"))
    assert rows == [("1c.3g.20gb", "0", "0", "2:1"), ("2c.3g.20gb", "1", "1", "0:2")]
    assert re.findall(r"  MIG (\S+) +Device +(\d)", a100.ok("-L")) == [("1c.3g.20gb", "0"), ("2c.3g.20gb", "1")]
    a100.ok("mig -gi 2 -ci 0 -dci")
    rows = re.findall(r"MIG (\S+) +(\d+)(\*?) +(\d)/(\d)", a100.ok("mig -gi 2 -lcip"))
    assert rows == [
        ("1c.3g.20gb", "0", "", "1", "3"),
        ("2c.3g.20gb", "1", "", "0", "1"),
        ("3g.20gb", "2", "*", "0", "1"),
    ]


def test_a_gpu_instance_goes_only_without_compute_instances(a100: Machine) -> None:
    a100.ok("mig -cgi 9 -C")
    assert a100.smi("mig -dgi") == Answer(
        IN_USE,
        "Unable to destroy GPU instance ID  2 from GPU  0: In use by another client\n"
        "Failed to destroy GPU instances: In use by another client\n",
    )
    a100.ok("mig -dci", "mig -dgi")


@pytest.mark.parametrize(
    ("prepare", "call", "code", "out"),
    [
        ([], "mig -lgi", 6, "No MIG-enabled devices found.\n"),
        ([], "mig -i 0 -cgi 19 -C", 6, "No MIG-enabled devices found.\n"),
        ([], "mig -i 1 -lgip", 6, "No MIG-supported devices found.\n"),
        (["-i 0 -mig 1"], "mig -lgi", 6, "No GPU instances found: Not Found\n"),
        (["-i 0 -mig 1"], "mig -dci", 6, "No GPU instances found: Not Found\n"),
        (["-i 0 -mig 1", "mig -cgi 19"], "mig -lci", 6, "No compute instances found: Not Found\n"),
        (["-i 0 -mig 1", "mig -cgi 19"], "mig -gi 3 -lgi", 6, "No GPU instances found: Not Found\n"),
        ([], "-i 7 -L", 6, "No devices were found\n"),
        ([], "--query-gpu=nonsense --format=csv", 2, 'Field "nonsense" is not a valid field to query.\n\n'),
        ([], "mig -lgi -lci", 2, "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n"),
        ([], "--nonsense", 2, "Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n"),
    ],
)
def test_says_why_not(hopper: Machine, prepare: list[str], call: str, code: int, out: str) -> None:
    for command in prepare:
        hopper.ok(command)
    assert hopper.smi(call) == Answer(code, out)


def test_a_gpu_without_mig_is_passed_over_with_a_warning(hopper: Machine) -> None:
    assert hopper.ok("-mig 1").splitlines() == [
        "Enabled MIG Mode for GPU 00000000:07:00.0",
        "Unable to enable MIG Mode for GPU 00000000:0F:00.0: Not Supported",
        "Treating as warning and moving on.",
        "All done.",
    ]
    modes = hopper.ok("--query-gpu=index,mig.mode.current,mig.mode.pending --format=csv,noheader")
    assert modes == "0, Enabled, Enabled\n1, [N/A], [N/A]\n"


def test_ampere_waits_for_a_reset(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=["A30"])
    assert "pending enable state for GPU 00000000:07:00.0:Not Supported" in machine.ok("-mig 1")
    modes = "--query-gpu=mig.mode.current,mig.mode.pending --format=csv,noheader"
    assert machine.ok(modes) == "Disabled, Enabled\n"
    assert machine.ok("-r") == "GPU 00000000:07:00.0 was successfully reset.\nAll done.\n"
    assert machine.ok(modes) == "Enabled, Enabled\n"
    machine.ok("mig -cgi 14 -C", "-mig 0", "--gpu-reset", "-mig 1", "--gpu-reset")
    assert machine.smi("mig -lgi").code == 6


def test_ampere_on_bare_metal_changes_at_once_while_idle(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=["A30"], mig_mode_change="immediate")
    assert machine.ok("-mig 1") == "Enabled MIG Mode for GPU 00000000:07:00.0\nAll done.\n"
    assert "Placement" in machine.ok("mig -lgipp")


def test_hopper_keeps_its_mode_while_it_has_instances(hopper: Machine) -> None:
    hopper.ok("-i 0 -mig 1", "mig -cgi 19")
    assert hopper.smi("-i 0 -mig 0") == Answer(
        IN_USE,
        "Unable to disable MIG Mode for GPU 00000000:07:00.0: In use by another client\n"
        "Terminating early due to previous errors.\n",
    )
    hopper.ok("mig -dgi")
    assert hopper.ok("-i 0 -mig 0").startswith("Disabled MIG Mode for GPU 00000000:07:00.0\n")


def test_ids_are_indices_uuids_and_bus_ids(tmp_path: Path) -> None:
    machine = Machine(tmp_path, gpus=["A30", {**A100_R510, "minor": 5}])
    for name in ("1", str(A100_R510["uuid"]), "00000000:0F:00.0", "0000:0f:00.0", "0F:00.0"):
        assert machine.ok(f"-i {name} --query-gpu=index --format=csv,noheader") == "1\n"
    assert sorted(path.name for path in machine.dev.iterdir())[:2] == ["nvidia-uvm", "nvidia-uvm-tools"]
    assert {"nvidia0", "nvidia5", "nvidiactl"} <= {path.name for path in machine.dev.iterdir()}


@pytest.mark.parametrize(
    ("driver", "architecture", "power"),
    [
        ("450.80.02", None, "power_readings/power_limit"),
        ("510.47.03", "Ampere", "power_readings/power_limit"),
        ("550.90.07", "Ampere", "gpu_power_readings/current_power_limit"),
    ],
)
def test_the_xml_is_the_drivers(tmp_path: Path, driver: str, architecture: str | None, power: str) -> None:
    machine = Machine(tmp_path, driver=driver, gpus=["A100-SXM4-40GB", "A100-SXM4-40GB"]).mig()
    machine.ok("mig -cgi 9 -C")
    log = ET.fromstring(machine.ok("-q -x"))
    first, second = log.findall("gpu")
    assert log.findtext("attached_gpus") == "2"
    assert (first.get("id"), first.findtext("pci/pci_bus_id")) == ("00000000:07:00.0",) * 2
    assert first.findtext("product_architecture") == architecture
    assert first.findtext("fb_memory_usage/total") == "40960 MiB"
    assert first.findtext(power) == "400.00 W"
    assert (first.findtext("mig_mode/current_mig"), second.findtext("mig_mode/current_mig")) == ("Enabled", "Disabled")
    device = {path: first.findtext(f"mig_devices/mig_device/{path}") for path in ("index", "gpu_instance_id")}
    assert device == {"index": "0", "gpu_instance_id": "2"}
    assert (second.findtext("mig_devices") or "").strip() == "None"
    assert len(ET.fromstring(machine.ok("-q -x -i 1")).findall("gpu")) == 1


def test_the_topology_has_links_and_numa_nodes(tmp_path: Path) -> None:
    machine = Machine(tmp_path, gpus=["A100-SXM4-40GB"] * 4, nvlink=[[0, 1, 12], [2, 3, "PIX"]])
    head, *rows = machine.ok("topo -m").splitlines()[:5]
    assert head == "\t\x1b[4mGPU0\tGPU1\tGPU2\tGPU3\tCPU Affinity\tNUMA Affinity\tGPU NUMA ID\x1b[0m"
    assert rows[0] == "GPU0\t X \tNV12\tSYS\tSYS\t0-31\t0\t\tN/A"
    assert rows[3] == "GPU3\tSYS\tSYS\tPIX\t X \t32-63\t1\t\tN/A"


def test_plain_tables_are_as_wide_as_their_frame(hopper: Machine) -> None:
    hopper.ok("-i 0 -mig 1", "mig -cgi 9,19 -C")
    lines = [line for line in hopper.ok("").splitlines()[1:] if line]
    assert {len(line) for line in lines} == {91}


def test_persistence_mode_goes_on_and_off(hopper: Machine) -> None:
    assert hopper.ok("-i 0 -pm 1") == "Persistence mode is already Enabled for GPU 00000000:07:00.0.\nAll done.\n"
    assert hopper.ok("-i 0 -pm 0") == "Disabled persistence mode for GPU 00000000:07:00.0.\nAll done.\n"
    assert "Warning: persistence mode is disabled on device 00000000:07:00.0." in hopper.ok("-i 0 -mig 1")
    fields = "--query-gpu=persistence_mode,power.limit,memory.total,compute_cap"
    assert hopper.ok(f"-i 0 {fields} --format=csv") == (
        "persistence_mode, power.limit [W], memory.total [MiB], compute_cap\nDisabled, 700.00 W, 81559 MiB, 9.0\n"
    )
    assert hopper.ok(f"-i 0 {fields} --format=csv,noheader,nounits") == "Disabled, 700.00, 81559, 9.0\n"


# Power, and loops

QUERY = "--query-gpu=uuid,power.draw --format=csv,noheader,nounits"


def test_a_loop_tells_all_of_it_again_and_again(hopper: Machine) -> None:
    hopper.fault(fail=[{"match": QUERY, "after": 3, "code": 255, "message": "Unknown Error"}])
    answer = hopper.smi(f"{QUERY} --loop-ms=1")
    *lines, words = answer.out.splitlines()
    assert (answer.code, words) == (255, "Unknown Error")
    assert len(lines) == 6
    assert len(set(lines)) == 2


@pytest.mark.parametrize("loop", ["-l 1", "--loop=1", "-lms 1000", "--loop-ms 1000"])
def test_every_way_to_ask_for_a_loop_is_one(hopper: Machine, monkeypatch: pytest.MonkeyPatch, loop: str) -> None:
    slept: list[float] = []
    monkeypatch.setattr(cli, "time", SimpleNamespace(monotonic=lambda: 0.0, sleep=slept.append))
    hopper.fault(fail=[{"match": "uuid", "after": 2, "code": 255}])
    assert hopper.smi(f"{QUERY} {loop}").code == 255
    assert [round(seconds) for seconds in slept] == [1, 2]


def test_power_follows_a_curve_or_has_no_number(hopper: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    curve = {"watts": 300, "swing": 100, "period": 40}
    hopper.ok("-L")
    (hopper.state / "power.json").write_text(json.dumps({"0": curve, "1": "[N/A]"}))
    reported = []
    for second in (0, 10, 30):
        monkeypatch.setattr(power.time, "time", lambda at=second: float(at))
        reported.append([line.split(", ")[1] for line in hopper.ok(QUERY).splitlines()])
    assert reported == [["300.00", "[N/A]"], ["400.00", "[N/A]"], ["200.00", "[N/A]"]]
    assert "400.00 W" not in hopper.ok("-q -x") and "200.00 W" in hopper.ok("-q -x")


@pytest.mark.parametrize(("start", "end"), [(0.0, 40.0), (3.0, 17.5), (1e9, 1e9 + 7)])
def test_the_integral_is_that_of_the_curve(start: float, end: float) -> None:
    curve, steps = {"watts": 300, "swing": 100, "period": 40}, 10_000
    width = (end - start) / steps
    summed = sum(power.watts(curve, start + (number + 0.5) * width) * width for number in range(steps))
    assert power.joules(curve, start, end) == pytest.approx(summed, rel=1e-5)


def test_a_gpu_that_is_lost_in_a_loop_has_that_word_in_place_of_everything(hopper: Machine) -> None:
    hopper.fault(lost=[0], fail=[{"match": QUERY, "after": 2, "code": 255}])
    answer = hopper.smi(f"{QUERY} --loop-ms=1")
    first, *rest = answer.out.splitlines()
    assert first.endswith(", 43.21")
    assert rest[:2] == ["[GPU is lost], [GPU is lost]", first]
    assert "GPU is lost.  Reboot the system" in answer.err


def elements(node: ET.Element, path: str = "") -> list[str]:
    """The paths of its elements, in their order."""
    return [path + child.tag for child in node] + [
        below for child in node for below in elements(child, f"{path}{child.tag}/")
    ]


def test_the_xml_of_580_has_the_elements_of_the_hardware_in_their_order(tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="580.159.04", gpus=["H100-SXM5-80GB"])
    printed, real = machine.ok("-q -x"), (NVIDIA / "captures" / "h100-80gb-r580-q-x.xml").read_text()
    assert printed.splitlines()[:2] == real.splitlines()[:2]
    known = elements(ET.fromstring(real))
    ours = elements(ET.fromstring(printed))
    assert [path for path in known if path in ours] == ours
    same = ("driver_version", "cuda_version", "gpu/product_name", "gpu/product_brand", "gpu/product_architecture")
    for path in (*same, "gpu/fabric/state", "gpu/fb_memory_usage/total", "gpu/gpu_power_readings/current_power_limit"):
        assert ET.fromstring(printed).findtext(path) == ET.fromstring(real).findtext(path)

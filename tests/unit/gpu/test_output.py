"""Reading what nvidia-smi prints, against captures of real drivers."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu import output
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import ComputeInstance, GpuInstance, Process
from ansible_collections.inference.fleet.tests.unit.samples import faults

CAPTURES = Path(__file__).resolve().parents[2] / "lab" / "nvidia" / "captures"


def capture(driver: str, command: str) -> str:
    """The output of a command on a real machine."""
    text = (CAPTURES / f"a100-40gb-{driver}.txt").read_text()
    return text.split(f"$ nvidia-smi {command}\n")[1].split("\n$ ")[0]


NARROW = ("r450", ["1g.5gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"])
WIDE = ("r510", ["1g.5gb", "1g.5gb+me", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"])
PLACEMENTS = """\
GPU  0 Profile ID 19 Placements: {0,1,2,3,4,5,6}:1
GPU  0 Profile ID 20 Placements: {0,1,2,3,4,5,6}:1
GPU  0 Profile ID 14 Placements: {0,2,4}:2
GPU  0 Profile ID  9 Placements: {0,4}:4
GPU  0 Profile ID  5 Placement : {0}:4
GPU  0 Profile ID  0 Placement : {0}:8
"""


@pytest.mark.parametrize(("driver", "names"), [NARROW, WIDE])
def test_reads_the_profiles_of_both_generations(driver: str, names: list[str]) -> None:
    profiles = output.parse_profiles(capture(driver, "mig -lgip"), PLACEMENTS)[0]
    assert [profile.name for profile in profiles] == names
    three = next(profile for profile in profiles if profile.name == "3g.20gb")
    assert (three.id, three.slices, three.size, three.starts, three.total) == (9, 3, 4, (0, 4), 2)
    assert (three.memory_gib, three.engines) == (19.62, 2)


def test_reads_placements_as_a_real_driver_prints_them() -> None:
    profiles = output.parse_profiles(capture("r450", "mig -lgip"), capture("r450", "mig -lgipp"))[0]
    assert {profile.id: (profile.starts, profile.size) for profile in profiles} == {
        19: ((0, 1, 2, 3, 4, 5, 6), 1),
        14: ((0, 2, 4), 2),
        9: ((0, 4), 4),
        5: ((0,), 4),
        0: ((0,), 8),
    }


@pytest.mark.parametrize("name", ["1g.24gb+gfx", "1g.24gb-me", "1g.24gb+me.all", "2g.48gb+me.all", "1g.10gb+me"])
def test_reads_every_suffix(name: str) -> None:
    table = (
        f"|   3  MIG {name.ljust(16)}  47     4/4        23.62      No     46     1     1   |\n"
        f"|                                                              1     1     0   |\n"
    )
    (profile,) = output.parse_profiles(table, "GPU  3 Profile ID 47 Placements: {0,3,6,9}:3\n")[3]
    assert (profile.name, profile.id, profile.size, profile.starts, profile.engines) == (name, 47, 3, (0, 3, 6, 9), 3)


def test_a_profile_without_a_placement_is_left_out() -> None:
    """A profile without a placement cannot be planned."""
    assert output.parse_profiles(capture("r510", "mig -lgip"), "") == {}


def test_reads_gpu_instances_in_the_order_of_their_placement() -> None:
    instances = output.parse_instances(capture("r510", "mig -lgi"))[0]
    assert [(one.id, str(one), one.size) for one in instances] == [
        (11, "1g.5gb at 0", 1),
        (12, "1g.5gb at 1", 1),
        (6, "2g.10gb at 2", 2),
        (1, "3g.20gb at 4", 4),
    ]


@pytest.mark.parametrize(
    ("driver", "command", "computes"),
    [
        ("r450", "mig -lci", {(0, 7): [(0, 1, None)], (0, 8): [(0, 1, None)]}),
        ("r510", "mig -gi 11 -lci", {(0, 11): [(0, 1, 0)]}),
    ],
)
def test_reads_compute_instances_with_and_without_a_placement_column(
    driver: str, command: str, computes: object
) -> None:
    assert output.parse_computes(capture(driver, command)) == computes


def test_a_part_of_a_gpu_instance_has_its_own_slices() -> None:
    table = "|   0      1       MIG 1c.3g.20gb       0         2          2:1     |\n"
    assert output.parse_computes(table) == {(0, 1): [(2, 1, 2)]}


def test_reads_which_profile_makes_which_part() -> None:
    table = """\
|   0      1       MIG 1c.3g.20gb       0      3/3           14       2     0     0   |
|                                                                   3     0        |
|   0      1       MIG 2c.3g.20gb       1      1/1           28       2     0     0   |
|                                                                   3     0        |
|   0      1       MIG 3g.20gb          2*     1/1           42       2     0     0   |
|                                                                   3     0        |
"""
    assert output.parse_compute_profiles(table) == {1: 0, 2: 1, 3: 2}


@pytest.mark.parametrize(
    ("driver", "gpu", "devices"),
    [
        (
            "r450",
            "GPU-0069414c-9f30-41f9-d5d8-87890423f0c4",
            [
                "MIG-GPU-0069414c-9f30-41f9-d5d8-87890423f0c4/7/0",
                "MIG-GPU-0069414c-9f30-41f9-d5d8-87890423f0c4/8/0",
            ],
        ),
        ("r510", "GPU-14ac2834-0d81-0508-69eb-e25264c08d21", ["MIG-b6cd45f2-9655-5269-9b96-65446729d5dc"]),
    ],
)
def test_reads_both_forms_of_uuids(driver: str, gpu: str, devices: list[str]) -> None:
    assert output.parse_list(capture(driver, "-L")) == (
        {gpu: 0},
        {(gpu, index): uuid for index, uuid in enumerate(devices)},
    )


def test_reads_nvlinks_whatever_else_is_in_the_matrix() -> None:
    text = (
        "\t\x1b[4mGPU0\tGPU1\tGPU2\tNIC0\tCPU Affinity\tNUMA Affinity\x1b[0m\n"
        "GPU0\t X \tNV12\tSYS\tPXB\t0-31\t0\n"
        "GPU1\tNV12\t X \tNODE\tSYS\t0-31\t0\n"
        "GPU2\tSYS\tNODE\t X \tNV4\t32-63\t1\n"
        "NIC0\tPXB\tSYS\tNV4\t X \t\t\n"
        "\nLegend:\n\n  X    = Self\n  NV#  = Connection traversing a bonded set of # NVLinks\n"
    )
    assert output.parse_topology(text) == {0: {1: 12}, 1: {0: 12}, 2: {}}


BAD = "WARNING: infoROM is corrupted at gpu 0000:3B:00.0"
LOG = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>550.90.07</driver_version>
  <attached_gpus>2</attached_gpus>
  <gpu id="00000000:0F:00.0">
    <product_name>NVIDIA A100-SXM4-40GB</product_name>
    <product_architecture>Ampere</product_architecture>
    <persistence_mode>Enabled</persistence_mode>
    <mig_mode><current_mig>Enabled</current_mig><pending_mig>Disabled</pending_mig></mig_mode>
    <mig_devices>
      <mig_device><index>0</index><gpu_instance_id>11</gpu_instance_id><compute_instance_id>0</compute_instance_id></mig_device>
      <mig_device><index>1</index><gpu_instance_id>1</gpu_instance_id><compute_instance_id>1</compute_instance_id></mig_device>
    </mig_devices>
    <uuid>GPU-a</uuid>
    <minor_number>3</minor_number>
    <fb_memory_usage><total>40960 MiB</total></fb_memory_usage>
    <gpu_power_readings><current_power_limit>400.00 W</current_power_limit></gpu_power_readings>
    <processes>
      <process_info>
        <gpu_instance_id>1</gpu_instance_id><compute_instance_id>1</compute_instance_id>
        <pid>812</pid><type>C</type><process_name>python3</process_name><used_memory>900 MiB</used_memory>
      </process_info>
    </processes>
  </gpu>
  <gpu id="00000000:3B:00.0">
    <product_name>NVIDIA L4</product_name>
    <persistence_mode>Disabled</persistence_mode>
    <mig_mode><current_mig>N/A</current_mig><pending_mig>N/A</pending_mig></mig_mode>
    <mig_devices>None</mig_devices>
    <uuid>GPU-b</uuid>
    <minor_number>N/A</minor_number>
    <fb_memory_usage><total>23034 MiB</total></fb_memory_usage>
    <power_readings><power_limit>72.00 W</power_limit></power_readings>
    <processes></processes>
  </gpu>
</nvidia_smi_log>
"""
LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-a)
  MIG 1g.5gb      Device  0: (UUID: MIG-one)
  MIG 1c.3g.20gb  Device  1: (UUID: MIG-two)
GPU 1: NVIDIA L4 (UUID: GPU-b)
"""
INSTANCES = {0: (GpuInstance(11, "1g.5gb", 0, 1), GpuInstance(1, "3g.20gb", 4, 4))}
COMPUTES = {(0, 11): [(0, 1, 0)], (0, 1): [(1, 1, 2)]}


def test_puts_a_gpu_together_from_all_that_tells_of_it() -> None:
    first, second = output.parse_log(LOG, LISTING, {}, INSTANCES, COMPUTES, {0: {1: 12}})
    assert (first.index, first.uuid, first.name, first.bus_id) == (
        0,
        "GPU-a",
        "NVIDIA A100-SXM4-40GB",
        "00000000:0F:00.0",
    )
    assert (first.memory, first.driver, first.architecture, first.minor) == (40960, "550.90.07", "Ampere", 3)
    assert (first.mig, first.mig_pending, first.persistence, first.power_limit) == (True, False, True, 400.0)
    assert first.links == {1: 12}
    assert first.instances[1].compute == (ComputeInstance(1, 1, 2, "MIG-two", 1),)
    assert first.devices == {"MIG-one": "1g.5gb", "MIG-two": "1c.3g.20gb"}
    assert first.processes == (Process(812, "python3", 1, 1),)
    assert first.device_of(first.processes[0]) == "MIG-two"
    assert (second.mig, second.mig_pending, second.minor, second.power_limit) == (None, None, None, 72.0)
    assert second.architecture is None


@pytest.mark.parametrize("text", ["", "NVIDIA-SMI has failed", "<nvidia_smi_log><gpu>", "\x00\x01"])
def test_garbage_is_reported_as_what_it_is(text: str) -> None:
    (fault,) = faults(output.parse_log, text, "", {}, {}, {}, {})
    assert fault.startswith("nvidia-smi -q -x: expected XML, got ")


def test_a_log_without_what_a_gpu_must_have_is_refused_with_the_gpu() -> None:
    (fault,) = faults(output.parse_log, LOG.replace("<uuid>GPU-b</uuid>", ""), LISTING, {}, INSTANCES, COMPUTES, {})
    assert fault == "nvidia-smi -q -x: GPU 00000000:3B:00.0 has no uuid"


def test_a_gpu_that_the_list_lacks_is_reported() -> None:
    (fault,) = faults(output.parse_log, LOG, LISTING.split("GPU 1")[0], {}, INSTANCES, COMPUTES, {})
    assert fault == (
        "nvidia-smi -L: expected a line with GPU-b, got at its end '  MIG 1c.3g.20gb  Device  1: (UUID: MIG-two)'"
    )


@pytest.mark.parametrize(
    ("listing", "computes", "reported"),
    [
        (LISTING.replace("  MIG 1c", "\n"), COMPUTES, "-q -x: 1/1, 11/0; mig -lgi and -lci: 1/1, 11/0; -L: 11/0"),
        (LISTING, {(0, 1): [(1, 1, 2)]}, "-q -x: 1/1, 11/0; mig -lgi and -lci: 1/1; -L: 1/1"),
        ("GPU 0: A (UUID: GPU-a)", {}, "-q -x: 1/1, 11/0; mig -lgi and -lci: none; -L: none"),
    ],
)
def test_listings_that_do_not_agree_are_reported_side_by_side(
    listing: str, computes: output.Computes, reported: str
) -> None:
    """The listings are separate calls, and the GPU may change in between."""
    assert faults(output.parse_log, LOG, listing, {}, INSTANCES, computes, {}) == [
        f"nvidia-smi: GPU 0: its listings show different MIG devices (GPU instance/compute instance): {reported}. "
        "The MIG devices changed meanwhile, or an answer was cut off: run again"
    ]


def test_reads_the_log_of_a_real_h100() -> None:
    listing = "GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-1111-2222-3333-444444444444)"
    xml = (CAPTURES / "h100-80gb-r580-q-x.xml").read_text()
    (gpu,) = output.parse_log(xml, listing, {}, {}, {}, {})
    assert (gpu.memory, gpu.driver, gpu.cuda, gpu.architecture) == (81559, "580.159.04", "13.0", "Hopper")
    assert (gpu.brand, gpu.fabric_state, gpu.fabric_status, gpu.mig) == ("NVIDIA", None, None, False)


@pytest.mark.parametrize(
    ("text", "whole", "warnings"),
    [
        (LOG, LOG.rstrip(), ()),
        (f"NVRM: something\n{LOG}\n{BAD}\n", LOG.rstrip(), ("NVRM: something", BAD)),
        (f"GPU 0: A (UUID: GPU-a)\n{BAD}\n", "GPU 0: A (UUID: GPU-a)\n", (BAD,)),
        ("Warning: one\n|  table |\n", "|  table |\n", ("Warning: one",)),
        (LOG[:-30], LOG[:-30], ()),
    ],
)
def test_warnings_around_an_answer_are_kept_apart(text: str, whole: str, warnings: tuple[str, ...]) -> None:
    assert output.split_warnings(text) == (whole, warnings)


def test_a_table_that_is_cut_off_is_reported_with_its_end() -> None:
    whole = capture("r510", "mig -lgi")
    assert output.check_table(whole, "mig -lgi") == whole
    assert output.check_table(f"Warning: something\n{whole}\nWarning: more", "mig -lgi")
    cut = whole.rstrip().rpartition("\n")[0]
    assert faults(output.check_table, cut, "mig -lgi") == [
        f"nvidia-smi mig -lgi: expected a table that ends with its frame, got at its end {cut.splitlines()[-1]!r}"
    ]
    assert faults(output.check_table, "", "mig -lci") == [
        "nvidia-smi mig -lci: expected a table that ends with its frame, got nothing"
    ]


def test_a_line_among_the_placements_that_is_no_profiles_is_reported() -> None:
    listed = capture("r450", "mig -lgipp")
    assert output.check_placements(listed) == listed
    assert faults(output.check_placements, f"{listed}\nGPU  0 Prof") == [
        "nvidia-smi mig -lgipp: expected a profile's placements, got 'GPU  0 Prof'"
    ]


def test_a_matrix_without_a_row_for_each_gpu_is_reported() -> None:
    assert faults(output.parse_topology, "\tGPU0\tGPU1\nGPU0\t X \tNV12\n") == [
        "nvidia-smi topo -m: expected a matrix with a row for each GPU, got at its end 'GPU0\\t X \\tNV12'"
    ]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("/usr/bin/python3", "/usr/bin/python3"),
        ("VLLM::EngineCore", "VLLM::EngineCore"),
        ("Unable to determine the device handle", "Unable_to_determine_the_device_handle"),
        ("couldn't communicate with the NVIDIA driver", "couldn_t_communicate_with_the_NVIDIA_driver"),
        ("a & b < c", "a___b___c"),
        ("</process_name></process_info></processes></gpu><gpu id=", None),
        ("\x01\x1b[2J\ufffd\n", "___2J__"),
        ("</nvidia_smi_log>", "_/nvidia_smi_log_"),
    ],
)
def test_a_process_cannot_falsify_the_log_by_its_name(name: str, shown: str | None) -> None:
    """Containers with a GPU choose the names of their processes."""
    text = output.with_plain_names(LOG.replace(">python3<", f">{name}<"))
    xml, warnings = output.split_warnings(text)
    gpus = output.parse_log(xml, LISTING, {}, INSTANCES, COMPUTES, {})
    assert (len(gpus), warnings, "Unable to " in text) == (2, (), False)
    (process,) = gpus[0].processes
    assert process == Process(812, shown or process.name, 1, 1)

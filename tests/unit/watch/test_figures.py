"""What nvidia-smi prints of the GPUs' figures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch.figures import QUERY, parse_figures

NVIDIA = Path(__file__).resolve().parents[2] / "lab" / "nvidia"
sys.path.insert(0, str(NVIDIA))

from simulated_nvidia.machine import Machine  # noqa: E402  # found by the path above

LINE = "0, GPU-14ac2834, 93, 61440, 81559, 64, 512.30, 700.00"


def test_the_figures_of_a_gpu() -> None:
    assert parse_figures(f"{LINE}\n") == [
        {
            "index": 0,
            "uuid": "GPU-14ac2834",
            "utilization": 93,
            "memory_used_mib": 61440,
            "memory_mib": 81559,
            "temperature": 64,
            "power": 512.3,
            "power_limit": 700.0,
        }
    ]


@pytest.mark.parametrize("word", ["[N/A]", "N/A", "[Not Supported]", "[Unknown Error]", "[GPU is lost]", "", "nan"])
def test_what_is_no_number_is_null(word: str) -> None:
    (one,) = parse_figures(LINE.replace("93", word).replace("512.30", word))
    assert (one["utilization"], one["power"], one["temperature"]) == (None, None, 64)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "WARNING: infoROM is corrupted at gpu 0000:17:00.0",
        "No devices were found",
        "[GPU is lost]",
        LINE + ", 1",
    ],
)
def test_other_lines_are_left_out(line: str) -> None:
    assert len(parse_figures(f"{line}\n{LINE}\n")) == 1


@pytest.mark.parametrize("mig", [False, True])
def test_reads_the_simulated_driver(mig: bool, tmp_path: Path) -> None:
    machine = Machine(tmp_path, driver="550.90.07", gpus=["A100-SXM4-40GB", "L40S"])
    if mig:
        machine.mig()
    found = parse_figures(machine.ok(" ".join(QUERY)))
    assert [one["index"] for one in found] == [0, 1]
    assert found[0]["utilization"] == (None if mig else 0)
    assert (found[0]["memory_mib"], found[0]["temperature"], found[0]["power_limit"]) == (40960, 34, 400.0)

"""The sampler of the GPUs' energy: its cost, and its error against known power.

Runs the real program as systemd does, with the lab's simulated nvidia-smi, whose power follows curves
with known integrals. It asks this machine's Docker, which has none of the models.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.energy import rows as rows_module
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import ENERGY, GAP, Row
from docker import DockerClient
from playbook import BenchError
from report import Findings, against

ROOT = Path(__file__).resolve().parents[2]
NVIDIA = ROOT / "tests/lab/nvidia"
COLLECTIONS = Path(rows_module.__file__).parents[6]
sys.path.insert(0, str(NVIDIA))

from simulated_nvidia.power import joules  # noqa: E402  # found by the path above

PROGRAM = "ansible_collections.inference.fleet.plugins.module_utils.energy.sampler"
PYTHON = "/usr/bin/python3"  # the system's, as the unit has it
GPUS = 8
WARM_UP_S, SECONDS = 5, 120
AIM_CPU, AIM_MB, AIM_ERROR = 0.5, 30, 1
# Mean watts, amplitude in watts, period in seconds: a constant load, and increasingly faster ones.
CURVES = [(400, 0, 60), (400, 250, 60), (350, 300, 30), (350, 300, 20), (350, 300, 15), (350, 300, 10)]
CURVES += [(300, 200, 8), (300, 200, 5)]


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = _machine(folder)
        say(f"{SECONDS} s")
        cost, child = _run(environment)
        rows = [
            row for path in folder.glob("energy/*.csv") for row in map(Row.parse, path.read_text().splitlines()) if row
        ]
    yield _cost(cost, child)
    yield _error(rows)


def _machine(folder: Path) -> Mapping[str, str]:
    """The environment of a host with eight GPUs, each with its curve."""
    for name in ("bin", "energy", "state"):
        (folder / name).mkdir()
    (folder / "bin/nvidia-smi").symlink_to(NVIDIA / "nvidia-smi")
    (folder / "config.json").write_text(json.dumps({"driver": "580.173.02", "gpus": ["H100-SXM5-80GB"] * GPUS}))
    (folder / "state/power.json").write_text(json.dumps({str(index): _curve(index) for index in range(GPUS)}))
    return {
        "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
        "PYTHONPATH": str(COLLECTIONS),
        "PYTHONDONTWRITEBYTECODE": "1",
        "INFERENCE_FLEET_ENERGY_FOLDER": str(folder / "energy"),
        "SIMULATED_NVIDIA_CONFIG": str(folder / "config.json"),
        "SIMULATED_NVIDIA_STATE": str(folder / "state"),
        "SIMULATED_NVIDIA_PERSISTENT": str(folder / "persistent"),
        "SIMULATED_NVIDIA_DEV": str(folder / "dev"),
    }


def _curve(index: int) -> dict[str, float]:
    return dict(zip(("watts", "swing", "period"), CURVES[index], strict=True))


def _run(environment: Mapping[str, str]) -> tuple[dict[str, float], dict[str, float]]:
    """Processor seconds during the measurement, and peak memory, of the sampler and of its nvidia-smi."""
    process = subprocess.Popen([PYTHON, "-m", PROGRAM], env=environment, stdout=subprocess.PIPE, text=True)
    try:
        time.sleep(WARM_UP_S)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if process.poll() is not None or not children:
            raise BenchError("the sampler does not run")
        before = [_seconds(pid) for pid in (process.pid, int(children[0]))]
        time.sleep(SECONDS)
        found = [
            {"cpu": _seconds(pid) - spent, "mb": _most_memory(pid)}
            for pid, spent in zip((process.pid, int(children[0])), before, strict=True)
        ]
    finally:
        process.send_signal(signal.SIGTERM)
        said = process.communicate()[0]
    if said:
        raise BenchError(f"the sampler met trouble: {said.strip()}")
    return found[0], found[1]


def _seconds(pid: int) -> float:
    """proc(5): of a process and all its threads, from the scheduler's own count in nanoseconds."""
    return sum(int(path.read_text().split()[0]) for path in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def _most_memory(pid: int) -> float:
    """Peak resident MB (10^6 bytes), including memory shared with other programs."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _cost(sampler: dict[str, float], child: dict[str, float]) -> Findings:
    def share(of: dict[str, float]) -> float:
        return 100 * of["cpu"] / SECONDS

    return Findings(
        title=f"The energy sampler: {GPUS} GPUs, a sample a second",
        columns=("", "of one core", "memory at most"),
        rows=(
            ("the sampler", f"{share(sampler):.2f}%", f"{sampler['mb']:.1f} MB"),
            ("the simulated nvidia-smi", f"{share(child):.2f}%", f"{child['mb']:.1f} MB"),
        ),
        notes=(
            f"Processor: {against(share(sampler), AIM_CPU, '%')}. Memory: {against(sampler['mb'], AIM_MB, ' MB')}.",
            f"Over {SECONDS} s, after {WARM_UP_S} s to start, with the system's Python. The simulated nvidia-smi is a "
            "Python program that reads its files every second; the real nvidia-smi has not been measured.",
            "No other tool does the same, so there is no comparison.",
        ),
    )


def _error(rows: list[Row]) -> Findings:
    """Each GPU's energy against the integral of its curve over the time of its rows."""
    gaps = sum(row.seconds for row in rows if row.kind == GAP)
    reported: list[tuple[str, ...]] = []
    worst = 0.0
    for index, gpu in enumerate(dict.fromkeys(row.gpu for row in rows)):
        own = [row for row in rows if row.gpu == gpu and row.kind == ENERGY]
        right = sum(joules(_curve(index), row.start, row.end) for row in own) / 3600
        error = 100 * (sum(row.wh for row in own) / right - 1)
        worst = max(worst, abs(error))
        watts, swing, turn = CURVES[index]
        curve = f"{watts} W" + (f" ± {swing} W, period {turn} s" if swing else "")
        reported.append((curve, f"{right:.3f} Wh", f"{error:+.3f}%"))
    return Findings(
        title="Measured energy against known curves",
        columns=("power", "integral", "measured, difference"),
        rows=tuple(reported),
        notes=(
            f"Largest error: {against(worst, AIM_ERROR, '%')}. Not measured, marked as gaps: {gaps:.1f} s.",
            "Sines, each integrated over the time of its rows. One sample per second, because nvidia-smi's power is a "
            "mean of about a second on most GPUs. The accuracy of the GPU's sensor is not measured here.",
        ),
    )

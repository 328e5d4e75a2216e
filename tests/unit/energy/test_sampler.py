"""The program as systemd runs it: real processes, real files, a simulated nvidia-smi."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import ENERGY, GAP, Row
from ansible_collections.inference.fleet.tests.unit.energy.lab import Machine, machine_on_path
from simulated_nvidia.power import joules  # found by the path that the lab adds

MODULE = "ansible_collections.inference.fleet.plugins.module_utils.energy.sampler"
CURVE = {"watts": 300, "swing": 200, "period": 40}
PATIENCE_S = 15


class Service:
    """A sampler that tests can restart with the same folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def run(self, seconds: float, end: int = signal.SIGTERM) -> str:
        """The sampler's output until it is stopped, this number of seconds after the start of nvidia-smi."""
        environment = {**os.environ, "INFERENCE_FLEET_ENERGY_FOLDER": str(self.folder)}
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE], env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        deadline = time.monotonic() + PATIENCE_S
        while not children.read_text() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(seconds)
        (child, *_others) = children.read_text().split()
        process.send_signal(end)
        said = process.communicate(timeout=PATIENCE_S)[0]
        if end == signal.SIGKILL:
            os.kill(int(child), signal.SIGKILL)  # systemd's part
        else:
            assert not Path(f"/proc/{child}").exists()
        return said

    @property
    def rows(self) -> list[Row]:
        lines = [line for path in sorted(self.folder.iterdir()) for line in path.read_text().splitlines()]
        return [row for row in map(Row.parse, lines) if row]


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return machine_on_path(tmp_path, monkeypatch, gpus=["L40S"])


@pytest.fixture
def service(tmp_path: Path) -> Service:
    return Service(tmp_path / "energy")


def test_a_stop_writes_all_and_the_next_start_marks_what_lies_between(machine: Machine, service: Service) -> None:
    (machine.state / "power.json").write_text(f'{{"0": {CURVE}}}'.replace("'", '"'))
    service.run(4.5)
    service.run(3.5)
    first, gap, second = service.rows
    assert [row.kind for row in service.rows] == [ENERGY, GAP, ENERGY]
    assert (first.end, gap.end) == (gap.start, second.start)
    for row in (first, second):
        assert row.wh == pytest.approx(joules(CURVE, row.start, row.end) / 3600, rel=0.02)
        assert row.seconds == pytest.approx(row.end - row.start, abs=0.01)


def test_one_that_is_killed_loses_its_last_rows_alone_and_they_are_a_gap(machine: Machine, service: Service) -> None:
    service.run(2.5)
    service.run(2.5, signal.SIGKILL)
    service.run(2.5)
    # The second gap is what the killed one had not written yet; the first it wrote itself, at its first reading.
    assert [row.kind for row in service.rows] == [ENERGY, GAP, GAP, ENERGY]
    assert all(one.end == other.start for one, other in itertools.pairwise(service.rows))
    assert service.rows[2].seconds > 2

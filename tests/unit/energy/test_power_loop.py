"""One nvidia-smi that keeps running, and how its faults are handled."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy import power_loop as module
from ansible_collections.inference.fleet.plugins.module_utils.energy.power_loop import PowerLoop
from ansible_collections.inference.fleet.tests.unit.energy.lab import Machine, fault, machine_on_path

PATIENCE_S = 15
GAP = "; nvidia-smi is restarted, and the time without readings is recorded as a gap"


class Heard:
    """What a loop reported, until a test has enough of it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.loop = PowerLoop(1, self.said.append)
        self.also, self._writer = os.pipe()
        self.readings: dict[str, object] = {}

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, self.said
            self.readings |= self.loop.read(0.1, self.also)

    def close(self) -> None:
        self.loop.stop()
        os.close(self.also)
        os.close(self._writer)


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setattr(module, "SILENT_S", 1.5)
    monkeypatch.setattr(module, "SILENT_INTERVALS", 1)
    monkeypatch.setattr(module, "WAIT_S", (0.1, 0.4))
    return machine_on_path(tmp_path, monkeypatch)


@pytest.fixture
def heard(machine: Machine) -> Iterator[Heard]:
    found = Heard()
    yield found
    found.close()


def test_tells_every_gpu_by_its_uuid(machine: Machine, heard: Heard) -> None:
    (machine.state / "power.json").write_text('{"0": 321.5, "1": "[Not Supported]"}')
    heard.until(lambda: len(heard.readings) == 2)
    uuids = machine.ok("--query-gpu=uuid --format=csv,noheader").split()
    assert heard.readings == dict(zip(uuids, [321.5, "[Not Supported]"], strict=True))
    assert not heard.said


def test_one_that_hangs_is_ended_and_started_again(machine: Machine, heard: Heard) -> None:
    heard.until(lambda: bool(heard.readings))
    fault(machine, hang=True)
    heard.until(lambda: bool(heard.said))
    assert heard.said == [f"nvidia-smi reported no power for 2 s{GAP}"]
    assert heard.loop.trouble == "nvidia-smi reported no power for 2 s"
    fault(machine)
    heard.until(lambda: not heard.loop.trouble)
    assert heard.said[1:] == ["nvidia-smi reports the power again"]


def test_one_that_dies_is_started_again_later_and_later_and_reported_once(machine: Machine, heard: Heard) -> None:
    heard.until(lambda: bool(heard.readings))
    fault(machine, fail=[{"match": "power.draw", "code": 255, "message": "Unknown Error"}])
    heard.until(lambda: heard.loop._wait == 0.4)
    assert heard.said == [f"nvidia-smi ended with 255: Unknown Error{GAP}"]
    fault(machine, driver="not loaded")
    heard.until(lambda: len(heard.said) == 2)
    assert heard.said[1].startswith("nvidia-smi ended with 9: NVIDIA-SMI has failed because it couldn't communicate")
    fault(machine)
    heard.until(lambda: not heard.loop.trouble)
    assert heard.loop._wait == 0.1


def test_garbage_is_no_reading_and_its_words_are_reported(machine: Machine, heard: Heard) -> None:
    heard.until(lambda: bool(heard.readings))
    fault(machine, garbage=True)
    heard.readings.clear()
    heard.until(lambda: bool(heard.said))
    assert all(isinstance(reported, float) for reported in heard.readings.values())
    assert heard.said[0].startswith("nvidia-smi reported no power for 2 s")


def test_a_gpu_off_the_bus_takes_no_other_along(machine: Machine, heard: Heard) -> None:
    heard.until(lambda: len(heard.readings) == 2)
    fault(machine, lost=[0])
    _first, second = heard.readings
    time.sleep(
        1
    )  # what was in the pipe before the fault, and cannot be distinguished from what comes after, is there by then
    heard.loop.read(0.1, heard.also)
    heard.readings.clear()
    heard.until(lambda: bool(heard.readings))
    assert list(heard.readings) == [second]
    assert heard.loop._words == "[GPU is lost], [GPU is lost]"


def test_a_host_without_nvidia_smi_is_reported(monkeypatch: pytest.MonkeyPatch, heard: Heard) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    heard.until(lambda: bool(heard.said))
    assert heard.said == [f"no nvidia-smi on this host{GAP}"]


def test_one_that_cannot_be_started_is_reported_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heard: Heard
) -> None:
    program = tmp_path / "bin" / "nvidia-smi"
    program.parent.mkdir(exist_ok=True)
    program.unlink(missing_ok=True)
    program.write_bytes(b"\x7fELF of another machine")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    heard.until(lambda: heard.loop._wait == 0.4)
    assert heard.said == [f"{program} cannot be started: Exec format error{GAP}"]


def test_one_that_cannot_be_killed_gets_no_second_beside_it(
    machine: Machine, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "REAP_S", 0.1)
    heard.until(lambda: bool(heard.readings))
    process = heard.loop._process
    assert process
    monkeypatch.setattr(module.os, "killpg", lambda _pid, _signal: None)
    fault(machine, hang=True)
    heard.until(lambda: bool(heard.said))
    fault(machine)
    for _number in range(10):
        assert heard.loop.read(0.1, heard.also) == {}
    assert heard.loop._process is None
    process.kill()
    heard.until(lambda: not heard.loop.trouble)

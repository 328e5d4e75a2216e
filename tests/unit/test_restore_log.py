"""inference.fleet.restore_log: steps with their times, both halves together: the action here, the module on a host."""

from __future__ import annotations

import getpass
import json
import shutil
import socket
import stat
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.action import restore_log as action
from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import STEPS
from ansible_collections.inference.fleet.plugins.modules import restore_log as module
from ansible_collections.inference.fleet.tests.unit.running import Module

ME = f"{getpass.getuser()}@{socket.gethostname()}"


class Play:
    """The tasks of one play on gpu1, a second apart. shown: their output."""

    def __init__(self, record: Path, main: Module, monkeypatch: pytest.MonkeyPatch) -> None:
        self.record = record
        self.main = main
        self.monkeypatch = monkeypatch
        self.now = 1_767_225_600.0
        self.facts: dict[str, Any] = {"inventory_hostname": "gpu1"}
        self.shown: list[str] = []

    def run(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        self.now += 1
        self.monkeypatch.setattr(action.time, "time", lambda: self.now)
        self.monkeypatch.setattr(action.Display, "warning", lambda _self, text: self.shown.append(text))
        self.monkeypatch.setattr(action.Display, "display", lambda _self, text: self.shown.append(text))
        plugin = action.ActionModule(Mock(args=arguments, check_mode=check), Mock(), Mock(), Mock(), Mock(), Mock())
        self.monkeypatch.setattr(
            plugin, "_execute_module", lambda module_name, module_args, task_vars: self.main(check, **module_args)
        )
        answer: dict[str, Any] = plugin.run(task_vars=self.facts)
        self.facts.update(json.loads(json.dumps(answer.get("ansible_facts", {}))))
        return answer

    def begin(self, check: bool = False) -> None:
        self.run(check, state="begun", path=str(self.record))

    def end(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return self.run(check, state="ended", path=str(self.record), **arguments)

    def kept(self) -> Any:
        return json.loads(self.record.read_text())


@pytest.fixture
def play(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Play:
    begun = Play(tmp_path / "lib" / "restore.json", Module(module.main, capsys), monkeypatch)
    begun.begin()
    return begun


def test_each_step_is_told_as_it_ends_with_its_time(play: Play) -> None:
    assert not play.run(step="checks").get("failed")
    play.run(step="foundation", fault="")
    play.run(step="GPUs", fault="GPU 0 fell off the bus")
    assert play.shown == [
        "gpu1: checks           1.0 s",
        "gpu1: foundation       1.0 s",
        "gpu1: GPUs             1.0 s  FAILED",
    ]


def test_a_step_that_failed_does_not_stop_those_after_it(play: Play) -> None:
    assert not play.run(step="GPUs", fault="GPU 0 fell off the bus").get("failed")


def test_a_restore_that_went_well_is_told_and_recorded(play: Play) -> None:
    for step in STEPS:
        play.run(step=step)
    answer = play.end(fault="")
    assert not answer.get("failed")
    assert not answer["changed"]
    assert answer["msg"].splitlines()[0] == "gpu1: succeeded after 10.0 s"
    assert play.shown[-1] == answer["msg"]
    kept = play.kept()
    assert [step["name"] for step in kept["steps"]] == list(STEPS)
    assert (kept["by"], kept["ended"] - kept["began"]) == (ME, 10.0)


def test_a_fault_at_the_end_is_that_of_the_step_under_way(play: Play) -> None:
    play.run(step="checks")
    answer = play.end(fault="cannot reach the Docker daemon")
    assert answer["failed"] is True
    assert answer["msg"].splitlines() == [
        "gpu1: ended with faults after 2.0 s",
        "  checks           1.0 s",
        "  foundation       1.0 s  FAILED",
        "  not tried: GPUs, PostgreSQL, models, LiteLLM, Caddy, monitoring, models ready",
        "foundation: cannot reach the Docker daemon",
        "  what to do: fix the named faults, then run reboot_restore again",
    ]
    assert play.kept()["steps"][1]["fault"] == "cannot reach the Docker daemon"


def test_a_restore_with_a_fault_before_its_end_ends_as_failed(play: Play) -> None:
    play.run(step="models ready", fault="vllm-a-1: exited with 1")
    assert play.end(fault="")["failed"] is True
    assert len(play.kept()["steps"]) == 1


def test_the_record_is_the_owners_alone_and_replaced_as_a_whole(play: Play) -> None:
    play.end()
    first = play.record.open()
    play.end(fault="x")
    assert json.load(first)["steps"] == []
    assert play.kept()["steps"]
    assert stat.S_IMODE(play.record.stat().st_mode) == 0o600
    assert {path.name for path in play.record.parent.iterdir()} == {play.record.name, "metrics"}


def test_prometheus_is_told_in_a_file_that_its_exporter_may_read(play: Play) -> None:
    play.end(fault="x")
    (told,) = (play.record.parent / "metrics").iterdir()
    assert (told.name, stat.S_IMODE(told.stat().st_mode)) == ("restore.prom", 0o644)
    assert "inference_fleet_restore_failed 1.0\n" in told.read_text()


def test_a_record_that_cannot_be_written_hides_no_fault(play: Play) -> None:
    shutil.rmtree(play.record.parent)
    play.record.parent.write_text("a file where the folder should be")
    play.begin()
    assert play.shown == [f"gpu1: {play.record}: the record of this restore cannot be written (File exists)"]
    answer = play.end(fault="GPU 0 fell off the bus")
    assert answer["failed"] is True
    assert "checks: GPU 0 fell off the bus\n" in answer["msg"]
    assert answer["msg"].endswith(f"\n{play.record}: the record of this restore cannot be written (File exists)")


def test_one_that_began_is_recorded_with_its_time_before_anything_is_tried(play: Play) -> None:
    assert (play.kept()["ended"], play.kept()["steps"]) == (None, [])
    metrics = (play.record.parent / "metrics/restore.prom").read_text()
    assert f"inference_fleet_restore_began_timestamp_seconds {play.kept()['began']}" in metrics


def test_check_mode_says_so_and_keeps_no_record(play: Play) -> None:
    shutil.rmtree(play.record.parent)
    play.begin(check=True)
    assert play.end(check=True)["msg"].startswith("gpu1: check mode, nothing was done")
    assert not play.record.parent.exists()


@pytest.mark.parametrize("state", ["step", "ended"])
def test_without_a_beginning_it_says_so(play: Play, state: str) -> None:
    play.facts = {"inventory_hostname": "gpu1"}
    answer = play.run(state=state)
    assert answer["failed"] is True
    assert answer["msg"] == f"state: {state} without an earlier state: begun in the same play"


@pytest.mark.parametrize(("by_itself", "who"), [(True, "the host itself"), (False, ME)])
def test_a_run_is_the_hosts_own_where_its_inventory_says_so(play: Play, by_itself: bool, who: str) -> None:
    play.facts["restore_by_itself"] = by_itself
    play.begin()
    play.end()
    assert play.kept()["by"] == who


def test_the_module_alone_has_no_clock(play: Play) -> None:
    answer = play.main(state="ended")
    assert answer["failed"] is True
    assert answer["msg"] == "record: missing; the action plugin inference.fleet.restore_log sets it"

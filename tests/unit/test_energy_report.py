"""inference.fleet.energy_usage and energy_report: sums of a host's files, and the report of all hosts."""

from __future__ import annotations

import builtins
import subprocess
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.action import energy_report, energy_usage
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import HEADING
from ansible_collections.inference.fleet.tests.unit.plugin_utils.test_energy import HOUR, MIDNIGHT, row

Answer = dict[str, Any]
DAYS = {"period": "day", "first": "2026-11-23", "last": "2026-11-23"}


def act(plugin: Any, arguments: Mapping[str, Any], check: bool = False, **task_vars: Any) -> Answer:
    action = plugin.ActionModule(Mock(args=dict(arguments), check_mode=check), Mock(), Mock(), Mock(), Mock(), Mock())

    def run(command: str) -> Answer:
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout, "stderr": done.stderr}

    action._low_level_execute_command = run
    answer: Answer = action.run(task_vars=task_vars)
    return answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A host's, with a day before the period, the period's, and one after it."""
    for day in (-1, 0, 1):
        one = row(day * 24 * HOUR, 100.0 + day)
        (tmp_path / one.file).write_text(HEADING + one.line() + "2026-11-23T")
    (tmp_path / "energy-notes.txt").write_text("mine")
    return tmp_path


def test_a_host_sends_what_the_period_needs(folder: Path) -> None:
    answer = act(energy_usage, {**DAYS, "folder": str(folder)})
    assert [(sums[0], sums[1], sums[2], sums[6]) for sums in answer["sums"] if sums[1] == "energy"] == [
        ("2026-11-23", "energy", "chat", 100.0)
    ]
    assert answer["changed"] is False


@pytest.mark.parametrize("name", ["", "gone", "a b'c\"$(false)"])
def test_a_host_without_files_says_so(tmp_path: Path, name: str) -> None:
    if name == "":
        (tmp_path / "empty").mkdir()
    answer = act(energy_usage, {**DAYS, "folder": str(tmp_path / (name or "empty"))})
    assert (answer["sums"], answer["note"]) == ([], "nothing was measured in this period")


def test_an_answer_that_was_cut_off_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(energy_usage, "_READ", "echo H4sIAAAA:1764000000")
    assert act(energy_usage, {**DAYS, "folder": str(folder)})["msg"] == (
        f"{folder}: the host's answer is incomplete, or has output of a login script"
    )


@pytest.mark.parametrize("plugin", [energy_usage, energy_report])
def test_a_wrong_period_is_told_before_anything_else(plugin: Any) -> None:
    told = {"sums": [["2026-11-23", "energy", "chat", "c", "s i", 3600.0, 5.0]]}
    hosts = {"ansible_play_hosts_all": ["gpu1"], "hostvars": {"gpu1": {"usage": told}}}
    answer = act(plugin, {"period": "year", "usage": "usage"}, **hosts)
    assert answer == {"failed": True, "msg": "period: expected one of day, week, month, got 'year'"}


class Fleet:
    """A report of hosts: name -> result of energy_usage, or None for one that was not reached."""

    def __init__(self, dest: Path, **hosts: Answer | None) -> None:
        self.dest = dest
        self.task_vars = {
            "ansible_play_hosts_all": list(hosts),
            "hostvars": {host: {"usage": told} if told else {} for host, told in hosts.items()},
        }

    def report(self, check: bool = False, **more: Any) -> Answer:
        return act(energy_report, {"usage": "usage", "dest": str(self.dest), **DAYS, **more}, check, **self.task_vars)


@pytest.fixture
def fleet(tmp_path: Path, folder: Path) -> Fleet:
    told = act(energy_usage, {**DAYS, "folder": str(folder)})
    return Fleet(tmp_path / "reports" / "new", gpu1=told, gpu2={"failed": True, "msg": "no sudo"}, gpu3=None)


def test_the_files_are_written_once_and_those_that_could_not_be_read_are_named(fleet: Fleet) -> None:
    would = fleet.report(check=True)
    assert would["changed"] and not fleet.dest.exists()
    answer = fleet.report(price="0.31", currency="EUR")
    base = f"{fleet.dest}/energy-2026-11-23--2026-11-23-by-day"
    assert answer["files"] == [f"{base}.csv", f"{base}-sessions.csv", f"{base}.svg"]
    assert answer["note"].startswith("gpu1: nothing since 2026-11-23 01:00 UTC")
    assert answer["note"].endswith("gpu2: no sudo; gpu3: could not be read")
    heading, chat, gap = Path(f"{base}.csv").read_text().splitlines()
    assert heading == "from,to,host,model,hours,kwh,cost_EUR"
    assert chat == "2026-11-23,2026-11-23,gpu1,chat,1.0,0.1,0.031"
    assert gap.startswith("2026-11-23,2026-11-23,gpu1,(not measured),") and gap.endswith(",,")
    assert not fleet.report(price="0.31", currency="EUR")["changed"]
    assert fleet.report(price="0.40", currency="EUR")["changed"]


def test_the_energy_of_a_million_tokens_is_a_price_to_paste(fleet: Fleet) -> None:
    counted = '[{"model": "chat", "input": 1500000, "output": 500000}, {"model": "other", "input": 5, "output": null}]'
    fleet.task_vars["hostvars"]["gpu1"]["tokens"] = {"stdout": f"{counted}\n"}
    answer = fleet.report(price="0.30", tokens="tokens")
    assert answer["prices"] == ["chat: price: {input: 0.015, output: 0.015} (0.1 kWh, 2.0 million tokens)"]
    assert fleet.report(price="0.30")["prices"] == []
    assert "prices" not in fleet.report(tokens="tokens")


def test_a_chart_may_be_a_picture(fleet: Fleet) -> None:
    (chart,) = [Path(path) for path in fleet.report(format="png")["files"] if path.endswith("png")]
    assert chart.read_bytes().startswith(b"\x89PNG")


def test_nothing_at_all_is_told(tmp_path: Path) -> None:
    fleet = Fleet(tmp_path, gpu1={"sums": [], "note": "nothing was measured in this period"})
    assert fleet.report()["msg"] == (
        "no host has anything of 2026-11-23 to 2026-11-23: gpu1: nothing was measured in this period"
    )


def test_a_folder_that_cannot_be_made_is_told(fleet: Fleet, tmp_path: Path) -> None:
    fleet.dest.parent.write_text("")
    assert fleet.report()["msg"] == f"dest: {fleet.dest}: Not a directory"


@pytest.mark.parametrize("package", ["pandas", "matplotlib"])
def test_what_is_missing_on_this_machine_is_told(fleet: Fleet, monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    real: Callable[..., Any] = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.partition(".")[0] == package:
            raise ImportError(f"No module named {package!r}")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    answer = fleet.report()
    monkeypatch.undo()
    assert answer["msg"] == (
        f"the report needs pandas and matplotlib, and this machine's Python lacks some of their modules (No module "
        f"named '{package}'); install the packages of the collection's requirements-energy.txt: "
        f"python3 -m pip install 'pandas==3.1.1' 'matplotlib==3.10.9'"
    )


def test_today_is_utcs(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert datetime.fromtimestamp(MIDNIGHT, energy_usage.timezone.utc).hour == 0
    answer = act(energy_usage, {"period": "day", "folder": str(folder), "first": "2026-11-01", "last": None})
    assert [sums[0] for sums in answer["sums"] if sums[1] == "energy"] == ["2026-11-22", "2026-11-23", "2026-11-24"]

"""The actions of modules that change a host: the module learns which run must hold the host's lock."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.action import backup_load, host_files, service_container
from ansible_collections.inference.fleet.plugins.module_utils.system import work
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import locked, this_run
from ansible_collections.inference.fleet.tests.unit.test_failures import loaded, plugins

ROOT = Path(__file__).parents[3]
READS = {
    *("backup_info", "container_logs", "energy_report", "energy_usage", "gpu_info", "host_backup", "service_ready"),
    *("drift_report", "host_state", "host_versions", "model_answers", "watch"),
    *("check_options", "show", "status_report", "summary", "validate"),  # nothing on a host
    "host_lock",
    "restore_log",  # a restore without the lock must also be recorded
    "virtual_key_file",  # on the controller
}


@pytest.mark.parametrize("name", sorted({*plugins("modules")} - READS))
def test_every_module_that_changes_a_host_checks_its_lock(name: str) -> None:
    assert issubclass(loaded("action", name).ActionModule, locked.Locked)


@pytest.mark.parametrize("file", [*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("playbooks/**/*.yml")], ids=str)
def test_no_task_changes_a_container_beside_the_lock(file: Path) -> None:
    assert not re.search(r"docker_container:|docker_compose", file.read_text())


def test_the_host_is_checked_after_the_wait_for_the_lock() -> None:
    tasks = yaml.safe_load((ROOT / "roles/fleet/tasks/begin_alone.yml").read_text())
    (lock,) = [place for place, task in enumerate(tasks) if "inference.fleet.host_lock" in task]
    (check,) = [place for place, task in enumerate(tasks) if "inference.fleet.host_check" in task]
    assert lock < check


def environment(plugin: Any, facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch, check: bool = False) -> str:
    """What stands before the interpreter in the command line of the module."""
    seen: list[str] = []

    def execute(self: Any, *_given: Any, **_how: Any) -> dict[str, Any]:
        seen.append(self._compute_environment_string())
        return {}

    monkeypatch.setattr(ActionBase, "_execute_module", execute)
    monkeypatch.setattr(ActionBase, "_compute_environment_string", lambda _self, _out=None: "LANG=C")
    plugin.ActionModule(SimpleNamespace(args={}, check_mode=check, async_val=0), *[None] * 5).run(task_vars=facts)
    return seen[0]


def taken() -> dict[str, Any]:
    return {this_run.FACT: this_run.this_run()["run"]}


def test_the_module_learns_its_run_if_the_run_has_taken_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = taken()
    assert environment(host_files, facts, monkeypatch) == f"LANG=C {work.VARIABLE}={facts[this_run.FACT]}"


@pytest.mark.parametrize("facts", [{}, {this_run.FACT: ""}, {this_run.FACT: "0" * 32}])
def test_a_run_that_took_no_lock_needs_none(facts: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one that finds the fact of a previous run in a cache of facts."""
    for plugin in (host_files, service_container):
        assert environment(plugin, facts, monkeypatch) == "LANG=C"


def test_the_container_of_a_service_is_changed_behind_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = taken()
    run = facts[this_run.FACT]
    assert environment(service_container, facts, monkeypatch) == (f"LANG=C {work.VARIABLE}={run} {locked.guard(run)}")
    assert "flock" not in environment(service_container, facts, monkeypatch, check=True)


@pytest.mark.parametrize("status", [locked.BUSY, locked.NOT_OWN])
def test_what_kept_a_container_from_a_change_is_reported(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = {"failed": True, "module_stdout": "", "rc": status, "msg": "no JSON"}
    monkeypatch.setattr(ActionBase, "_execute_module", lambda *_given, **_how: answer)
    action = service_container.ActionModule(SimpleNamespace(args={}, check_mode=False), *[None] * 5)
    assert action.run(task_vars={}) == {"failed": True, "msg": locked.FAULTS[status]}


def test_a_database_is_replaced_behind_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run's lock is another run's by now: no command of the restore begins."""
    monkeypatch.setattr(backup_load, "guard", lambda run: locked.guard(run, str(tmp_path)))
    action = backup_load.ActionModule(SimpleNamespace(args={}, check_mode=False), *[None] * 5)
    action.lock = "a" * 32

    def shell(command: str, in_data: bytes) -> dict[str, Any]:
        done = subprocess.run(["sh", "-c", command], input=in_data, capture_output=True, check=False)
        return {"rc": done.returncode, "stdout": done.stdout.decode()}

    monkeypatch.setattr(action, "_low_level_execute_command", shell)
    (tmp_path / "lock").write_text(f'{{"run": "{"a" * 32}"}}')
    assert action._remote('cat; echo "it\'s done"', b"dump ")["stdout"] == "dump it's done\n"
    (tmp_path / "lock").write_text(f'{{"run": "{"b" * 32}"}}')
    with pytest.raises(FleetError, match="expected the lock"):
        action._remote(f"touch {tmp_path}/begun", b"")
    assert not (tmp_path / "begun").exists()

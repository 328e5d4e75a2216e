"""playbooks/tasks/restore_step.yml, with Ansible: the effect of a step's fault on other steps and on the record."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

STEP = Path(__file__).parents[2] / "playbooks" / "tasks" / "restore_step.yml"
FAULT = 'it\'s "broken": {{ 7 * 7 }}'  # a program's output is not templated
SAID = {"ansible.builtin.debug": {"msg": "ran {{ restore_step }}"}}
ROLES = {
    "works/tasks/main.yml": [SAID],
    "works/tasks/later.yml": [SAID],
    "breaks/tasks/main.yml": [
        {"ansible.builtin.slurp": {"src": "{{ playbook_dir }}/fault"}, "register": "read"},
        {"ansible.builtin.fail": {"msg": "{{ read.content | b64decode }}"}},
        SAID,
    ],
}


class Run:
    """A play of restore steps. steps, faults: as recorded. ran: the steps whose role completed, in order."""

    def __init__(self, folder: Path, *steps: dict[str, Any]) -> None:
        for name, tasks in ROLES.items():
            (folder / "roles" / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / "roles" / name).write_text(yaml.safe_dump(tasks))
        (folder / "fault").write_text(FAULT)
        record = folder / "restore.json"
        play = {
            "hosts": "localhost",
            "strategy": "ansible.builtin.free",
            "gather_facts": False,
            "vars": {"ansible_python_interpreter": sys.executable, "__restore_faults": {}},
            "tasks": [
                {"inference.fleet.restore_log": {"state": "begun", "path": str(record)}},
                *({"ansible.builtin.import_tasks": str(STEP), "vars": step} for step in steps),
                {"inference.fleet.restore_log": {"state": "ended", "path": str(record)}},
            ],
        }
        (folder / "play.yml").write_text(yaml.safe_dump([play]))
        done = subprocess.run(
            [sys.executable, "-m", "ansible", "playbook", "-i", "localhost,", "-c", "local", "play.yml"],
            cwd=folder,
            env={**os.environ, "ANSIBLE_NOCOLOR": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
        self.output = done.stdout + done.stderr
        kept = json.loads(record.read_text())["steps"]
        self.steps = [one["name"] for one in kept]
        self.faults = {one["name"]: one["fault"] for one in kept}
        self.ran = re.findall('"msg": "ran (.*)"', done.stdout)


def step(name: str, role: str = "works", **more: Any) -> dict[str, Any]:
    return {"restore_step": name, "restore_role": role, **{f"restore_{key}": value for key, value in more.items()}}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return Run(
        tmp_path_factory.mktemp("faults"),
        step("GPUs", found=["GPU 1 fell off the bus", ""]),
        step("PostgreSQL", "breaks", needed_by=["LiteLLM"]),
        step("LiteLLM", open=True),
        step("models", open=True),
        step("halves", "breaks", open=True),
        step("models", tasks="later", needed_by=["monitoring"]),
        step("LiteLLM", tasks="later"),
        step("Caddy", "breaks", found=["port 80: taken"], causes=["port 443: taken"]),
        step("halves", tasks="later"),
        step("monitoring", causes=["nobody reads this"]),
        step("models ready", "breaks", to_do=False),
    )


def test_each_step_is_recorded_once_at_its_end(run: Run) -> None:
    expected = ["GPUs", "PostgreSQL", "models", "LiteLLM", "Caddy", "halves", "monitoring", "models ready"]
    assert run.steps == expected, run.output


def test_a_step_whose_role_fails_is_recorded_with_its_fault(run: Run) -> None:
    assert run.faults["PostgreSQL"] == FAULT


def test_a_fault_disables_what_needs_the_step_and_nothing_else(run: Run) -> None:
    assert run.faults["LiteLLM"] == "it needs PostgreSQL"
    assert run.ran == ["GPUs", "models", "models", "monitoring"], run.output


def test_the_later_part_of_a_step_is_skipped_where_the_first_failed(run: Run) -> None:
    assert run.faults["halves"] == FAULT


def test_a_fault_found_before_is_recorded_though_the_role_succeeds(run: Run) -> None:
    assert run.faults["GPUs"] == "GPU 1 fell off the bus"


def test_causes_are_recorded_only_where_the_role_fails(run: Run) -> None:
    assert run.faults["Caddy"] == f"port 80: taken\nport 443: taken\n{FAULT}"
    assert run.faults["monitoring"] is None


def test_a_step_with_nothing_to_do_is_recorded_as_well(run: Run) -> None:
    assert run.faults["models ready"] is None

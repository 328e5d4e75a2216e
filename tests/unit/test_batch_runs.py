"""Runs of the playbooks `install` and `rollback` over several hosts: order, stop and report of batches.

The collection is a copy with the real playbooks and the real tasks that check, lock and report. The roles that change a
host, host_check, previous_version and model_answers are stand-ins which write down what happens. All hosts are this
machine; each has a folder of its own, by its Python.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
REAL = ("check_all", "turn", "begin", "begin_alone", "previous", "end", "verdict", "answers")
STAND_IN = """#!/usr/bin/python
import os, time
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(
    argument_spec=dict(event=dict(), fault=dict(default=""), after=dict(default="")), supports_check_mode=True
)
folder, host = os.environ["HOSTS_FOLDER"], os.environ["HOST"]
given = module.params

def events():
    with open(os.path.join(folder, "events")) as file:
        return file.read().splitlines()

def write(text):
    with open(os.path.join(folder, "events"), "a") as file:
        file.write(text + "\\n")

lock = os.path.exists(os.path.join(folder, host, "lock")) and os.path.getsize(os.path.join(folder, host, "lock")) > 0
write(f"{given['event']} {host}" + ("" if lock else " without lock"))
deadline = time.monotonic() + 60
while given["after"] and given["after"] not in events() and time.monotonic() < deadline:
    time.sleep(0.1)
if given["after"] and given["after"] not in events():
    module.fail_json(msg="waited in vain for " + given["after"])
if given["fault"]:
    module.fail_json(msg=given["fault"])
module.exit_json(changed=True, actions=["create vllm-a-1 (missing)"])
"""
EXEC = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
AnsibleModule(argument_spec=dict(container=dict(), argv=dict(type="list"))).exit_json(changed=False, stdout="PEM")
"""
ACTION = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        faults = self._templar.template(task_vars.get("NAME_faults", []))
        answer = self._execute_module(
            module_name="inference.fleet.stand_in", module_args={"event": "NAME"}, task_vars=task_vars
        )
        if faults and "NAME" == "answer":
            return {"failed": True, "msg": faults[0]}
        answer.update(changed=False, actions=[], faults=faults, service_faults=[], removal_faults=[])
        answer.update(drained_since=task_vars.get("drained_since", ""))
        return answer
"""
PREVIOUS = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        entry = task_vars.get("previous_entry")
        if not entry:
            return {"failed": True, "msg": "expected a previous version, found none"}
        return {"entry": entry, "secrets": ["HF_TOKEN"], "shown": {"name": "a", **entry}}
"""
MODELS = """
- name: Print the image
  inference.fleet.show:
    lines: "image {{ fleet.models[0].image }}"
- name: Deploy the models
  inference.fleet.stand_in:
    event: deploy
    fault: "{{ deploy_fault | default('') }}"
    after: "{{ deploy_after | default('') }}"
  register: __vllm_model
- name: Look at the deployment
  inference.fleet.stand_in:
    event: deployed
"""


class Site:
    """Hosts of a name and a run over them. events: what happened, in order, without the runs that are over."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        fleet = folder / "collections/ansible_collections/inference/fleet"
        docker = folder / "collections/ansible_collections/community/docker/plugins/modules"
        for part in ("plugins", "meta", "playbooks", "roles/fleet"):
            shutil.copytree(ROOT / part, fleet / part, ignore=shutil.ignore_patterns("__pycache__"))
        for tasks in (fleet / "roles/fleet/tasks").glob("*.yml"):
            if tasks.stem not in REAL:
                tasks.write_text("- ansible.builtin.meta: noop\n")
        for role in (ROOT / "roles").iterdir():
            if role.name != "fleet":
                (fleet / "roles" / role.name / "tasks").mkdir(parents=True)
                tasks = MODELS if role.name == "vllm_model" else "- ansible.builtin.meta: noop\n"
                (fleet / "roles" / role.name / "tasks" / "main.yml").write_text(tasks)
        for name, event in (("host_check", "check"), ("model_answers", "answer")):
            (fleet / "plugins/action" / f"{name}.py").write_text(ACTION.replace("NAME", event))
        (fleet / "plugins/action/previous_version.py").write_text(PREVIOUS)
        (fleet / "plugins/modules/stand_in.py").write_text(STAND_IN)
        file = fleet / "plugins/module_utils/system/work.py"
        own = 'os.environ.get("HOSTS_FOLDER", "/none") + "/" + os.environ.get("HOST", "controller")'
        file.write_text(re.sub(r'^RUN = ".*"', f"RUN = {own}", file.read_text(), flags=re.MULTILINE))
        docker.mkdir(parents=True)
        (docker / "docker_container_exec.py").write_text(EXEC)
        (folder / "events").touch()

    def run(self, hosts: dict[str, dict[str, Any]], *words: str, playbook: str = "install") -> tuple[int, str]:
        """hosts: name -> variables."""
        inventory = {}
        for name, variables in hosts.items():
            (self.folder / name).mkdir(exist_ok=True)
            python = self.folder / f"python-{name}"
            python.write_text(f'#!/bin/sh\nHOST={name} HOSTS_FOLDER={self.folder} exec {sys.executable} "$@"\n')
            python.chmod(0o755)
            local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": str(python)}
            model = {"name": "a", "type": "chat", "source": "own/a", "devices": {"cpu": True}}
            inventory[name] = {**local, "fleet_models": [model], **variables}
        (self.folder / "hosts.yml").write_text(yaml.safe_dump({"fleet": {"hosts": inventory}}))
        (self.folder / "events").write_text("")
        command = [
            str(Path(sys.executable).parent / "ansible-playbook"),
            "-i",
            "hosts.yml",
            f"inference.fleet.{playbook}",
        ]
        where = {"ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"), "ANSIBLE_NOCOLOR": "1"}
        where["PYTHONHASHSEED"] = "1"  # the hosts' names as a set are in another order than in the inventory
        run = subprocess.run(
            [*command, *words],
            cwd=self.folder,
            env={**os.environ, **where},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return run.returncode, run.stdout

    @property
    def events(self) -> list[str]:
        return (self.folder / "events").read_text().splitlines()

    def of(self, *kinds: str) -> list[str]:
        return [event for event in self.events if event.split()[0] in kinds]

    @property
    def locks(self) -> list[str]:
        """The hosts whose lock is held."""
        return [path.parent.name for path in sorted(self.folder.glob("*/lock")) if path.read_text() not in ("", "null")]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def hosts(*names: str, **variables: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: variables.get(name, {}) for name in names}


@pytest.mark.extended
def test_without_options_no_host_waits_for_another_after_the_checks(site: Site) -> None:
    """gpu1 deploys only after gpu2 is through: with strategy linear, gpu1 would wait in vain."""
    rc, output = site.run(hosts("gpu1", "gpu2", gpu1={"deploy_after": "deployed gpu2"}))
    assert rc == 0, output
    assert sorted(site.events[:2]) == ["check gpu1", "check gpu2"]
    assert site.of("check", "answer") == site.events[:2]
    assert site.events.index("deployed gpu2") < site.events.index("deployed gpu1")
    assert "\ngpu1  created: vllm-a-1\ngpu2  created: vllm-a-1\n" in output
    assert "stopped after" not in output and "is not currently supported" not in output
    assert site.locks == []


@pytest.mark.extended
def test_batches_follow_each_other_and_the_canary_is_first(site: Site) -> None:
    rc, output = site.run(hosts("gpu1", "gpu2", "gpu3", "gpu4"), "-e", "canary=gpu3", "-e", "batch=1,100%")
    assert rc == 0, output
    assert sorted(site.events[:4]) == [f"check gpu{number}" for number in range(1, 5)]
    assert site.of("deploy", "answer")[:4] == ["deploy gpu3", "answer gpu3", "deploy gpu1", "answer gpu1"]
    assert sorted(site.of("check")[4:]) == ["check gpu1", "check gpu2", "check gpu4"], "checked again, but the canary"
    assert not [event for event in site.events if "without lock" in event]
    assert "\n  gpu3\n  gpu1\n  gpu2, gpu4\n" in output
    assert re.search(r"\ngpu3  created.*\ngpu1  created.*\ngpu2  created.*\ngpu4  created", output), output
    assert site.locks == []


@pytest.mark.extended
def test_a_canary_that_fails_stops_the_run(site: Site) -> None:
    fault = {"deploy_fault": "no such image\nand the log of it"}
    rc, output = site.run(hosts("gpu1", "gpu2", "gpu3", "gpu4", gpu2=fault), "-e", "canary=gpu2")
    assert rc == 2, output
    assert site.of("deploy") == ["deploy gpu2"]
    assert (
        "stopped after the first failure: gpu2: failed (models (no such image)); gpu1, gpu3, gpu4: not touched"
        in output
    )
    assert "gpu2  failed: models (no such image)\n" in output
    assert site.locks == []


def test_a_model_that_does_not_answer_stops_the_run_after_its_batch(site: Site) -> None:
    """The canary is drained, so its models are not asked."""
    own = {"gpu3": {"drained_since": "2026-11-24T12:00:00Z"}, "gpu2": {"answer_faults": ["models do not answer"]}}
    rc, output = site.run(
        hosts(*(f"gpu{number}" for number in range(1, 6)), **own), "-e", "canary=gpu3", "-e", "batch=2"
    )
    assert rc == 2, output
    assert sorted(site.events[:5]) == [f"check gpu{number}" for number in range(1, 6)]
    assert site.of("deploy", "answer")[0] == "deploy gpu3"
    assert sorted(site.of("deploy")[1:]) == ["deploy gpu1", "deploy gpu2"]
    assert sorted(site.of("answer")) == ["answer gpu1", "answer gpu2"]
    assert not [event for event in site.events if "without lock" in event]
    assert "no model is asked for an answer, since the host is drained" in output
    report = "gpu3, gpu1: changed; gpu2: failed (answers (models do not answer)); gpu4, gpu5: not touched"
    assert f"stopped after the first failure: {report}" in output
    assert re.search(r"^gpu2 .* failed=1 ", output, re.MULTILINE)
    assert re.search(r"^gpu4 .* failed=0 ", output, re.MULTILINE)
    assert site.locks == []


@pytest.mark.extended
def test_a_fault_of_the_last_host_stops_before_the_first_is_changed(site: Site) -> None:
    fault = {"check_faults": ["port 443: taken by nginx"]}
    rc, output = site.run(hosts("gpu1", "gpu2", "gpu3", gpu3=fault), "-e", "batch=1")
    assert rc == 2, output
    assert site.of("deploy") == []
    assert "gpu3  failed: checks (port 443: taken by nginx)\n" in output
    assert site.locks == []


@pytest.mark.extended
def test_a_host_that_got_a_fault_since_the_checks_stops_the_run(site: Site) -> None:
    """gpu2 has the fault once gpu1 is deployed."""
    found = f"lookup('ansible.builtin.file', '{site.folder}/events') is search('deployed')"
    fault = {"check_faults": "{{ ['the disk is full'] if " + found + " else [] }}"}
    rc, output = site.run(hosts("gpu1", "gpu2", "gpu3", gpu2=fault), "-e", "batch=1")
    assert rc == 2, output
    assert site.of("deploy") == ["deploy gpu1"]
    assert "gpu1: changed; gpu2: failed (checks (the disk is full)); gpu3: not touched" in output
    assert site.locks == []


@pytest.mark.extended
def test_limit_and_check_mode(site: Site) -> None:
    words = ["--limit", "gpu2,gpu3", "-e", "canary=gpu3", "--check"]
    rc, output = site.run(hosts("gpu1", "gpu2", "gpu3"), *words)
    assert rc == 0, output
    assert [event.split()[1] for event in site.of("deploy")] == ["gpu3", "gpu2"]
    assert "gpu3  check mode, nothing was changed; created: vllm-a-1\ngpu2  check mode" in output


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["-e", "batch=0"], "-e batch=0: expected numbers of hosts"),
        pytest.param(
            ["-e", '{"batch": [1, "0%"]}'],
            "-e batch=1,0%: expected numbers of hosts",
            marks=pytest.mark.extended,
        ),
        pytest.param(
            ["-e", "canary=gpu1", "--limit", "gpu2"],
            "-e canary=gpu1: expected the name of one host of this run (gpu2",
            marks=pytest.mark.extended,
        ),
    ],
)
def test_a_wrong_option_stops_before_a_host_is_contacted(words: list[str], fault: str, site: Site) -> None:
    rc, output = site.run(hosts("gpu1", "gpu2"), *words)
    assert rc == 2
    assert f"nothing was done; {fault}" in output
    assert site.events == []


@pytest.mark.extended
def test_a_variable_of_the_inventory_is_no_option(site: Site) -> None:
    given = {"batch": "0", "canary": "gpu9"}
    rc, output = site.run(hosts("gpu1", gpu1=given))
    assert rc == 0, output
    assert site.of("answer") == []


OLD = {"type": "chat", "source": "own/a", "devices": {"cpu": True}, "image": "own/old:1", "args": {}, "env": {"A": "1"}}
HAS_A_SECRET = {"name": "a", "type": "chat", "source": "own/a", "image": "own/new:1", "env": {"HF_TOKEN": "hf_secret"}}


def test_a_rollback_deploys_the_previous_version_and_prints_the_entry(site: Site) -> None:
    own = {"previous_entry": OLD, "fleet_models": [{**HAS_A_SECRET, "replicas": 2}]}
    rc, output = site.run(hosts("gpu1", gpu1=own), "-e", "model=a", playbook="rollback")
    assert rc == 0, output
    assert site.of("deploy") == ["deploy gpu1"]
    assert "gpu1: image own/old:1\n" in output, output
    assert "a: the previous version serves; the inventory has another version" in output, output
    assert re.search(r"\n +- +name: a\n(.*\n)* +image: own/old:1\n", output), output
    assert "# env also has HF_TOKEN, as in the inventory" in output
    assert "hf_secret" not in output
    assert site.locks == []


@pytest.mark.extended
def test_a_rollback_of_hosts_in_batches_and_in_check_mode(site: Site) -> None:
    own = {"previous_entry": OLD, "fleet_models": [HAS_A_SECRET]}
    words = ["-e", "model=a", "-e", "batch=1"]
    for mode, does in ([], "serves"), (["--check"], "would serve"):
        rc, output = site.run(hosts("gpu1", "gpu2", gpu1=own, gpu2=own), *words, *mode, playbook="rollback")
        assert rc == 0, output
        assert site.of("deploy") == ["deploy gpu1", "deploy gpu2"]
        assert output.count("image own/old:1\n") >= 2 and "own/new:1" not in output
        assert output.count(f"a: the previous version {does}; ") == 2


@pytest.mark.extended
def test_a_rollback_needs_a_previous_version_on_all_hosts(site: Site) -> None:
    """gpu2 has none; the secret of the previous version is missing in the inventory of gpu3."""
    own = {"gpu1": {"previous_entry": OLD, "fleet_models": [HAS_A_SECRET]}, "gpu3": {"previous_entry": OLD}}
    for other, words in {
        "gpu2": "gpu2  failed: previous version (expected a previous version, found none)",
        "gpu3": "with the previous version has faults:\n  fleet_models[0] (a).env.HF_TOKEN: missing; ",
    }.items():
        given = {name: variables for name, variables in own.items() if name in ("gpu1", other)}
        rc, output = site.run(hosts("gpu1", other, **given), "-e", "model=a", playbook="rollback")
        assert rc == 2, output
        assert site.of("check", "deploy") == []
        assert words in output, output
        assert site.locks == []


@pytest.mark.extended
def test_a_rollback_without_the_option_does_nothing(site: Site) -> None:
    """A variable of the inventory is no option."""
    own = {"previous_entry": OLD, "fleet_models": [HAS_A_SECRET], "model": "a"}
    rc, output = site.run(hosts("gpu1", gpu1=own), playbook="rollback")
    assert rc == 2
    assert "model is not defined: run again with -e model=NAME" in output
    assert site.events == []

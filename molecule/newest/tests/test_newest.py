"""The newest ansible-core and Python 3.13 on the admin's machine: what the collection says of them is true."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import testinfra
from lab.fixtures import INVENTORY, Door
from testinfra.host import Host

testinfra_hosts = ["ansible://control"]

ROOT = Path(__file__).resolve().parents[3]
CHECKOUT = "/srv/fleet"
PROGRAMS = f"{CHECKOUT}/.venv/bin"
PLAYBOOKS = sorted(file.stem for file in (ROOT / "playbooks").glob("*.yml"))
NEW = {"name": "new", "type": "chat", "source": "example/new", "devices": {"cpu": True}}
OLDEST_NEWEST = (2, 21)
"""Of ansible-core: if control has an older one, the newest was not there to be downloaded."""


@pytest.fixture
def target() -> Host:
    (target,) = testinfra.get_hosts(["ansible://target"], ansible_inventory=str(INVENTORY))
    return target


def play(host: Host, playbook: str, *arguments: str) -> str:
    """What ansible-playbook prints on control. Fails if the run does."""
    words = ["--inventory=/srv/inventory.yml", f"inference.fleet.{playbook}", *map(shlex.quote, arguments)]
    command = f"{PROGRAMS}/ansible-playbook {' '.join(words)}"
    return str(host.check_output(f"cd {CHECKOUT} && {command} 2>&1"))


def changed(output: str) -> int:
    found = re.search(r"^target +: ok=\d+ +changed=(\d+) +unreachable=0 +failed=0 ", output, re.MULTILINE)
    assert found, output
    return int(found[1])


def test_the_newest_ansible_core_runs_on_python_3_13(host: Host) -> None:
    about = host.check_output(f"{PROGRAMS}/ansible --version")
    core, python = re.search(r"\[core ([0-9.]+)\]", about), re.search(r"python version = ([0-9.]+)", about)
    assert core and python, about
    print(f"\nansible-core {core[1]}, Python {python[1]}")
    wheels = host.check_output(f"ls {CHECKOUT}/.cache/newest/wheels").splitlines()
    assert f"ansible_core-{core[1]}-py3-none-any.whl" in wheels
    assert tuple(map(int, core[1].split(".")[:2])) >= OLDEST_NEWEST
    assert python[1].startswith("3.13.")


def test_the_unit_tests_pass(host: Host) -> None:
    run = host.run(f"cd {CHECKOUT} && PATH={PROGRAMS}:$PATH pytest --numprocesses 2 --dist worksteal tests/unit 2>&1")
    print(f"\n{run.stdout[-20000:]}")
    assert run.rc == 0


def test_every_playbook_passes_the_syntax_check(host: Host) -> None:
    names = " ".join(f"inference.fleet.{name}" for name in PLAYBOOKS)
    checked = host.check_output(f"cd {CHECKOUT} && {PROGRAMS}/ansible-playbook --syntax-check {names}")
    assert re.findall(r"^playbook: .*/playbooks/(\w+)\.yml$", checked, re.MULTILINE) == PLAYBOOKS


def test_install_works_and_changes_nothing_the_second_time(host: Host) -> None:
    assert changed(play(host, "install"))
    assert changed(play(host, "install")) == 0


def test_the_installed_host_answers_a_chat_request(target: Host, tmp_path: Path) -> None:
    answer = Door(target, tmp_path).chat("tiny")
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]


def test_add_model_works_and_changes_nothing_the_second_time(host: Host, target: Host, tmp_path: Path) -> None:
    models = [*Door(target, tmp_path).models, NEW]
    arguments = ("-e", "model=new", "-e", json.dumps({"fleet_models": models}))
    assert changed(play(host, "add_model", *arguments))
    assert changed(play(host, "add_model", *arguments)) == 0
    assert Door(target, tmp_path).chat("new").status_code == 200


def test_the_installed_host_restores_itself(target: Host) -> None:
    """With the pinned ansible-core, and with control's community.docker."""
    run = target.run("systemctl start inference-fleet-restore.service")
    assert run.rc == 0, target.check_output("journalctl --unit inference-fleet-restore.service --lines 50")

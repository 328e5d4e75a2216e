"""What the host restores itself with: it works whatever becomes of an upgrade, and knows what the inventory says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lab.fixtures import Admin
from testinfra.host import Host

testinfra_hosts = ["ansible://fleet"]

FOLDER = "/opt/inference-fleet"
UNIT = "inference-fleet-restore.service"


@pytest.mark.extended
def test_an_upgrade_that_cannot_be_had_leaves_what_is_in_use(host: Host, admin: Admin, tmp_path: Path) -> None:
    see = f"ls --directory {FOLDER}/*; readlink {FOLDER}/*; systemctl cat {UNIT}; systemctl is-enabled {UNIT}"
    before = host.check_output(see)
    pins = tmp_path / "pins.txt"
    pins.write_text(f"ansible-core==2.99.0 --hash=sha256:{'0' * 64}\n")
    run = admin.play("install", variables={"restore_ansible_core": "2.99.0", "restore_requirements": str(pins)})
    assert run.status != 0
    assert "No matching distribution found for ansible-core==2.99.0" in run.messages
    assert "The previous one is still in use, ansible-playbook [core 2.19.14]. What to do: " in run.messages
    assert host.check_output(see) == before
    assert "[core 2.19.14]" in host.check_output(f"{FOLDER}/venv/bin/ansible-playbook --version")


def test_it_waits_as_long_as_the_inventory_says(host: Host) -> None:
    told = host.check_output(f"ANSIBLE_CONFIG={FOLDER}/ansible.cfg {FOLDER}/venv/bin/ansible-inventory --list")
    (variables,) = json.loads(told)["_meta"]["hostvars"].values()
    assert variables["postgres_ready_timeout"] == 240
    assert "caddy_ready_timeout" not in variables

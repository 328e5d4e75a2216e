"""A restore with a fault in it: what can serve does so, and at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
import yaml
from lab.fixtures import INVENTORY, Admin, Door, wait_until
from testinfra.host import Host

testinfra_hosts = ["ansible://fleet"]

UNIT = "inference-fleet-restore.service"
STUCK = {"env": {"STANDIN_NEVER_READY": "1"}, "ready_timeout": 15}


@pytest.fixture
def stuck(admin: Admin, door: Door) -> Iterator[str]:
    """A model that loads for ever, on a host that is otherwise as its inventory says."""
    # `whole` has a template in its settings, which extra variables would have resolved. Without a previous version of
    # `plain`, which would go on serving.
    others = [one for one in door.models if one["name"] not in ("plain", "whole")]
    assert admin.play("install", variables={"fleet_models": others}).status == 0
    models = [*others, *(one | STUCK for one in door.models if one["name"] == "plain")]
    run = admin.play("install", variables={"fleet_models": models})
    assert "vllm-plain-1: runs, but is not ready after 15 s" in run.messages
    yield "vllm-plain-1"
    assert admin.play("install").status == 0


def answers(door: Door, model: str) -> bool:
    try:
        return door.chat(model).status_code == 200
    except requests.ConnectionError:
        return False


@pytest.mark.extended
def test_a_model_that_loads_for_long_keeps_the_door_shut_for_none(door: Door, host: Host, stuck: str) -> None:
    host.check_output("docker stop caddy")
    host.check_output(f"systemctl start --no-block {UNIT}")
    wait_until(lambda: answers(door, "half"), "another model answers")
    state = f"systemctl show --property ActiveState --value {UNIT}"
    assert host.check_output(state) == "activating"
    wait_until(lambda: host.check_output(state) == "failed", "the restore has given it up")
    steps = json.loads(host.check_output("cat /var/lib/inference-fleet/restore.json"))["steps"]
    ((step, fault),) = [(step["name"], step["fault"]) for step in steps if step["fault"]]
    assert step == "models ready"
    assert fault.startswith(f"{stuck}: runs, but is not ready after 15 s")


def test_a_host_with_a_fault_keeps_no_other_from_being_restored(
    admin: Admin, door: Door, host: Host, tmp_path: Path
) -> None:
    # The same machine by another name: it gets no further than its inventory.
    reached = yaml.safe_load(INVENTORY.read_text())["fleet"]["hosts"][door.name]
    other = tmp_path / "other.yml"
    other.write_text(yaml.safe_dump({"fleet": {"hosts": {"faulty": {**reached, "fleet_models": "none"}}}}))
    host.check_output("docker stop caddy")
    run = admin.play("reboot_restore", "--inventory", str(other))
    assert {name: counts["failures"] for name, counts in run.stats.items()} == {door.name: 0, "faulty": 1}, run.output
    assert answers(door, "half")

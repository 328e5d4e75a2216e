"""What an admin does with a host that serves, and what is left alone meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from lab.fixtures import SECRETS, Admin, Door, identities, inspect
from testinfra.host import Host

testinfra_hosts = ["ansible://light"]
LAB = Path(__file__).parents[3] / "tests" / "lab"
NEW = {"name": "new", "type": "chat", "source": "example/new", "devices": {"cpu": True}}


def on_light(door: Door, *models: dict[str, Any]) -> dict[str, Any]:
    """Extra variables that give the host these models besides its own."""
    return {"fleet_models": [*door.models, *models]}


def test_the_engine_refuses_what_docker_29_refuses(host: Host) -> None:
    """Else nothing here would show that the collection works with it."""
    ask = "curl --silent --unix-socket /var/run/docker.sock http://localhost"
    assert "Minimum supported API version is 1.44" in host.check_output(f"{ask}/v1.41/containers/json")
    assert json.loads(host.check_output(f"{ask}/version"))["MinAPIVersion"] == "1.44"


def test_check_mode_on_a_converged_host_reports_no_change_and_parses_each_fleet_once(
    admin: Admin, tmp_path: Path
) -> None:
    counting = {
        "ANSIBLE_CALLBACK_PLUGINS": str(LAB / "callbacks"),
        "ANSIBLE_CALLBACKS_ENABLED": "count_parses",
        "COUNT_PARSES": str(tmp_path / "count"),
    }
    run = admin.play("install", "--check", "--diff", environment=counting)
    assert run.status == 0, run.output
    assert run.changed() == {"light": 0, "real": 0}
    assert (tmp_path / "count").read_text().split() == ["parsed"] * 2


@pytest.mark.extended
def test_check_mode_shows_a_new_model_and_does_nothing(admin: Admin, host: Host, door: Door) -> None:
    before = identities(host)
    run = admin.play("install", "--limit", "light", "--check", "--diff", variables=on_light(door, NEW))
    assert run.status == 0, run.output
    assert "vllm-new-1: created from inference-fleet/engine-stand-in:1" in run.output
    assert 'model_name: \\"new\\"' in run.output
    assert identities(host) == before


def test_status_shows_every_model(admin: Admin) -> None:
    run = admin.play("status", "--limit", "light")
    lines = [line.split() for line in run.messages.splitlines()]
    rows = {line[0]: line for line in lines if line}
    assert rows["pair"][1:3] == ["chat", "2/2"]
    assert rows["vectors"][1:3] == ["embedding", "1/1"]
    assert rows["resting"][1:4] == ["chat", "0/0", "stopped"]
    assert run.changed() == {"light": 0}


def test_status_gives_programs_one_document(admin: Admin, tmp_path: Path) -> None:
    run = admin.play("status", "--limit", "light", "-e", "format=json", "-e", f"dest={tmp_path}/fleet.json")
    assert run.status == 0, run.output
    (printed,) = [line for line in run.output.splitlines() if line.startswith('{"schema"')]
    told = json.loads(printed)
    assert told == json.loads((tmp_path / "fleet.json").read_text())
    assert told["hosts"].keys() == {"light"}
    light = told["hosts"]["light"]
    assert {one["name"]: (one["ready"], one["wanted"]) for one in light["models"]}.items() >= {
        ("pair", (2, 2)),
        ("vectors", (1, 1)),
        ("resting", (0, 0)),
    }
    assert {"caddy", "litellm", "postgres"} <= {one["name"] for one in light["services"]}
    assert (light["fault"], light["install_would"], light["gpu_trouble"]) == (None, [], [])
    assert light["last_restore"]["unit"] is not None and light["last_restore"]["text"]


def test_add_model_touches_that_model_and_the_gateways_configuration(admin: Admin, host: Host, door: Door) -> None:
    before = identities(host)
    run = admin.play(
        "add_model", "--limit", "light", "-e", "model=new", "-vvv", "--diff", variables=on_light(door, NEW)
    )
    assert run.status == 0, run.output
    for name in ("master_key", "salt_key", "postgres_password"):
        assert host.check_output(f"cat {SECRETS}/{name}") not in run.output, f"{name} was shown"
    after = identities(host)
    assert set(after) - set(before) == {"vllm-new-1"}
    assert {name for name in before if before[name] != after[name]} == {"litellm"}
    assert door.chat("new").status_code == 200
    again = admin.play("add_model", "--limit", "light", "-e", "model=new", variables=on_light(door, NEW))
    assert again.changed() == {"light": 0}, again.output


def test_remove_model_touches_that_model_and_the_gateways_configuration(admin: Admin, host: Host, door: Door) -> None:
    before = identities(host)
    run = admin.play("remove_model", "--limit", "light", "-e", "model=new", variables=on_light(door, NEW))
    assert run.status == 0, run.output
    after = identities(host)
    assert set(before) - set(after) == {"vllm-new-1"}
    assert "light  restarted: litellm; removed: vllm-new-1; updated: Caddy's configuration, caddy" in run.messages
    assert {name for name in after if before[name] != after[name]} == {"litellm"}
    assert door.chat("new").status_code in (400, 404)


def test_drift_is_put_right_and_nothing_else_is_touched(admin: Admin, host: Host) -> None:
    before = identities(host)
    host.check_output("docker stop vllm-vectors-1")
    host.check_output("docker network disconnect fleet-model-pair vllm-pair-1")
    host.check_output("iptables -t mangle -F INFERENCE-FLEET-IN")
    run = admin.play("install", "--limit", "light")
    assert run.status == 0, run.output
    after = identities(host)
    assert {name for name in after if before[name] != after[name]} == {"vllm-vectors-1"}
    updated = "config.json, the host's rules, vllm-pair-1"
    assert f"light  restarted: vllm-vectors-1; updated: {updated}" in run.messages.splitlines()
    assert "-i fli-+ -j DROP" in host.check_output("iptables -t mangle -S INFERENCE-FLEET-IN")
    assert after["vllm-vectors-1"][0] == before["vllm-vectors-1"][0], "it was started, not made anew"


def test_a_restore_changes_nothing_on_a_host_that_serves(admin: Admin, host: Host) -> None:
    before = identities(host)
    run = admin.play("reboot_restore", "--limit", "light")
    assert run.status == 0, run.output
    assert identities(host) == before


def test_prune_leaves_containers_without_the_label(admin: Admin, host: Host) -> None:
    names = ["foreign", "vllm-foreign-1"]
    for name in names:
        host.check_output(f"docker create --name {name} inference-fleet/engine-stand-in:1")
    try:
        run = admin.play("install", "--limit", "light")
        assert run.status == 0, run.output
        assert set(names) <= set(inspect(host))
    finally:
        host.check_output(f"docker rm {' '.join(names)}")

"""The previous version of a model comes back without a lost request; a rollback that cannot work changes nothing."""

from __future__ import annotations

import json
import re
import stat
from typing import Any

import pytest
import yaml
from lab.fixtures import Admin, Door, identities, inspect
from lab.load import Load, Stream
from testinfra.host import Host

pytestmark = pytest.mark.extended
REPLICAS = ("vllm-pair-1", "vllm-pair-2")
FILE = "/var/lib/inference-fleet/served.json"
SECRET = "hf_only-for-this-test"


def changed(door: Door, **changes: Any) -> dict[str, Any]:
    """The inventory with other settings of `pair`."""
    return {"fleet_models": [{**one, **changes} if one["name"] == "pair" else one for one in door.models]}


def envs(host: Host) -> list[set[str]]:
    return [set(inspect(host, one)[one]["Config"]["Env"]) for one in REPLICAS]


def printed_entry(output: str) -> dict[str, Any]:
    """The entry for the inventory, from the last lines of the run, up to the comment about secrets."""
    lines = output.splitlines()
    start = next(index for index, line in enumerate(lines) if re.match(r" *-\s+name: pair", line))
    length = next(
        index for index, line in enumerate(lines[start:]) if not line.strip() or line.lstrip().startswith("#")
    )
    (entry,) = yaml.safe_load("\n".join(lines[start : start + length]))
    return dict(entry)


def test_the_previous_version_comes_back_without_a_lost_request(
    admin: Admin, door: Door, host: Host, virtual_key: str
) -> None:
    first = changed(door, env={"VERSION": "1", "LAB_TOKEN": SECRET})
    second = changed(door, env={"VERSION": "2", "LAB_TOKEN": SECRET}, args={"seed": 2})
    assert admin.play("add_model", "-e", "model=pair", variables=first).status == 0
    assert admin.play("add_model", "-e", "model=pair", variables=second).status == 0
    file = host.file(FILE)
    assert (stat.S_IMODE(file.mode), file.user, SECRET in file.content_string) == (0o600, "root", False)
    before = identities(host)

    planned = admin.play("rollback", "-e", "model=pair", "--check", "--diff", variables=second)
    assert planned.status == 0, planned.output
    assert "replace vllm-pair-1 (changed: " in planned.output
    assert "pair: the previous version would serve; " in planned.output
    assert identities(host) == before

    streams = [
        Stream("virtual key", "/v1/chat/completions", "pair", virtual_key, 5),
        Stream("direct", "/models/pair/v1/chat/completions", "pair", door.key, 5),
    ]
    with Load(door.url, str(door.certificate), *streams) as load:
        run = admin.play("rollback", "-e", "model=pair", variables=second)
    print(load.summary())
    assert run.status == 0, run.output
    assert load.failed() == []
    assert all({"VERSION=1", f"LAB_TOKEN={SECRET}"} <= env for env in envs(host))
    of_the_restore = json.loads(host.file("/etc/inference-fleet/config.json").content_string)["fleet_models"]
    assert [one["env"]["VERSION"] for one in of_the_restore if one["name"] == "pair"] == ["1"]
    after = identities(host)
    assert {name for name in before if before[name] != after.get(name)} == set(REPLICAS)
    assert "pair: the previous version serves; the inventory has another version" in run.output
    assert SECRET not in run.output
    entry = printed_entry(run.output)
    assert (entry["env"], "args" in entry) == ({"VERSION": "1"}, False)

    again = admin.play("rollback", "-e", "model=pair", variables=second)
    assert again.changed() == {"gate": 0}, "a second rollback changes nothing"
    assert "pair: the previous version serves already; " in again.output
    own = next(one for one in door.models if one["name"] == "pair")
    kept = changed(door, **{**own, **entry, "env": {**entry["env"], "LAB_TOKEN": SECRET}})
    assert admin.play("add_model", "-e", "model=pair", variables=kept).changed() == {"gate": 0}
    assert identities(host) == after


def test_a_rollback_without_a_previous_version_changes_nothing(admin: Admin, door: Door, host: Host) -> None:
    before = identities(host)
    run = admin.play("rollback", "-e", "model=other")
    assert run.status != 0
    assert f"other: expected a previous version of the model in {FILE}, found none" in run.output
    run = admin.play("rollback", "-e", "model=pair", variables=changed(door, env={"VERSION": "3"}))
    assert run.status != 0
    assert "env.LAB_TOKEN: missing; the previous version had a secret in this variable" in run.output
    assert identities(host) == before


def test_the_way_back_to_the_inventory(admin: Admin, host: Host) -> None:
    assert admin.play("install").status == 0
    assert not any("VERSION=1" in env for env in envs(host))

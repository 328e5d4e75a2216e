"""A changed model: its replicas are replaced one after the other, and no request is lost."""

from __future__ import annotations

from typing import Any

import pytest
from lab.fixtures import Admin, Door, identities, inspect
from lab.load import Load, Stream
from testinfra.host import Host

REPLICAS = ("vllm-pair-1", "vllm-pair-2")


def changed(door: Door, **changes: Any) -> dict[str, Any]:
    """The inventory with other settings of `pair`."""
    return {"fleet_models": [{**one, **changes} if one["name"] == "pair" else one for one in door.models]}


def env_of(host: Host, container: str) -> list[str]:
    return list(inspect(host, container)[container]["Config"]["Env"])


def test_a_changed_model_loses_no_request(admin: Admin, door: Door, host: Host, virtual_key: str) -> None:
    before = identities(host)
    streams = [
        Stream("virtual key", "/v1/chat/completions", "pair", virtual_key, 5),
        Stream("direct", "/models/pair/v1/chat/completions", "pair", door.key, 5),
    ]
    variables = changed(door, env={"SOMETHING": "new"})
    planned = admin.play("install", "--check", variables=variables)
    assert "replace vllm-pair-1 (changed: env; the previous one serves meanwhile)" in planned.output
    with Load(door.url, str(door.certificate), *streams) as load:
        run = admin.play("install", variables=variables)
    print(load.summary())
    assert run.status == 0, run.output
    assert load.failed() == []
    assert all("SOMETHING=new" in env_of(host, one) for one in REPLICAS)
    after = identities(host)
    assert {name for name in before if before[name] != after.get(name)} == set(REPLICAS)
    assert set(after) == set(before), "nothing temporary is left"
    assert admin.play("install", variables=variables).changed() == {"gate": 0}


@pytest.mark.extended
def test_a_version_that_fails_leaves_the_previous_one(admin: Admin, door: Door, host: Host, virtual_key: str) -> None:
    before = identities(host)
    streams = [Stream("virtual key", "/v1/chat/completions", "pair", virtual_key, 5)]
    with Load(door.url, str(door.certificate), *streams) as load:
        run = admin.play("install", variables=changed(door, env={"STANDIN_EXIT_CODE": "1"}))
    print(load.summary())
    assert run.status != 0
    assert "vllm-pair-1: the previous container serves as before" in run.output
    assert "vllm-pair-2: not replaced" in run.output
    assert load.failed() == []
    assert identities(host) == before
    assert admin.play("install").status == 0

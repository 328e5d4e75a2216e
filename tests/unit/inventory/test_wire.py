"""A module gets the fleet that the controller parsed, without the secrets that the module does not need."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import (
    NEEDS,
    SHORT,
    from_wire,
    pack,
    to_wire,
    unpack,
)
from ansible_collections.inference.fleet.tests.unit.inventories import inventories
from ansible_collections.inference.fleet.tests.unit.samples import CERTIFICATE, entry, fleet
from hypothesis import given

PASSWORD = "hunter22"
MASTER_KEY, DIRECT_KEY, TOKEN = "sk-0123456789-master", "sk-0123456789-direct", "hf_0123456789"
EVERYTHING = fleet(
    entry(name="a", env={"HF_TOKEN": "secret-of-a", "PLAIN": "shown"}, args={"x": {"1": [None, 2.5, True]}}),
    entry(name="b", state="stopped", devices={"mig": "1c.3g.40gb"}),
    images={"vllm": "own/vllm:1"},
    recipes={"own": {"base": "vllm", "pip": ["a==1"]}},
    cache={"path": "/srv/hf"},
    hf_token=TOKEN,
    mig={0: ["3g.40gb", "1g.10gb"], 1: "off"},
    monitoring=True,
    secrets={"master_key": MASTER_KEY},
    direct_keys=[{"name": "app", "key": DIRECT_KEY}],
    absent_models=["b", "gone"],
    network={"subnet": "10.89.0.0/24"},
    proxy={"url": f"http://me:{PASSWORD}@proxy.example:3128", "no_proxy": ["corp.example"]},
    ca_bundle=CERTIFICATE,
)


def through_json(data: Any) -> Any:
    return json.loads(json.dumps(data))


@given(inventories)
def test_any_fleet_is_the_same_on_the_other_side(variables: dict[str, Any]) -> None:
    parsed = Fleet.parse(variables)
    assert from_wire(Fleet, through_json(to_wire(parsed))) == parsed


@pytest.mark.parametrize("module", sorted(NEEDS))
def test_a_module_reads_back_what_it_needs(module: str) -> None:
    needs = NEEDS[module]
    read = unpack(through_json(pack(EVERYTHING, needs)))
    default = Fleet()
    for field in fields(Fleet):
        expected = EVERYTHING if field.name in needs.parts or (needs.secrets and field.name == "hf_token") else default
        if field.name == "models" and not needs.secrets:
            expected = replace(
                expected, models=(replace(expected.models[0], env=(("PLAIN", "shown"),)), *expected.models[1:])
            )
        assert getattr(read, field.name) == getattr(expected, field.name), field.name


@pytest.mark.parametrize("module", sorted(NEEDS))
def test_a_module_gets_no_key_and_other_secrets_only_where_no_log_hides_them(module: str) -> None:
    packed = pack(EVERYTHING, NEEDS[module])
    shown, hidden = json.dumps(packed["fleet"]), json.dumps(packed["secrets"])
    for secret in (MASTER_KEY, DIRECT_KEY):
        assert secret not in shown + hidden
    for secret in (TOKEN, "secret-of-a"):
        assert secret not in shown
        assert (secret in hidden) == NEEDS[module].secrets
    assert PASSWORD not in shown
    assert (PASSWORD in hidden) == NEEDS[module].proxy
    assert "PLAIN" not in hidden


@pytest.mark.parametrize("value", ["1", "0.2", "true", "debug", "20261128", "1073741824", "3000.5"])
def test_a_value_that_results_have_too_is_no_value_that_ansible_masks(value: str) -> None:
    """Ansible replaces each value of an option with no_log wherever a result has it: a time, a number, an ID."""
    given = fleet(entry(name="a", env={"STANDIN_TOKEN_SECONDS": value, "HF_TOKEN": "secret-of-a"}))
    packed = through_json(pack(given, NEEDS["model_containers"]))
    (hidden,) = packed["secrets"]["env"].values()
    masked = set(hidden.values())
    assert "secret-of-a" in masked
    assert not any(one in value or value == one for one in masked)
    assert packed["fleet"]["models"][0]["env"] == []
    assert unpack(packed).models == given.models


def test_a_value_that_looks_packed_is_read_back() -> None:
    given = fleet(entry(name="a", env={"A_TOKEN": f"{SHORT}1", "B_TOKEN": SHORT}))
    assert unpack(through_json(pack(given, NEEDS["model_containers"]))).models == given.models

"""Which networks a host has, and which container is in which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import OF_A_CHANGE, SERVICES
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import has_way_out
from ansible_collections.inference.fleet.tests.unit.inventories import inventories
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet, model, model_faults
from ansible_collections.inference.fleet.tests.unit.test_postgres_volume import tasks
from hypothesis import given

ROLES = Path(__file__).parents[3] / "roles"
MONITORED = {"monitoring": {"alertmanagers": ["http://alerts.example.com:9093"]}}


def names(*entries: dict[str, Any], **variables: Any) -> list[str]:
    return [net.name for net in fleet(*entries, **variables).networks]


def members(of: Fleet) -> dict[str, set[str]]:
    """Network -> its containers. A model's containers have the model's name here."""
    found: dict[str, set[str]] = {net.name: set() for net in of.networks}
    for service, networks in of.public()["networks_of"].items():
        for one in networks:
            found[one["name"]].add(service)
    for one in of.models:
        for name in of.networks_of(one) if one.containers else ():
            found[name].add(one.name)
    return found


def test_each_model_has_a_network_of_its_own_with_caddy() -> None:
    assert members(fleet(entry(name="a"), entry(name="b", replicas=2), **MONITORED)) == {
        "llm-network": {"caddy"},
        "fleet-litellm": {"caddy", "litellm"},
        "fleet-postgres": {"litellm", "postgres"},
        "fleet-download": set(),
        "fleet-monitoring": {
            *("caddy", "prometheus", "grafana"),
            *("node-exporter", "blackbox-exporter", "dcgm-exporter"),
        },
        "fleet-monitoring-out": {"prometheus"},
        "fleet-model-a": {"caddy", "a"},
        "fleet-model-b": {"caddy", "b"},
    }


@given(inventories)
def test_of_any_inventory_a_model_meets_nobody_but_caddy(variables: dict[str, Any]) -> None:
    of = Fleet.parse(variables)
    models = {one.name for one in of.models}
    for found in members(of).values():
        mine = found & models
        assert not mine or (len(mine) == 1 and found - mine <= {"caddy"})


@given(inventories)
def test_of_any_inventory_caddy_has_one_network_that_is_not_internal(variables: dict[str, Any]) -> None:
    """Docker publishes its ports from this network, whatever other networks come and go."""
    of = Fleet.parse(variables)
    internal = {net.name: net.internal for net in of.networks}
    assert [one["name"] for one in of.public()["networks_of"]["caddy"] if not internal[one["name"]]] == ["llm-network"]


@given(inventories)
def test_of_any_inventory_each_network_has_room_for_its_containers(variables: dict[str, Any]) -> None:
    for net in Fleet.parse(variables).networks:
        assert net.room >= net.containers + 3
        assert net.room & (net.room - 1) == 0
        assert len(net.device) <= 15  # IFNAMSIZ of the kernel's uapi/linux/if.h, less the byte that ends the name
        assert net.device.startswith("fli-" if net.internal else ("flo-", ""))


def test_an_absent_model_has_no_network_and_a_stopped_one_keeps_it() -> None:
    assert names(entry(name="a", state="stopped"), entry(name="b", state="absent"))[4:] == ["fleet-model-a"]


def test_the_monitoring_has_networks_where_there_is_monitoring() -> None:
    assert "fleet-monitoring" not in names()
    assert "fleet-monitoring" in names(monitoring=True)
    assert "fleet-monitoring-out" not in names(monitoring=True)


def test_a_grafana_that_asks_another_machine_who_signs_in_has_a_way_out() -> None:
    urls = {name: f"https://sso.example.com/{name}" for name in ("auth_url", "token_url", "api_url")}
    oidc = {"client_id": "grafana", **urls}
    found = members(fleet(monitoring={"oidc": oidc}))
    assert found["fleet-monitoring-out"] == {"grafana"}


@given(inventories)
def test_of_any_inventory_downloads_meet_nobody_and_are_under_the_rules(variables: dict[str, Any]) -> None:
    of = Fleet.parse(variables)
    assert members(of)["fleet-download"] == set()
    (net,) = (one for one in of.networks if one.name == "fleet-download")
    assert (net.internal, net.device[:4]) == (False, "flo-")


def test_a_replica_and_its_successor_fit_side_by_side() -> None:
    (net,) = (one for one in fleet(entry(replicas=8)).networks if one.name == "fleet-model-qwen3-8b")
    assert net.room == 32  # 16 containers, Caddy, and three addresses that no container gets


@pytest.mark.parametrize(
    ("changes", "out"),
    [
        ({}, False),
        ({"source": "/srv/qwen"}, False),
        ({"env": {"HF_HUB_OFFLINE": "0"}}, True),
        ({"env": {"HF_HUB_OFFLINE": "0"}, "source": "/srv/qwen"}, False),
        ({"args": {"allowed-media-domains": ["pictures.example.com"]}}, True),
        ({"args": {"allowed_media_domains": ["pictures.example.com"]}}, True),
        ({"args": {"allowed-media-domains": []}}, False),
        ({"env": {"https_proxy": "http://proxy.example.com:3128"}}, True),
        ({"outbound": True}, True),
        ({"outbound": False, "env": {"HF_HUB_OFFLINE": "0"}}, False),
    ],
)
def test_a_model_has_a_way_out_only_if_it_needs_one(changes: dict[str, Any], out: bool) -> None:
    assert has_way_out(model(**changes), at_start=False) is out


@pytest.mark.parametrize(("source", "out"), [("Qwen/Qwen3-8B", True), ("/srv/qwen", False)])
def test_a_model_that_downloads_at_its_start_needs_one(source: str, out: bool) -> None:
    one = entry(source=source)
    assert ("fleet-out-qwen3-8b" in names(one, cache={"downloads": "at_start"})) is out
    assert "fleet-out-qwen3-8b" not in names(one)


def test_every_service_is_in_its_own_networks_and_in_no_other() -> None:
    """`strict`: it leaves the networks of previous versions. Check mode leaves out networks that do not exist yet."""
    created = [
        task["inference.fleet.service_container"]
        for file in ROLES.glob("*/tasks/*.yml")
        for task in tasks(yaml.safe_load(file.read_text()))
        if "image" in (given := task.get("inference.fleet.service_container", {})) and "network_mode" not in given
    ]
    named = [(re.sub(r".*default\('(.+)'\).*", r"\1", container["name"]), container) for container in created]
    assert {name for name, _container in named} == set(SERVICES) - set(OF_A_CHANGE)
    for name, container in named:
        own = f"['{name}']" if "-" in name else f".{name}"
        left_out = "rejectattr('name', 'in', __fleet_not_yet | default([]))"
        assert container["networks"] == f"{{{{ fleet.networks_of{own} | {left_out} }}}}"
        assert container["comparisons"]["networks"] == "strict"


def test_outbound_is_true_or_false() -> None:
    assert model_faults(outbound="yes") == [
        "outbound: expected true or false, got 'yes', which is text: leave the quotes out"
    ]

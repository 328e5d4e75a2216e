"""The networks that a host lacks, their subnets, and what has to be recreated."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Network, overlaps
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import DOWNLOADS, Net
from ansible_collections.inference.fleet.plugins.module_utils.preflight.networks import (
    FoundNetwork,
    NetworkPlan,
    plan_networks,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import Route
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet
from hypothesis import given
from hypothesis import strategies as st

POOL = Network("10.89.0.0/24")
ANY = Network()


def models(*names: str, **changes: Any) -> tuple[Net, ...]:
    return fleet(*(entry(name=name, devices={"cpu": True}, **changes) for name in names)).networks


def found(name: str, *subnets: str, **changes: Any) -> FoundNetwork:
    return FoundNetwork(name, tuple(map(ipaddress.ip_network, subnets)), **changes)


def applied(plan: NetworkPlan, before: tuple[FoundNetwork, ...] = ()) -> tuple[FoundNetwork, ...]:
    """What Docker has after the plan."""
    gone = {*plan.remove, *(name for name, _why in plan.recreate)}
    new = (FoundNetwork(net.name, subnets, net.internal, True, net.device or "br-1") for net, subnets in plan.create)
    return (*(one for one in before if one.name not in gone), *new)


def created(plan: NetworkPlan) -> dict[str, str]:
    return {net.name: " ".join(map(str, subnets)) for net, subnets in plan.create}


def test_a_bare_host_gets_all_networks_out_of_the_one_subnet() -> None:
    assert created(plan_networks(models("a", "b"), (), POOL)) == {
        "llm-network": "10.89.0.32/29",
        "fleet-litellm": "10.89.0.40/29",
        "fleet-postgres": "10.89.0.48/29",
        "fleet-download": "10.89.0.56/29",
        "fleet-model-a": "10.89.0.0/28",
        "fleet-model-b": "10.89.0.16/28",
    }


def test_docker_is_asked_for_what_the_plan_has() -> None:
    plan = plan_networks(models("a"), (), POOL)
    by_name = {one["name"]: one for one in plan.to_create()}
    assert by_name["fleet-model-a"] == {
        "name": "fleet-model-a",
        "connected": [],
        "internal": True,
        "ipam_config": [{"subnet": "10.89.0.0/28"}],
        "enable_ipv6": False,
        "driver_options": {"com.docker.network.bridge.name": by_name_device("a")},
        "labels": {"managed-by": "inference.fleet"},
    }
    assert by_name["llm-network"]["driver_options"] == {}
    assert by_name["llm-network"]["internal"] is False


def by_name_device(name: str) -> str:
    return next(net.device for net in models(name) if net.name == f"fleet-model-{name}")


def test_a_model_more_or_less_moves_no_other_network() -> None:
    there = applied(plan_networks(models("b", "d"), (), POOL))
    more = plan_networks(models("a", "b", "c", "d"), there, POOL)
    assert created(more).keys() == {"fleet-model-a", "fleet-model-c"}
    less = plan_networks(models("d"), applied(more, there), POOL)
    assert (less.create, less.recreate, set(less.remove)) == (
        (),
        (),
        {"fleet-model-a", "fleet-model-b", "fleet-model-c"},
    )


def test_more_replicas_move_a_network_only_if_they_do_not_fit() -> None:
    there = applied(plan_networks(models("a"), (), POOL))
    assert plan_networks(models("a", replicas=12), there, POOL).recreate == ()
    ((name, why),) = plan_networks(models("a", replicas=13), there, POOL).recreate
    assert (name, why) == ("fleet-model-a", "10.89.0.0/28 has too few addresses for 14 containers")


def test_ipv6_is_for_networks_with_a_way_out() -> None:
    plan = plan_networks(models("a", outbound=True), (), Network("10.89.0.0/24", "fd4c:7e31:9a02::/64"))
    assert {name: subnets.split()[1:] for name, subnets in created(plan).items()} == {
        "llm-network": ["fd4c:7e31:9a02:0:1::/80"],
        "fleet-litellm": [],
        "fleet-postgres": [],
        "fleet-download": ["fd4c:7e31:9a02:0:2::/80"],
        "fleet-model-a": [],
        "fleet-out-a": ["fd4c:7e31:9a02::/80"],
    }


def test_with_ipv6_alone_in_the_setting_each_network_has_ipv4_of_dockers_ranges_too() -> None:
    """Docker before 28 creates no network without IPv4."""
    routes = (Route(ipaddress.ip_network("::/0"), "eth0", "fe80::1"),)
    setting = Network(None, "fd4c:7e31:9a02::/64")
    plan = plan_networks(models("a", outbound=True), (), setting, routes, ("fd00::53",))
    assert plan.faults == ()
    for net, subnets in plan.create:
        assert [one.version for one in subnets] == ([4] if net.internal else [4, 6]), net.name
    there = applied(plan)
    own = tuple(Route(subnet, one.device) for one in there for subnet in one.subnets)
    assert plan_networks(models("a", outbound=True), there, setting, (*routes, *own)) == NetworkPlan()


def test_the_network_of_downloads_alone_leaves_the_addresses_of_all_others() -> None:
    """Also of those that `install` is going to remove."""
    there = tuple(one for one in applied(plan_networks(models("a"), (), POOL)) if one.name != "fleet-download")
    bigger = models("a", replicas=13)
    assert plan_networks(bigger, there, POOL).recreate
    assert created(plan_networks((DOWNLOADS,), there, POOL)) == {"fleet-download": "10.89.0.40/29"}


# Without a subnet in the inventory


def test_without_a_subnet_new_networks_avoid_routes_and_the_networks_of_others() -> None:
    routes = (
        Route(ipaddress.ip_network("0.0.0.0/0"), "eth0", "10.1.0.1"),
        Route(ipaddress.ip_network("172.18.0.0/15"), "eth0", "10.1.0.1"),
    )
    others = (found("compose", "172.20.0.0/16", ours=False),)
    assert created(plan_networks(models(), others, ANY, routes, ("172.21.0.3", "fd00::53"))) == {
        "llm-network": "172.21.0.8/29",
        "fleet-litellm": "172.21.0.16/29",
        "fleet-postgres": "172.21.0.24/29",
        "fleet-download": "172.21.0.32/29",
    }


def test_the_routes_of_the_collections_own_bridges_are_no_obstacle() -> None:
    there = applied(plan_networks(models(), (), ANY))
    routes = tuple(Route(one.subnets[0], one.device) for one in there)
    assert plan_networks(models(), there, ANY, routes).create == ()


def test_a_host_whose_routes_use_all_ranges_needs_a_subnet() -> None:
    routes = [Route(ipaddress.ip_network(one), "wg0", "10.1.0.1") for one in ("172.16.0.0/12", "192.168.0.0/16")]
    fault = plan_networks(models(), (), ANY, routes).faults[0]
    assert fault.startswith("network llm-network: no subnet is free")
    assert "set fleet_network.subnet" in fault


# Hosts of previous versions


def test_a_host_of_a_previous_version_keeps_its_network_for_caddy() -> None:
    plan = plan_networks(models("a"), (found("llm-network", "172.18.0.0/16", device="br-1"),), ANY)
    assert plan.recreate == ()
    assert created(plan) == {
        "fleet-litellm": "172.19.0.16/29",
        "fleet-postgres": "172.19.0.24/29",
        "fleet-download": "172.19.0.32/29",
        "fleet-model-a": "172.19.0.0/28",
    }


@pytest.mark.parametrize(
    ("setting", "subnets"),
    [
        (POOL, ["10.89.0.0/24"]),
        (Network(None, "fd00:1::/64"), ["172.18.0.0/16", "fd00:1::/64"]),
    ],
)
def test_a_network_of_a_previous_version_that_has_the_whole_subnet_is_recreated(
    setting: Network, subnets: list[str]
) -> None:
    plan = plan_networks(models("a"), (found("llm-network", *subnets, device="br-1"),), setting)
    ((name, why),) = plan.recreate
    assert name == "llm-network"
    assert why == f"has all of {subnets[-1]}, which the networks of the models share now"
    assert created(plan).keys() == {net.name for net in models("a")}


def test_the_containers_of_a_previous_version_reach_each_other_while_they_move() -> None:
    running = {"caddy", "litellm", "postgres", "vllm-a-1"}
    old = found("llm-network", "172.18.0.0/16", device="br-1")
    plan = plan_networks(models("a", outbound=True), (old,), ANY)
    assert {one["name"]: one["connected"] for one in plan.to_create(running, running - {"caddy"})} == {
        "fleet-litellm": ["caddy", "litellm"],
        "fleet-postgres": ["litellm"],
        "fleet-download": [],
        "fleet-model-a": ["caddy", "litellm"],
        "fleet-out-a": [],
    }


def test_only_caddy_joins_the_network_of_a_new_model_and_not_if_caddy_is_recreated() -> None:
    there = applied(plan_networks(models("a"), (), POOL))
    running = {"caddy", "litellm"}
    (new,) = plan_networks(models("a", "b"), there, POOL).to_create(running, ())
    assert (new["name"], new["connected"]) == ("fleet-model-b", ["caddy"])
    moved = plan_networks(models("a", "b"), there, Network("10.90.0.0/24"), caddy=["llm-network", "fleet-litellm"])
    assert not any(one["connected"] for one in moved.to_create(running, ()))


def test_caddy_is_recreated_only_if_an_address_changes_at_which_it_listens() -> None:
    there = applied(plan_networks(models("a"), (), POOL))
    listens = ["llm-network", "fleet-litellm"]
    assert not plan_networks(models("a"), there, POOL, caddy=[*listens, "fleet-model-a"]).new_caddy
    assert not plan_networks(models("a"), there, POOL, caddy=listens).new_caddy  # it joins the model's network
    assert plan_networks(models("a"), there, POOL, caddy=["llm-network"]).new_caddy  # somebody disconnected it
    assert not plan_networks(models("a"), there, POOL).new_caddy  # there is none yet
    bigger = plan_networks(models("a", replicas=13), there, POOL, caddy=listens)
    assert (bool(bigger.recreate), bigger.new_caddy) == (True, False)
    without = tuple(one for one in there if one.name != "fleet-litellm")
    assert not plan_networks(
        models("a"), without, POOL, caddy=["llm-network"]
    ).new_caddy  # an upgrade: the network is new
    elsewhere = tuple(replace(one, internal=False) if one.name == "fleet-litellm" else one for one in there)
    assert plan_networks(models("a"), elsewhere, POOL, caddy=listens).new_caddy


# What differs


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"internal": False}, "has a way out"),
        ({"device": "br-0123"}, "its bridge is br-0123; expected fli-"),
        (
            {"subnets": (ipaddress.ip_network("10.90.0.0/28"),)},
            "its IPv4 subnet is 10.90.0.0/28; expected a part of 10.89.0.0/24",
        ),
        ({"subnets": ()}, "its IPv4 subnet is none; expected a part of 10.89.0.0/24"),
    ],
)
def test_a_network_that_is_not_as_wanted_is_recreated(change: dict[str, Any], why: str) -> None:
    there = applied(plan_networks(models("a"), (), POOL))
    changed = tuple(replace(one, **change) if one.name == "fleet-model-a" else one for one in there)
    ((name, found_why),) = plan_networks(models("a"), changed, POOL).recreate
    assert name == "fleet-model-a"
    assert found_why.startswith(why)


def test_another_subnet_in_the_inventory_moves_all_networks() -> None:
    there = applied(plan_networks(models("a"), (), POOL))
    plan = plan_networks(models("a"), there, Network("10.90.0.0/24"))
    assert [name for name, _why in plan.recreate] == [net.name for net in models("a")]


def test_a_network_of_somebody_else_keeps_its_name() -> None:
    plan = plan_networks(models("a"), (found("fleet-model-a", "10.89.0.0/28", ours=False),), POOL)
    assert plan.create == plan.recreate == plan.remove == ()
    assert plan.faults == (
        "network fleet-model-a: the name is taken by a network without the label managed-by=inference.fleet; remove it "
        "(docker network rm fleet-model-a)",
    )


def test_a_subnet_in_pieces_is_a_fault_that_says_so() -> None:
    there = (found("other", "10.89.0.0/25", "10.89.0.128/26", "10.89.0.192/27", ours=False),)
    (fault,) = plan_networks(models("a", replicas=16), there, POOL).faults
    assert fault == ("network fleet-model-a: 10.89.0.0/24 has no free part of 64 addresses; set a larger fleet_network")


def test_reads_a_network_as_docker_describes_it() -> None:
    data = {
        "Name": "fleet-model-a",
        "Id": "0123456789abcdef",
        "Internal": True,
        "IPAM": {"Config": [{"Subnet": "10.89.0.0/28", "Gateway": "10.89.0.1"}, {"Subnet": "fd00:1::/80"}]},
        "Options": {"com.docker.network.bridge.name": "fli-0123"},
        "Labels": {"managed-by": "inference.fleet"},
    }
    assert FoundNetwork.parse(data) == found(
        "fleet-model-a", "10.89.0.0/28", "fd00:1::/80", internal=True, device="fli-0123"
    )
    bare = FoundNetwork.parse({"Name": "host", "Id": "0123456789abcdef", "IPAM": {"Config": None}, "Labels": None})
    assert bare == found("host", ours=False, device="br-0123456789ab")


# From any inventory to any other

CHANGES = st.lists(
    st.dictionaries(st.sampled_from("abcdef"), st.tuples(st.integers(1, 9), st.booleans()), max_size=6),
    min_size=1,
    max_size=5,
)


@given(CHANGES, st.sampled_from([Network("10.89.0.0/22"), Network("10.89.0.0/22", "fd00:1::/64"), ANY]))
def test_networks_never_overlap_stay_in_the_subnet_and_need_one_run(
    inventories: list[dict[str, tuple[int, bool]]], setting: Network
) -> None:
    there: tuple[FoundNetwork, ...] = (found("compose", "172.18.0.0/16", ours=False),)
    for inventory in inventories:
        wanted = fleet(
            *(
                entry(name=name, replicas=replicas, outbound=out, devices={"cpu": True})
                for name, (replicas, out) in inventory.items()
            )
        ).networks
        plan = plan_networks(wanted, there, setting)
        assert not plan.faults
        kept = {one.name: one for one in there if one.name not in {name for name, _why in plan.recreate}}
        there = applied(plan, there)
        assert {one.name for one in there if one.ours} == {net.name for net in wanted}
        subnets = [subnet for one in there for subnet in one.subnets]
        assert not any(overlaps(a, b) for index, a in enumerate(subnets) for b in subnets[:index])
        if setting.subnet:
            pool = ipaddress.ip_network(setting.subnet)
            assert all(one.subnet_of(pool) for one in subnets[1:] if one.version == 4)  # type: ignore[arg-type]
        assert all(one == kept[one.name] for one in there if one.name in kept)
        again = plan_networks(wanted, there, setting)
        assert (again.create, again.recreate, again.remove) == ((), (), ())

"""Whether a host fits into its network: subnets, proxy, certificate authorities."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Network
from ansible_collections.inference.fleet.plugins.module_utils.preflight.checks import checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.networks import FoundNetwork, plan_networks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.site import Site
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import Route
from ansible_collections.inference.fleet.tests.unit.preflight.hosts import GOOD
from ansible_collections.inference.fleet.tests.unit.samples import CERTIFICATE, entry, fleet

PROXY = "http://me:hunter22@proxy.example:3128"
SHOWN = "http://proxy.example:3128"
DIRECT = ("localhost", "127.0.0.1", "::1")


def route(destination: str, device: str = "eth0", gateway: str | None = None) -> Route:
    return Route(ipaddress.ip_network(destination), device, gateway)


def reported(site: Site, host: dict[str, Any] | None = None, **variables: Any) -> list[str]:
    """The checks of the site, each after its state."""
    found = checks(fleet(entry(), **variables), replace(GOOD, site=site, **(host or {})))
    about = ("fleet_network", "network", "fleet_proxy", "proxy", "fleet_ca_bundle", "ipv6")
    return [f"{check.state} {check}" for check in found if check.name.startswith(about)]


def to_do(site: Site, host: dict[str, Any] | None = None, **variables: Any) -> list[str]:
    return replace(GOOD, site=site, **(host or {})).site_to_do(fleet(entry(), **variables))


# Subnets

DEFAULT = route("0.0.0.0/0", gateway="10.1.0.1")


def test_without_a_subnet_nothing_is_said_of_a_network_that_is_yet_to_be_created() -> None:
    assert reported(Site(routes=(DEFAULT, route("172.16.0.0/12", gateway="10.1.0.1")))) == []


@pytest.mark.parametrize(
    ("site", "why"),
    [
        (Site(routes=(route("10.89.0.0/24", "docker1"),)), "overlaps the host's route 10.89.0.0/24 on docker1"),
        (Site(routes=(route("10.89.0.0/16"),)), "overlaps the host's route 10.89.0.0/16 on eth0"),
        (Site(routes=(route("10.89.0.64/26"),)), "overlaps the host's route 10.89.0.64/26 on eth0"),
        (
            Site(routes=(route("10.89.0.9/32", gateway="10.1.0.1"),)),
            "overlaps the host's route 10.89.0.9/32 via 10.1.0.1 on eth0",
        ),
        (
            Site(routes=(route("10.89.0.0/24", gateway="10.1.0.1"),)),
            "overlaps the host's route 10.89.0.0/24 via 10.1.0.1 on eth0",
        ),
        (Site(name_servers=("10.89.0.53",)), "contains the name server 10.89.0.53"),
        (Site(routes=(route("0.0.0.0/0", gateway="10.89.0.1"),)), "contains the gateway 10.89.0.1"),
    ],
)
def test_a_subnet_that_the_host_uses_otherwise_is_a_fault(site: Site, why: str) -> None:
    assert reported(site, network={"subnet": "10.89.0.0/24"}) == [
        f"fault fleet_network.subnet: 10.89.0.0/24 {why}; choose a subnet that neither this host nor your network uses"
    ]


def test_a_subnet_that_has_the_proxy_is_a_fault() -> None:
    lines = reported(Site(), network={"subnet": "10.89.0.0/24"}, proxy="http://me:x@10.89.0.3:3128")
    assert lines[0].startswith("fault fleet_network.subnet: 10.89.0.0/24 contains the proxy 10.89.0.3;")


def test_a_subnet_behind_a_gateway_may_be_free_so_it_is_a_warning() -> None:
    site = Site(routes=(DEFAULT, route("10.0.0.0/8", gateway="10.1.0.1")))
    assert reported(site, network={"subnet": "10.89.0.0/24"}) == [
        "warn fleet_network.subnet: 10.89.0.0/24 is a part of the host's route 10.0.0.0/8 via 10.1.0.1 on eth0; make "
        "sure that no machine behind it has such an address: this host could not reach it",
    ]


def test_a_vpn_that_replaces_the_default_route_by_two_halves_is_no_clash() -> None:
    halves = (route("0.0.0.0/1", "tun0"), route("128.0.0.0/1", "tun0"), route("fd00::/8", "eth0"))
    assert reported(Site(routes=halves), network={"subnet": "10.89.0.0/24"})[0].startswith("ok ")


def test_both_subnets_are_checked() -> None:
    site = Site(routes=(route("fd4c:7e31:9a02::/48"),))
    lines = reported(site, network={"subnet": "10.89.0.0/24", "ipv6": "fd4c:7e31:9a02::/64"})
    assert [line.partition(":")[0] for line in lines] == ["ok fleet_network.subnet", "fault fleet_network.ipv6"]


def front(subnet: str) -> FoundNetwork:
    return FoundNetwork("llm-network", (ipaddress.ip_network(subnet),), device="br-0123")


def test_a_network_that_has_another_subnet_is_recreated() -> None:
    assert reported(Site(networks=(front("172.18.0.0/16"),)), network={"subnet": "10.89.0.0/24"}) == [
        "ok fleet_network.subnet: no route of the host overlaps 10.89.0.0/24",
        "install network llm-network: its IPv4 subnet is 172.18.0.0/16; expected a part of 10.89.0.0/24; install "
        "recreates it; no model is reloaded",
    ]


def test_a_caddy_that_gets_another_address_is_recreated() -> None:
    site = Site(networks=(front("172.18.0.0/16"),), caddy=("llm-network",))
    (check,) = (
        one
        for one in checks(fleet(network={"subnet": "10.89.0.0/24"}), replace(GOOD, site=site))
        if one.name == "caddy"
    )
    assert str(check) == "caddy: gets another address; install recreates it; clients are refused until it runs again"
    assert check.state == "install"
    assert not [one for one in checks(fleet(), replace(GOOD, site=site)) if one.name == "caddy"]


def test_a_network_that_has_a_part_of_the_subnet_is_right_and_its_own_route_no_clash() -> None:
    site = Site(networks=(front("10.89.0.0/29"),), routes=(DEFAULT, route("10.89.0.0/29", "br-0123")))
    (line,) = reported(site, network={"subnet": "10.89.0.0/24"})
    assert line.startswith("ok ")
    assert reported(site) == []


def test_a_network_that_clashes_with_a_later_route_is_a_warning() -> None:
    site = Site(networks=(front("172.18.0.0/16"),), routes=(route("172.18.5.0/24", "wg0"),))
    assert reported(site) == [
        "warn network llm-network: 172.18.0.0/16 overlaps the host's route 172.18.5.0/24 on wg0; set "
        "fleet_network.subnet to a free subnet; install then recreates the networks"
    ]


def test_a_subnet_that_clashes_with_a_later_route_is_a_warning_where_all_networks_exist() -> None:
    """A fault would stop a run that changes no network."""
    setting = {"subnet": "10.89.0.0/24"}
    plan = plan_networks(fleet(entry()).networks, (), Network(**setting))
    there = tuple(FoundNetwork(net.name, subnets, net.internal, device=net.device) for net, subnets in plan.create)
    site = Site(networks=there, routes=(route("10.89.0.64/26", "wg0"),))
    (line,) = reported(site, network=setting)
    assert line.startswith("warn fleet_network.subnet: 10.89.0.0/24 overlaps the host's route 10.89.0.64/26 on wg0;")


def test_a_host_of_a_previous_version_is_told_what_install_moves() -> None:
    assert reported(Site(networks=(front("172.18.0.0/16"),), crowd=("litellm", "vllm-a-1"), rules=False)) == [
        "install network llm-network: has litellm, vllm-a-1, as in previous versions; install moves them to networks "
        "of their own; models are not reloaded, LiteLLM restarts"
    ]


def test_a_host_without_the_rules_gets_them() -> None:
    (check,) = (one for one in checks(fleet(), replace(GOOD, site=Site(rules=False))) if one.name == "host rules")
    assert check.state == "install"


# IPv6


def test_an_old_docker_gives_no_way_out_by_ipv6() -> None:
    network = {"ipv6": "fd4c:7e31:9a02::/64"}
    old = reported(Site(), {"docker_version": "20.10.24+dfsg1"}, network=network)
    assert old[1].startswith("warn fleet_network.ipv6: Docker 20.10.24+dfsg1 gives containers no way out by IPv6")
    assert len(reported(Site(), {"docker_version": "27.0.1"}, network=network)) == 1


def test_a_host_without_ipv4_is_told_what_needs_a_subnet() -> None:
    site = Site(routes=(route("::/0", gateway="fe80::1"),))
    (line,) = reported(site)
    assert line == (
        "warn ipv6: the host has IPv6 alone, and containers have IPv4 alone; set fleet_network.ipv6 if weights are "
        "downloaded, images of recipes are built or models have a way out"
    )
    assert not any("alone" in one for one in reported(site, network={"ipv6": "fd4c:7e31:9a02::/64"}))
    assert reported(replace(site, routes=(*site.routes, DEFAULT))) == []


# The proxy and certificate authorities

WRITTEN = Site(proxy_written=True, docker_proxy=(SHOWN + "/", DIRECT))


def test_a_docker_that_has_the_proxy_has_nothing_to_do() -> None:
    assert reported(WRITTEN, proxy=PROXY) == [f"ok fleet_proxy: Docker has the proxy {SHOWN}"]
    assert to_do(WRITTEN, proxy=PROXY) == []
    assert (reported(Site()), to_do(Site())) == ([], [])


@pytest.mark.parametrize(
    ("site", "steps"),
    [
        (Site(), ["proxy", "restart"]),
        (replace(WRITTEN, proxy_written=False), ["proxy", "restart"]),  # another password
        (replace(WRITTEN, outdated=True), ["restart"]),
    ],
)
def test_a_docker_without_the_proxy_gets_it_and_is_restarted_where_no_model_runs(site: Site, steps: list[str]) -> None:
    assert to_do(site, proxy=PROXY) == steps
    assert reported(site, proxy=PROXY) == [
        f"install fleet_proxy: Docker does not have the proxy {SHOWN} yet; install restarts Docker; no other container "
        "runs"
    ]
    busy = {"busy": ("vllm-a-1", "vllm-a-2", "vllm-b-1", "web")}
    assert to_do(site, busy, proxy=PROXY) == steps[:-1]
    (line,) = reported(site, busy, proxy=PROXY)
    assert line.startswith(
        f"warn fleet_proxy: Docker does not have the proxy {SHOWN} yet, and a restart of Docker would "
    )
    assert "stop vllm-a-1, vllm-a-2, vllm-b-1 and 1 more; after install, in a quiet hour: `systemctl restart" in line


@pytest.mark.parametrize(
    ("has", "shown"),
    [
        (("http://old.example:3128", DIRECT), "http://old.example:3128"),
        ((SHOWN, (*DIRECT, "old.example")), SHOWN),
        (("", ()), "no proxy"),
    ],
)
def test_a_docker_that_gets_its_proxy_from_elsewhere_is_not_restarted_again_and_again(
    has: tuple[str, tuple[str, ...]], shown: str
) -> None:
    site = replace(WRITTEN, docker_proxy=has)
    assert to_do(site, proxy=PROXY) == []
    (line,) = reported(site, proxy=PROXY)
    assert line.startswith(
        f"warn fleet_proxy: Docker has {shown} instead, or other exceptions; see proxies in /etc/docker"
    )


def test_a_docker_that_is_yet_to_start_gets_the_proxy_before() -> None:
    assert to_do(Site(), {"docker_version": None}, proxy=PROXY) == ["proxy"]
    (line,) = reported(Site(), {"docker_version": None}, proxy=PROXY)
    assert line.startswith("install fleet_proxy: Docker does not have")


def test_without_systemd_the_admin_sets_the_proxy_up() -> None:
    assert to_do(Site(), {"systemd": False}, proxy=PROXY) == []
    (line,) = reported(Site(), {"systemd": False}, proxy=PROXY)
    assert line.startswith("warn fleet_proxy: ")
    assert "hunter22" not in line
    assert reported(replace(WRITTEN, proxy_written=False), {"systemd": False}, proxy=PROXY) == []


def test_certificates_that_the_host_does_not_trust_are_added_and_docker_reads_them() -> None:
    site = Site(untrusted=2)
    assert to_do(site, ca_bundle=CERTIFICATE) == ["ca", "restart"]
    assert to_do(site, {"docker_version": None}, ca_bundle=CERTIFICATE) == ["ca"]
    assert reported(site, ca_bundle=CERTIFICATE) == [
        "install fleet_ca_bundle: the host does not trust 2 of the certificates; install adds them to the host's "
        "certificates",
        "install fleet_ca_bundle: Docker does not have the certificates yet; install restarts Docker; no other "
        "container runs",
    ]
    assert to_do(Site(), ca_bundle=CERTIFICATE) == []
    assert {line.partition(" ")[0] for line in reported(Site(), ca_bundle=CERTIFICATE)} == {"ok"}


def test_files_of_a_previous_proxy_are_removed() -> None:
    assert to_do(Site(leftover=("/etc/inference-fleet/proxy.env",))) == ["leftover", "restart"]

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether a host fits into its network: subnets of the containers, proxy, certificate authorities. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Subnet, is_inside, overlaps
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import FRONT
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import FAULT, INSTALL, OK, WARN, Check
from ansible_collections.inference.fleet.plugins.module_utils.preflight.networks import (
    FoundNetwork,
    NetworkPlan,
    plan_networks,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import Route, is_ipv6_only

_IP6TABLES = 27  # Docker's first version that filters and masquerades IPv6 by default (its release notes)
_CHOOSE = "choose a subnet that neither this host nor your network uses"
_PROXY, _CA, _LEFTOVER, _RESTART = "proxy", "ca", "leftover", "restart"


@dataclass(frozen=True)
class Site:
    """What was found.

    networks: those of Docker. crowd: the collection's containers in `llm-network`, where Caddy should be alone. caddy:
    the networks of Caddy's container, if there is one. rules: whether the host has the packet filter rules of
    `host_rules`. untrusted: the number of certificates of `fleet_ca_bundle` that the host does not trust.
    proxy_written: whether Docker's service gets `fleet_proxy`, from the files on the host. files: those of this
    collection for a proxy and certificates. leftover: those of them that the fleet does not want. docker_proxy: the
    proxy of the running Docker without its password, and what it reaches without the proxy. outdated: whether the
    proxy or the trusted certificates changed after Docker started. selinux: whether Docker separates containers by
    SELinux. firewalld: whether it runs.
    """

    routes: tuple[Route, ...] = ()
    name_servers: tuple[str, ...] = ()
    networks: tuple[FoundNetwork, ...] = ()
    crowd: tuple[str, ...] = ()
    caddy: Optional[tuple[str, ...]] = None
    rules: bool = True
    untrusted: int = 0
    proxy_written: bool = False
    files: tuple[str, ...] = ()
    leftover: tuple[str, ...] = ()
    docker_proxy: tuple[str, tuple[str, ...]] = ("", ())
    outdated: bool = False
    selinux: bool = False
    firewalld: bool = False

    def network_plan(self, fleet: Fleet) -> NetworkPlan:
        return plan_networks(fleet.networks, self.networks, fleet.network, self.routes, self.name_servers, self.caddy)


def site_to_do(fleet: Fleet, site: Site, docker_runs: bool, systemd: bool, busy: tuple[str, ...]) -> list[str]:
    """The steps for the role fleet: ca, trust the certificates; proxy, write the files with which Docker's service gets
    the proxy; leftover, remove files; restart, restart Docker so that it uses the changes."""
    steps = {
        _CA: site.untrusted > 0,
        _PROXY: bool(fleet.proxy) and systemd and not site.proxy_written,
        _LEFTOVER: bool(site.leftover),
    }
    steps[_RESTART] = docker_runs and systemd and not busy and _is_outdated(fleet, site)
    return [step for step, needed in steps.items() if needed]


def _is_outdated(fleet: Fleet, site: Site) -> bool:
    """Whether a restart gives the running Docker the proxy or the certificates, or takes those of before."""
    wanted = bool(fleet.proxy or fleet.ca_bundle)
    unwritten = bool(fleet.proxy) and not site.proxy_written
    return bool(site.leftover or site.untrusted or unwritten or (wanted and site.outdated))


def _has_proxy(fleet: Fleet, site: Site) -> bool:
    url, direct = site.docker_proxy
    return bool(fleet.proxy) and (url.rstrip("/"), set(direct)) == (fleet.proxy.shown, set(fleet.proxy.direct))  # type: ignore[union-attr]


def site_checks(
    fleet: Fleet, site: Site, docker_version: Optional[str], systemd: bool, busy: tuple[str, ...]
) -> Iterator[Check]:
    yield from _subnets(fleet, site)
    yield from _ipv6(fleet, site, docker_version)
    if fleet.ca_bundle:
        missing = f"the host does not trust {site.untrusted} of the certificates"
        todo = Check("fleet_ca_bundle", INSTALL, missing, "install adds them to the host's certificates")
        yield todo if site.untrusted else Check("fleet_ca_bundle", OK, "the host trusts these certificates")
    if fleet.proxy or site.leftover or (fleet.ca_bundle and docker_version):
        yield from _docker(fleet, site, docker_version, systemd, busy)


def _docker(
    fleet: Fleet, site: Site, docker_version: Optional[str], systemd: bool, busy: tuple[str, ...]
) -> Iterator[Check]:
    name = "fleet_proxy" if fleet.proxy else "proxy" if not fleet.ca_bundle else "fleet_ca_bundle"
    what = f"the proxy {fleet.proxy.shown}" if fleet.proxy else "the change"
    if fleet.ca_bundle and not fleet.proxy and not site.leftover:
        what = "the certificates"
    if not systemd:
        if not fleet.proxy or _has_proxy(fleet, site):
            return
        remedy = "no systemd runs here: give dockerd the proxy and restart it"
        yield Check(name, WARN, f"Docker does not have {what}", remedy)
    elif not docker_version:
        yield Check(name, INSTALL, f"Docker does not have {what} yet", "install gives it to Docker before it starts")
    elif not _is_outdated(fleet, site) and fleet.proxy and not _has_proxy(fleet, site):
        yield Check(
            name,
            WARN,
            f"Docker has {site.docker_proxy[0] or 'no proxy'} instead, or other exceptions",
            "see proxies in /etc/docker/daemon.json and the other files in docker.service.d; then restart Docker",
        )
    elif not _is_outdated(fleet, site):
        yield Check(name, OK, f"Docker has {what}")
    elif busy:
        some = ", ".join(busy[:3]) + (f" and {len(busy) - 3} more" if len(busy) > 3 else "")
        yield Check(
            name,
            WARN,
            f"Docker does not have {what} yet, and a restart of Docker would stop {some}",
            "after install, in a quiet hour: `systemctl restart docker`; until then Docker pulls images as before",
        )
    else:
        yield Check(
            name, INSTALL, f"Docker does not have {what} yet", "install restarts Docker; no other container runs"
        )


def _subnets(fleet: Fleet, site: Site) -> Iterator[Check]:
    plan = site.network_plan(fleet)
    named = {"subnet": fleet.network.subnet, "ipv6": fleet.network.ipv6}
    for key, text in named.items():
        if text:
            yield from _clashes(fleet, site, f"fleet_network.{key}", text, FAULT if plan.create else WARN, _CHOOSE)
    for network in site.networks if not any(named.values()) else ():
        change = "set fleet_network.subnet to a free subnet; install then recreates the networks"
        for subnet in network.subnets if network.ours else ():
            yield from _clashes(fleet, site, f"network {network.name}", str(subnet), WARN, change)
    yield from map(Check.parse, plan.faults)
    for name, why in plan.recreate:
        yield Check(f"network {name}", INSTALL, why, "install recreates it; no model is reloaded")
    if plan.new_caddy:
        remedy = "install recreates it; clients are refused until it runs again"
        yield Check("caddy", INSTALL, "gets another address", remedy)
    if site.crowd:
        yield Check(
            f"network {FRONT}",
            INSTALL,
            f"has {', '.join(site.crowd)}, as in previous versions",
            "install moves them to networks of their own; models are not reloaded, LiteLLM restarts",
        )
    if not site.rules:
        yield Check("host rules", INSTALL, "models can reach services of this host", "install refuses that by iptables")


def _clashes(fleet: Fleet, site: Site, name: str, text: str, state: str, remedy: str) -> Iterator[Check]:
    """Routes and machines whose addresses the subnet would take over."""
    subnet = ipaddress.ip_network(text)
    own_devices = {network.device for network in site.networks if network.ours}
    found, inside = [], False
    for route in site.routes:
        # Default routes, and VPNs that replace them by two halves, say nothing about the addresses in use.
        if route.device in own_devices or route.destination.prefixlen <= 1 or not overlaps(subnet, route.destination):
            continue
        if route.gateway and is_inside(subnet, route.destination) and subnet != route.destination:
            inside = True
            yield Check(
                name,
                WARN,
                f"{text} is a part of the host's route {route}",
                "make sure that no machine behind it has such an address: this host could not reach it",
            )
        else:
            found.append(f"overlaps the host's route {route}")
    found += [f"contains {what} {address}" for what, address in _needed(fleet, site) if _has(subnet, address)]
    yield from (Check(name, state, f"{text} {one}", remedy) for one in found)
    if not (found or inside) and state == FAULT:
        yield Check(name, OK, f"no route of the host overlaps {text}")


def _needed(fleet: Fleet, site: Site) -> Iterator[tuple[str, str]]:
    """Machines that the host must reach, with their addresses."""
    yield from (("the name server", address) for address in site.name_servers)
    yield from (("the gateway", route.gateway) for route in site.routes if route.gateway)
    if fleet.proxy:
        yield "the proxy", re.sub(r".*//\[?|[]/].*|:\d+$", "", fleet.proxy.shown)


def _has(subnet: Subnet, address: str) -> bool:
    try:
        return ipaddress.ip_address(address) in subnet
    except ValueError:  # a host name
        return False


def _ipv6(fleet: Fleet, site: Site, docker_version: Optional[str]) -> Iterator[Check]:
    major = re.match(r"\d+", docker_version or "")
    if fleet.network.ipv6 and major and int(major[0]) < _IP6TABLES:
        yield Check(
            "fleet_network.ipv6",
            WARN,
            f"Docker {docker_version} gives containers no way out by IPv6 by itself",
            'unless the subnet is routed to this host, set "experimental" and "ip6tables" in /etc/docker/daemon.json',
        )
    if is_ipv6_only(site.routes) and not fleet.network.ipv6:
        yield Check(
            "ipv6",
            WARN,
            "the host has IPv6 alone, and containers have IPv4 alone",
            "set fleet_network.ipv6 if weights are downloaded, images of recipes are built or models have a way out",
        )

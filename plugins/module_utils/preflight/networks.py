# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which Docker networks a host lacks, which have to be recreated, and the subnets of new ones. Pure.

A network that exists keeps its subnet: Docker is the record, so changes of the inventory move nothing that is in use.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import is_address
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import (
    Network,
    Subnet,
    is_inside,
    overlaps,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import (
    FRONT,
    LITELLM,
    MODEL,
    MONITORING,
    POSTGRES,
    RESERVED,
    Net,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import Route

# Without fleet_network.subnet: the ranges from which Docker itself chooses, without that of docker0.
_POOLS = (*(f"172.{second}.0.0/16" for second in range(18, 32)), "192.168.0.0/16")
_BRIDGE = "com.docker.network.bridge.name"
_LISTENS = (FRONT, LITELLM, MONITORING)  # where Caddy listens at its own address, which it looks up when it starts


@dataclass(frozen=True)
class FoundNetwork:
    """A Docker network of the host. ours: whether this collection created it. device: its bridge."""

    name: str
    subnets: tuple[Subnet, ...] = ()
    internal: bool = False
    ours: bool = True
    device: str = ""

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> FoundNetwork:
        """data: as Docker's API describes a network."""
        ipam = (data.get("IPAM") or {}).get("Config") or ()
        labels, options = data.get("Labels") or {}, data.get("Options") or {}
        return cls(
            name=data["Name"],
            subnets=tuple(ipaddress.ip_network(one["Subnet"], strict=False) for one in ipam if one.get("Subnet")),
            internal=bool(data.get("Internal")),
            ours=data["Name"] == FRONT or labels.get("managed-by") == MANAGED_BY,
            device=str(options.get(_BRIDGE) or f"br-{data.get('Id', '')[:12]}"),
        )


@dataclass(frozen=True)
class NetworkPlan:
    """create: with their subnets, those in `recreate` included. recreate: name -> why. remove: those of models and
    services that the inventory no longer has. faults: as in preflight. new_caddy: whether Caddy gets another address in
    a network where it listens, so that its container has to be recreated."""

    create: tuple[tuple[Net, tuple[Subnet, ...]], ...] = ()
    recreate: tuple[tuple[str, str], ...] = ()
    remove: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()
    new_caddy: bool = False

    def to_create(self, running: Collection[str] = (), crowd: Collection[str] = ()) -> list[dict[str, Any]]:
        """As options of community.docker.docker_network. running: the collection's containers that run. crowd: those in
        `llm-network`."""
        return [
            {
                "name": net.name,
                "connected": [*self._connected(net, running, crowd)],
                "internal": net.internal,
                "ipam_config": [{"subnet": str(subnet)} for subnet in subnets],
                "enable_ipv6": any(subnet.version == 6 for subnet in subnets),
                "driver_options": {_BRIDGE: net.device} if net.device else {},
                "labels": {"managed-by": MANAGED_BY},
            }
            for net, subnets in self.create
        ]

    def _connected(self, net: Net, running: Collection[str], crowd: Collection[str]) -> Iterator[str]:
        """The containers that join the network at once: so they reach the others when these leave the network of
        previous versions. LiteLLM reached the models without Caddy; it is recreated later, in its own networks."""
        for_caddy = net.name in (LITELLM, MONITORING) or net.name.startswith(MODEL)
        if "caddy" in running and for_caddy and not self.new_caddy:
            yield "caddy"
        if "litellm" in running and "litellm" in crowd and net.name.startswith((LITELLM, POSTGRES, MODEL)):
            yield "litellm"


def plan_networks(
    wanted: Sequence[Net],
    found: Sequence[FoundNetwork],
    setting: Network,
    routes: Iterable[Route] = (),
    name_servers: Iterable[str] = (),
    caddy: Optional[Collection[str]] = None,
) -> NetworkPlan:
    """routes, name_servers: those of the host, which new subnets avoid unless `setting` has a subnet. caddy: the
    networks of Caddy's container, if there is one."""
    present = {one.name: one for one in found}
    names = {one.name for one in wanted}
    taken_names = [net.name for net in wanted if net.name in present and not present[net.name].ours]
    if taken_names:
        return NetworkPlan(
            faults=tuple(
                f"network {name}: the name is taken by a network without the label managed-by={MANAGED_BY}; "
                f"remove it (docker network rm {name})"
                for name in taken_names
            )
        )
    whys = {net.name: _why(net, present[net.name], setting) for net in wanted if net.name in present}
    recreate = tuple((name, why) for name, why in whys.items() if why)
    leaving = {name for name, _why in recreate}
    kept = [one for one in found if one.name not in leaving]
    own_devices = {one.device for one in found if one.ours}
    taken = [subnet for one in kept for subnet in one.subnets]
    if not setting.subnet:
        # Default routes, and VPNs that replace them by two halves, say nothing about the addresses in use.
        free_of = (one for one in routes if one.device not in own_devices and one.destination.prefixlen > 1)
        taken += [
            *(one.destination for one in free_of),
            *(ipaddress.ip_network(one) for one in name_servers if is_address(one)),
        ]
    new = [net for net in wanted if net.name not in present or net.name in leaving]
    subnets: dict[str, tuple[Subnet, ...]] = {}
    faults = []
    for net in sorted(new, key=lambda net: -net.room):  # the largest first: then all fit if their sum does
        own = [*_new_ipv4(net, setting, taken), *_new_ipv6(net, setting, taken)]
        if len(own) < 1 + (setting.ipv6 is not None and not net.internal):
            faults.append(_no_room(net, setting))
        taken += own
        subnets[net.name] = tuple(own)
    return NetworkPlan(
        create=tuple((net, subnets[net.name]) for net in new),
        recreate=recreate,
        remove=tuple(one.name for one in found if one.ours and one.name not in names),
        faults=tuple(faults),
        new_caddy=caddy is not None
        and any(name in leaving or (name in present and name not in caddy) for name in _LISTENS if name in names),
    )


def _why(net: Net, found: FoundNetwork, setting: Network) -> Optional[str]:
    """Why the network has to be recreated, if it has."""
    return next(_reasons(net, found, setting), None)


def _reasons(net: Net, found: FoundNetwork, setting: Network) -> Iterator[str]:
    if net.internal != found.internal:
        yield "has a way out" if found.internal is False else "has no way out"
    if net.device and net.device != found.device:
        yield f"its bridge is {found.device}; expected {net.device}, for which the host has rules"
    for version, pool in ((4, setting.subnet), (6, setting.ipv6 if not net.internal else None)):
        own = [one for one in found.subnets if one.version == version]
        if pool and not any(is_inside(one, ipaddress.ip_network(pool)) for one in own):
            has = ", ".join(map(str, own)) or "none"
            yield f"its IPv{version} subnet is {has}; expected a part of {pool}"
    if not setting.ipv6 and any(one.version == 6 for one in found.subnets):
        yield "has an IPv6 subnet, and fleet_network.ipv6 is not set"
    for subnet in found.subnets:
        if subnet.version == 4 and subnet.num_addresses < net.containers + RESERVED:
            yield f"{subnet} has too few addresses for {net.containers} containers"
        # Previous versions had all containers in this network.
        if net.name == FRONT and _is_whole(subnet, net, setting):
            yield f"has all of {subnet}, which the networks of the models share now"


def _is_whole(subnet: Subnet, front: Net, setting: Network) -> bool:
    if subnet.version == 6:
        return subnet.prefixlen < setting.ipv6_prefix
    return bool(setting.subnet) and subnet.num_addresses > front.room


def _new_ipv4(net: Net, setting: Network, taken: Sequence[Subnet]) -> Iterator[Subnet]:
    prefix = 33 - net.room.bit_length()
    pools = [ipaddress.ip_network(one) for one in ([setting.subnet] if setting.subnet else _POOLS)]
    yield from _first(pools, prefix, taken)


def _new_ipv6(net: Net, setting: Network, taken: Sequence[Subnet]) -> Iterator[Subnet]:
    if setting.ipv6 and not net.internal:
        yield from _first([ipaddress.ip_network(setting.ipv6)], setting.ipv6_prefix, taken)


def _first(pools: Iterable[Subnet], prefix: int, taken: Sequence[Subnet]) -> list[Subnet]:
    """The first free subnet of that prefix, if there is one."""
    for pool in pools:
        near = [one for one in taken if overlaps(one, pool)]
        if prefix < pool.prefixlen or any(is_inside(pool, one) for one in near):
            continue
        for subnet in pool.subnets(new_prefix=prefix):
            if not any(overlaps(subnet, one) for one in near):
                return [subnet]
    return []


def _no_room(net: Net, setting: Network) -> str:
    if not setting.subnet:
        return (
            f"network {net.name}: no subnet is free, since routes of the host use {_POOLS[0]} to {_POOLS[-1]}; "
            "set fleet_network.subnet to a subnet that neither this host nor your network uses"
        )
    pools = " and ".join(one for one in (setting.subnet, setting.ipv6) if one)
    return f"network {net.name}: {pools} has no free part of {net.room} addresses; set a larger fleet_network"

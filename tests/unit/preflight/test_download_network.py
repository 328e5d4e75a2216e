# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network of downloads is there, and under the host's rules, before a container starts in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import DOWNLOADS
from ansible_collections.inference.fleet.plugins.module_utils.preflight import download_network
from ansible_collections.inference.fleet.plugins.module_utils.preflight.download_network import provide_network
from ansible_collections.inference.fleet.plugins.module_utils.preflight.host_rules import Services
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import fleet

POOL = fleet(network={"subnet": "10.89.0.0/24"})
BRIDGE = "com.docker.network.bridge.name"


class World:
    """networks: those of Docker, as its API lists them. refuses: status and message of its answer to changes."""

    def __init__(self) -> None:
        self.networks: list[dict[str, Any]] = []
        self.journal: list[str] = []
        self.refuses: tuple[int, bytes] | None = None
        self.no_rules = ""

    def ask(self, path: str) -> Any:
        assert path == "/networks"
        return self.networks

    def request(self, method: str, path: str, body: Any = None, seconds: float = 0) -> tuple[int, bytes]:
        if self.refuses:
            return self.refuses
        self.journal.append(f"{method} {path}")
        if method == "DELETE":
            self.networks = [one for one in self.networks if not path.endswith(one["Name"])]
            return 204, b""
        self.networks.append({**body, "Id": "0123456789abcdef", "Internal": False})
        return 201, b"{}"

    def apply_rules(self, present: bool, check: bool, downloads: Services) -> list[str]:
        assert (present, check) == (True, False)
        if self.no_rules:
            raise FleetError(self.no_rules)
        self.journal.append(" ".join(["rules", *(f"{address}:{port}" for address, port in downloads)]))
        return []


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    for name in ("ask", "request", "apply_rules"):
        monkeypatch.setattr(download_network, name, getattr(found, name))
    monkeypatch.setattr(download_network, "routes", lambda: ())
    monkeypatch.setattr(download_network, "name_servers", lambda: ())
    return found


def test_is_created_once_out_of_the_subnet_with_a_device_of_the_rules(world: World) -> None:
    assert provide_network(POOL) == "fleet-download"
    (network,) = world.networks
    assert (network["Name"], network["EnableIPv6"]) == ("fleet-download", False)
    assert network["IPAM"] == {"Config": [{"Subnet": "10.89.0.0/29"}]}
    assert network["Options"] == {BRIDGE: DOWNLOADS.device}
    assert network["Labels"] == {"managed-by": "inference.fleet"}
    assert world.journal == ["rules", "POST /networks/create"]
    provide_network(POOL)
    assert world.journal[2:] == ["rules"]  # a reboot or an admin may have removed the rules


def test_has_ipv6_where_the_inventory_has(world: World) -> None:
    provide_network(fleet(network={"subnet": "10.89.0.0/24", "ipv6": "fd4c:7e31:9a02::/64"}))
    (network,) = world.networks
    assert network["EnableIPv6"] is True
    assert network["IPAM"]["Config"][1:] == [{"Subnet": "fd4c:7e31:9a02::/80"}]


@pytest.mark.parametrize(
    ("of", "rules"),
    [
        (fleet(cache={"endpoint": "http://10.1.0.5:8080"}), "rules 10.1.0.5:8080"),
        (fleet(cache={"endpoint": "https://[2001:db8::5]/hub"}), "rules 2001:db8::5:443"),
        (fleet(proxy="http://me:secret@10.1.0.5:3128"), "rules 10.1.0.5:3128"),
        (fleet(proxy="http://10.1.0.5"), "rules 10.1.0.5:80"),
        (fleet(cache={"endpoint": "https://hub.example.com"}, proxy="http://proxy.example.com"), "rules"),
    ],
)
def test_the_rules_know_the_addresses_of_the_hub_and_of_the_proxy(world: World, of: Fleet, rules: str) -> None:
    provide_network(of)
    assert world.journal[0] == rules


@pytest.mark.parametrize("change", [{"Internal": True}, {"Options": {BRIDGE: "br-1"}}, {"Options": {}}])
def test_one_that_the_rules_do_not_hold_for_is_recreated(world: World, change: dict[str, Any]) -> None:
    provide_network(POOL)
    world.networks[0].update(change)
    world.journal.clear()
    provide_network(POOL)
    assert world.journal == ["rules", "DELETE /networks/fleet-download", "POST /networks/create"]


def test_one_of_somebody_else_is_left_alone(world: World) -> None:
    world.networks = [{"Name": "fleet-download", "Id": "0123456789abcdef", "IPAM": None, "Labels": {}}]
    with pytest.raises(FleetError, match="network fleet-download: the name is taken"):
        provide_network(POOL)
    assert world.journal == []


def test_without_the_rules_there_is_no_network(world: World) -> None:
    world.no_rules = "iptables: Permission denied; models could reach services of this host without its rules"
    with pytest.raises(FleetError, match="iptables: Permission denied"):
        provide_network(POOL)
    assert world.networks == []


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((403, json.dumps({"message": "network has active endpoints"}).encode()), "network has active endpoints"),
        ((500, b"<html>"), "status 500"),
        ((500, b"[]"), "status 500"),
        ((0, b""), "Docker does not answer"),
    ],
)
def test_what_docker_refuses_is_reported(world: World, answer: tuple[int, bytes], said: str) -> None:
    world.refuses = answer
    with pytest.raises(FleetError) as caught:
        provide_network(POOL)
    assert str(caught.value) == (
        f"network fleet-download: {said}; containers that download and builds of images need it"
    )

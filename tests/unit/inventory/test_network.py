"""fleet_network, fleet_proxy and fleet_ca_bundle."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Network, Proxy, certificate_files
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, CERTIFICATE, entry, faults, fleet
from hypothesis import given

SECRET_URL = "http://me:hunter22@proxy.example.com:3128"
URL = "http://proxy.example.com:3128"


def refused(name: str, data: Any) -> list[str]:
    return faults(Fleet.parse, {name: data})


# Subnets


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"subnet": "10.89.0.1/24"}, "subnet: expected an IPv4 subnet such as 10.89.0.0/24, got '10.89.0.1/24'; its"),
        ({"subnet": "10.89.0.0"}, "subnet: expected an IPv4 subnet such as 10.89.0.0/24, got '10.89.0.0'"),
        ({"subnet": "10.89.0.0/33"}, "subnet: expected an IPv4 subnet such as 10.89.0.0/24, got '10.89.0.0/33'"),
        ({"subnet": "fd00::/64"}, "subnet: expected an IPv4 subnet such as 10.89.0.0/24, got 'fd00::/64'"),
        ({"ipv6": "10.89.0.0/24"}, "ipv6: expected an IPv6 subnet such as fd4c:7e31:9a02::/64, got '10.89.0.0/24'"),
        ({"ipv6": True}, "ipv6: expected an IPv6 subnet such as fd4c:7e31:9a02::/64, got True"),
        ({"subnet": 10}, "subnet: expected an IPv4 subnet such as 10.89.0.0/24, got 10"),
        ({"subnet": "127.0.0.0/24"}, "subnet: expected an IPv4 subnet such as 10.89.0.0/24, got '127.0.0.0/24', which"),
        ({"subnet": "0.0.0.0/0"}, "subnet: expected an IPv4 subnet such as 10.89.0.0/24, got '0.0.0.0/0', which"),
        ({"ipv6": "fe80::/64"}, "ipv6: expected an IPv6 subnet such as fd4c:7e31:9a02::/64, got 'fe80::/64', which"),
        ({"subnets": "10.89.0.0/24"}, "subnets: unknown key; did you mean 'subnet'?"),
    ],
)
def test_what_is_no_subnet_is_a_fault(data: Any, why: str) -> None:
    (fault,) = refused("fleet_network", data)
    assert fault.startswith(f"fleet_network.{why}")


def test_a_subnet_has_room_for_a_network_of_each_model() -> None:
    """32 addresses for services and downloads, 16 and more for each model."""
    models = [entry(name=name, devices={"cpu": True}) for name in ("a", "b", "c")]
    assert fleet(*models[:2], network={"subnet": "10.89.0.0/26"})
    assert faults(lambda: fleet(*models, network={"subnet": "10.89.0.0/26"})) == [
        "fleet_network.subnet: 10.89.0.0/26 has 64 addresses; expected at least 80, for 7 networks: one for each "
        "model, and those of the services"
    ]


def test_a_prefix_of_ipv6_has_room_for_each_network_with_a_way_out() -> None:
    models = [entry(name=name, outbound=True) for name in ("a", "b", "c")]
    network = {"ipv6": "fd00::/122"}  # four networks of 16 addresses
    assert fleet(*models[:2], network=network)
    (fault,) = faults(lambda: fleet(*models, network=network))
    assert fault.startswith("fleet_network.ipv6: fd00::/122 has 64 addresses; expected at least 80, for 10 networks")


@pytest.mark.parametrize(
    ("key", "subnet"),
    [
        *(("subnet", one) for one in ("240.0.0.0/24", "255.255.255.0/24", "0.0.0.0/24", "224.0.0.0/3", "128.0.0.0/1")),
        *(("subnet", one) for one in ("169.254.7.0/24", "0.0.0.0/0", "224.1.0.0/24")),
        *(("ipv6", one) for one in ("::ffff:10.0.0.0/120", "::/64", "fe80::/64", "ff02::/64", "::/0", "4000::/64")),
    ],
)
def test_no_subnet_has_addresses_that_no_host_may_have(key: str, subnet: str) -> None:
    (fault,) = refused("fleet_network", {key: subnet})
    assert fault.startswith(f"fleet_network.{key}: expected an IPv")
    assert fault.endswith("which is reserved for another purpose")


@pytest.mark.parametrize("subnet", ["10.0.0.0/8", "100.64.0.0/24", "172.30.0.0/16", "192.168.7.0/24", "203.0.113.0/24"])
def test_other_subnets_may_be_used(subnet: str) -> None:
    assert fleet(network={"subnet": subnet}).network.subnet == subnet
    for ipv6 in ("fd4c:7e31:9a02::/64", "2001:db8::/64", "2a01:4f8::/64"):
        assert fleet(network={"ipv6": ipv6}).network.ipv6 == ipv6


# The proxy


def test_a_proxy_is_a_url_or_a_mapping() -> None:
    assert fleet(proxy=URL + "/").proxy == Proxy(URL)
    assert fleet(proxy={"url": URL, "no_proxy": ["corp.example", "10.0.0.0/8"]}).proxy == Proxy(
        URL, ("corp.example", "10.0.0.0/8")
    )
    assert fleet(proxy={"url": "http://[fd00::3]:3128"}).proxy == Proxy("http://[fd00::3]:3128")


@pytest.mark.parametrize(
    "data",
    [
        "proxy.example.com:3128",
        "http://proxy:0",
        "http://proxy:99999",
        "http://[fd00::3]:65536",
        "socks5://proxy:1080",
        "http://",
        "http://proxy_1:3128",
        "http://p/path",
        3128,
        "a b",
    ],
)
def test_what_is_no_proxy_is_a_fault(data: Any) -> None:
    (fault,) = refused("fleet_proxy", {"url": data})
    assert fault.startswith("fleet_proxy.url: expected the http or https URL of a proxy, such as http://proxy.example")


def test_no_fault_and_no_fact_shows_the_password_of_the_proxy() -> None:
    (fault,) = refused("fleet_proxy", "http://me:hunter22 'x@proxy:3128")
    assert fault.endswith("got text that is not shown; percent-encode special characters of the password")
    behind = fleet(proxy=SECRET_URL)
    assert behind.public()["proxy"]["url"] == URL
    assert "hunter22" not in json.dumps(behind.public()) + repr(behind)
    assert behind.desired_state()["fleet_proxy"] == {"url": SECRET_URL, "no_proxy": []}


def test_a_proxy_needs_a_url_and_exceptions_that_programs_understand() -> None:
    assert refused("fleet_proxy", {"no_proxy": ["http://x", "10.0.0.0/8", "10.0.0.0/40", "*.corp.example", 7]}) == [
        "fleet_proxy.url: missing; expected the http or https URL of a proxy, such as http://proxy.example.com:3128",
        *(
            f"fleet_proxy.no_proxy[{place}]: expected a domain, an address or a network such as corp.example.com or "
            f"10.0.0.0/8, got {shown}"
            for place, shown in ((0, "'http://x'"), (2, "'10.0.0.0/40'"), (4, "7"))
        ),
    ]


@pytest.mark.parametrize(
    ("url", "through"),
    [
        ("https://huggingface.co/x", True),
        ("https://hub.corp.example", False),
        ("https://corp.example:8443/", False),
        ("https://notcorp.example", True),
        ("https://HUB.CORP.EXAMPLE", False),
        ("http://10.1.2.3:8080", False),
        ("http://11.1.2.3", True),
        ("http://[fd00::9]/", False),
        ("http://localhost:8080", False),
        ("http://127.0.0.1", False),
        ("https://deep.wild.example", False),
        ("https://wild.example", True),
    ],
)
def test_what_is_reached_without_the_proxy(url: str, through: bool) -> None:
    proxy = Proxy(URL, ("corp.example", "10.0.0.0/8", "fd00::/8", ".wild.example"))
    assert proxy.for_url(url) == (URL if through else None)
    assert Proxy(URL, ("*",)).for_url(url) is None


# Certificate authorities


def test_certificates_are_kept_without_other_text_and_each_has_a_file() -> None:
    second = CERTIFICATE.replace("c2l0ZQ", "b3RoZXI")
    parsed = fleet(ca_bundle=f"subject=one\n{CERTIFICATE}\n{second}-----BEGIN PRIVATE KEY-----\nx\n")
    assert parsed.ca_bundle == CERTIFICATE + second
    files = parsed.public()["ca_files"]
    assert sorted(files.values()) == sorted([CERTIFICATE, second])
    assert all(name.startswith("inference-fleet-") and name.endswith(".crt") for name in files)
    assert certificate_files(None) == {}


def test_what_has_no_certificate_is_a_fault_that_does_not_show_it() -> None:
    assert refused("fleet_ca_bundle", "-----BEGIN PRIVATE KEY-----\nsecret\n") == [
        "fleet_ca_bundle: expected certificates of authorities as PEM text or a file of it on your machine; what "
        "was found is not shown"
    ]


@given(ANYTHING)
def test_anything_is_parsed_or_a_fault(data: Any) -> None:
    for name in ("fleet_network", "fleet_proxy", "fleet_ca_bundle"):
        try:
            assert isinstance(Fleet.parse({name: data}).network, Network)
        except Exception as error:
            assert type(error).__name__ == "FleetError"

"""The rules of the packet filter: what a model may not reach, and how they are recognised and changed."""

from __future__ import annotations

import ipaddress
import re

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import DOWNLOADS
from ansible_collections.inference.fleet.plugins.module_utils.preflight.host_rules import (
    CHAINS,
    VERSIONS,
    are_right,
    rules,
    to_remove,
    to_restore,
)

INNER, OUT = CHAINS["INPUT"], CHAINS["FORWARD"]
# As iptables 1.8.9 prints the rules of IPv4, after its own defaults.
PRINTED = """\
-P PREROUTING ACCEPT
-P INPUT ACCEPT
-P FORWARD ACCEPT
-N INFERENCE-FLEET-IN
-N INFERENCE-FLEET-OUT
-A INPUT -j INFERENCE-FLEET-IN
-A FORWARD -j INFERENCE-FLEET-OUT
-A INFERENCE-FLEET-IN -m comment --comment "{inner}"
-A INFERENCE-FLEET-IN -i flo-+ -p udp -m udp --dport 53 -j RETURN
-A INFERENCE-FLEET-IN -i flo-+ -p tcp -m tcp --dport 53 -j RETURN
-A INFERENCE-FLEET-IN -i fli-+ -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A INFERENCE-FLEET-IN -i flo-+ -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN
-A INFERENCE-FLEET-IN -i fli-+ -j DROP
-A INFERENCE-FLEET-IN -i flo-+ -j DROP
-A INFERENCE-FLEET-OUT -m comment --comment "{out}"
-A INFERENCE-FLEET-OUT -i fli-+ ! -o fli-+ -j DROP
-A INFERENCE-FLEET-OUT -i flo-+ -p udp -m udp --dport 53 -j RETURN
-A INFERENCE-FLEET-OUT -i flo-+ -p tcp -m tcp --dport 53 -j RETURN
-A INFERENCE-FLEET-OUT -d 169.254.0.0/16 -i flo-+ -j DROP
-A INFERENCE-FLEET-OUT -d 100.100.100.200/32 -i flo-+ -j DROP
-A INFERENCE-FLEET-OUT -d 168.63.129.16/32 -i flo-+ -j DROP
-A INFERENCE-FLEET-OUT -d 192.0.0.192/32 -i flo-+ -j DROP
""".format(**{key: rules(4)[chain][0].split()[-1] for key, chain in (("inner", INNER), ("out", OUT))})
BARE = "-P INPUT ACCEPT\n-P FORWARD ACCEPT\n-A INPUT -s 10.0.0.1/32 -j DROP\n"


def test_the_rules_are_recognised_as_iptables_prints_them() -> None:
    assert are_right(PRINTED, 4)
    assert to_restore(PRINTED, 4) == ""


@pytest.mark.parametrize("line", [line for line in PRINTED.splitlines() if line.startswith("-A")])
def test_each_missing_rule_is_found_and_all_are_written_again(line: str) -> None:
    listed = PRINTED.replace(line + "\n", "")
    text = to_restore(listed, 4).splitlines()
    assert (text[0], text[-1]) == ("*mangle", "COMMIT")
    assert [one for one in text if one.startswith(f"-A {INNER}")] == [f"-A {INNER} {rule}" for rule in rules(4)[INNER]]
    hooks = [one for one in text if one.startswith("-I")]
    assert hooks == ([f"-I {line.split()[1]} 1 {' '.join(line.split()[2:])}"] if "-j INFERENCE" in line else [])


def test_a_jump_that_is_there_twice_is_removed_once() -> None:
    twice = PRINTED + f"-A INPUT -j {INNER}\n"
    assert not are_right(twice, 4)
    assert [line for line in to_restore(twice, 4).splitlines() if line[:2] in ("-D", "-I")] == [f"-D INPUT -j {INNER}"]


def test_rules_of_another_version_of_the_collection_are_replaced() -> None:
    assert not are_right(re.sub(r"inference.fleet-\w+", "inference.fleet-000000000000", PRINTED), 4)
    assert not are_right(PRINTED, 6)


def test_a_bare_host_gets_both_chains_and_keeps_its_own_rules() -> None:
    text = to_restore(BARE, 4)
    assert f":{INNER} - [0:0]\n" in text
    assert f"-I INPUT 1 -j {INNER}\n" in text
    assert f"-I FORWARD 1 -j {OUT}\n" in text
    assert "-F INPUT" not in text
    assert "10.0.0.1" not in text


def test_the_removal_leaves_nothing_and_touches_nothing_else() -> None:
    assert to_remove(PRINTED).splitlines() == [
        "*mangle",
        *(f"-D INPUT -j {INNER}", f"-F {INNER}", f"-X {INNER}"),
        *(f"-D FORWARD -j {OUT}", f"-F {OUT}", f"-X {OUT}"),
        "COMMIT",
    ]
    assert to_remove(BARE) == ""


@pytest.mark.parametrize("version", VERSIONS)
def test_every_connection_of_a_model_to_the_host_is_dropped_except_answers_and_dns(version: int) -> None:
    inner = rules(version)[INNER]
    assert inner[-2:] == ["-i fli-+ -j DROP", "-i flo-+ -j DROP"]
    passes = [rule for rule in inner if rule.endswith("RETURN") and "conntrack" not in rule]
    assert all(rule.startswith("-i flo-+") for rule in passes)  # an internal network needs nothing of the host
    assert all("--dport 53" in rule or "ipv6-icmp" in rule for rule in passes)


@pytest.mark.parametrize(
    "address",
    [
        *("169.254.169.254", "169.254.170.2", "169.254.170.23", "169.254.42.42", "169.254.0.23"),
        *("100.100.100.200", "168.63.129.16", "192.0.0.192"),
        *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"),
        *("fd00:a9fe:a9fe::1", "fd00:100::100:200", "fe80::a9fe:a9fe"),
    ],
)
def test_a_model_with_a_way_out_reaches_no_metadata_service(address: str) -> None:
    asked = ipaddress.ip_address(address)
    dropped = [rule.split()[3] for rule in rules(asked.version)[OUT] if " -d " in rule]
    assert any(asked in ipaddress.ip_network(one) for one in dropped)


@pytest.mark.parametrize("address", ["fd00:ec2::10", "fd00:c1::1", "fd00:42::1", "fd4c:7e31:9a02::1", "100.100.100.1"])
def test_a_sites_own_addresses_near_those_are_reached(address: str) -> None:
    asked = ipaddress.ip_address(address)
    dropped = [rule.split()[3] for rule in rules(asked.version)[OUT] if " -d " in rule]
    assert not any(asked in ipaddress.ip_network(one) for one in dropped)


def test_downloads_alone_reach_a_hub_or_a_proxy_of_the_host() -> None:
    services = [("10.1.0.5", 3128), ("2001:db8::5", 8080)]
    for version, rule in (
        (4, f"-i {DOWNLOADS.device} -d 10.1.0.5 -p tcp --dport 3128 -j RETURN"),
        (6, f"-i {DOWNLOADS.device} -d 2001:db8::5 -p tcp --dport 8080 -j RETURN"),
    ):
        with_it, without = rules(version, services), rules(version)
        assert with_it[OUT] == without[OUT]
        assert [one for one in with_it[INNER][1:] if one != rule] == without[INNER][1:]
        assert with_it[INNER].index(rule) < with_it[INNER].index("-i flo-+ -j DROP")
    assert not are_right(PRINTED, 4, services)
    assert f"-A {INNER} {rules(4, services)[INNER][4]}" in to_restore(PRINTED, 4, services)


def test_ipv6_has_every_kind_of_rule_that_ipv4_has() -> None:
    """On a host with IPv6 alone, ip6tables refuses what iptables does elsewhere."""
    for chain, lines in rules(4).items():
        kinds = [line for line in lines[1:] if " -d " not in line]
        assert [line for line in rules(6)[chain][1:] if " -d " not in line and "icmp" not in line] == kinds

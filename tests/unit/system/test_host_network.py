"""Routes, name servers and trusted certificates, from files as the kernel and the distributions write them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system import host_network
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import (
    bundle,
    changed_after,
    is_ipv6_only,
    is_own,
    name_servers,
    routes,
)

HEAD = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
IPV4 = (
    HEAD
    + "eth0\t00000000\t0100010A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
    + "eth0\t0000010A\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    + "br-0123456789ab\t000012AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    + "*\t0000F40A\t00000000\t0201\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    + "eth1\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
    + "down\t0000630A\t00000000\t0000\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
)
NONE = "0" * 32
IPV6 = (
    f"fd4c7e319a0200000000000000000000 40 {NONE} 00 {NONE} 00000100 00000001 00000000 00000001 eth0\n"
    f"fe800000000000000000000000000000 40 {NONE} 00 {NONE} 00000100 00000001 00000000 00000001 eth0\n"
    f"{NONE} 00 {NONE} 00 fe800000000000000000000000000001 00000400 00000001 00000000 00000003 eth0\n"
    f"fd4c7e319a0200000000000000000007 80 {NONE} 00 {NONE} 00000000 00000002 00000000 80200001 lo\n"
    f"ff000000000000000000000000000000 08 {NONE} 00 {NONE} 00000100 00000004 00000000 00000001 eth0\n"
    f"{NONE} 00 {NONE} 00 {NONE} ffffffff 00000001 00000000 00200200 lo\n"
)


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(host_network, "ROOT", tmp_path)
    return tmp_path


def put(root: Path, path: str, text: str) -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_reads_the_routes_of_both_versions_of_ip_without_those_of_each_machine(root: Path) -> None:
    put(root, "proc/net/route", IPV4)
    put(root, "proc/net/ipv6_route", IPV6)
    assert [str(one) for one in routes()] == [
        "0.0.0.0/0 via 10.1.0.1 on eth0",
        "10.1.0.0/16 on eth0",
        "172.18.0.0/16 on br-0123456789ab",
        "10.244.0.0/16 on *",
        "fd4c:7e31:9a02::/64 on eth0",
        "::/0 via fe80::1 on eth0",
    ]
    assert not is_ipv6_only(routes())


def test_a_host_without_an_ipv4_default_route_has_ipv6_alone(root: Path) -> None:
    put(root, "proc/net/route", "\n".join(line for line in IPV4.splitlines() if "0100010A" not in line))
    put(root, "proc/net/ipv6_route", IPV6)
    assert is_ipv6_only(routes())


def test_a_host_without_any_network_is_not_taken_for_one_with_ipv6(root: Path) -> None:
    assert routes() == ()
    assert not is_ipv6_only(routes())


def test_the_kernel_of_this_machine_is_understood() -> None:
    assert all(one.device for one in routes())


def test_reads_name_servers_without_zones(root: Path) -> None:
    put(
        root,
        "etc/resolv.conf",
        "# a comment\nsearch corp.example\nnameserver 10.0.0.53\nnameserver fe80::1%eth0\nnameserver\n",
    )
    assert name_servers() == ("10.0.0.53", "fe80::1")


@pytest.mark.parametrize("path", ["etc/ssl/certs/ca-certificates.crt", "etc/pki/tls/certs/ca-bundle.crt"])
def test_finds_the_bundle_of_the_distribution(root: Path, path: str) -> None:
    assert bundle() is None
    put(root, path, "")
    assert bundle() == str(root / path)


def test_compares_the_times_of_files(root: Path) -> None:
    old, new = put(root, "run/docker.pid", "1"), put(root, "etc/proxy.env", "")
    os.utime(old, (0, 0))
    assert changed_after("/etc/proxy.env", "/run/docker.pid")
    assert not changed_after("/etc/none", "/run/docker.pid")
    assert not changed_after("/etc/proxy.env", "/run/none")
    os.utime(old, (4_000_000_000, 4_000_000_000))
    assert not changed_after(f"/{new.relative_to(root)}", "/run/docker.pid")


def test_an_address_of_another_machine_and_loopback_are_not_the_hosts_own() -> None:
    assert not is_own("198.51.100.7")
    assert not is_own("2001:db8::7")
    assert not is_own("127.0.0.1")
    assert not is_own("::1")


def test_an_address_that_the_host_can_bind_is_its_own() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("198.51.100.7", 9))  # sends nothing; the kernel selects an address of this host
        assert is_own(probe.getsockname()[0])

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a Linux host tells about its network: routes, name servers, trusted certificates. Read-only."""

from __future__ import annotations

import ipaddress
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

ROOT = Path("/")
# The bundles of the distributions, in the order in which Go looks for them (crypto/x509, root_linux.go).
BUNDLES = (
    "etc/ssl/certs/ca-certificates.crt",
    "etc/pki/tls/certs/ca-bundle.crt",
    "etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
)
_UP, _REJECT = 0x1, 0x200  # RTF_UP and RTF_REJECT of the kernel's uapi/linux/route.h


@dataclass(frozen=True)
class Route:
    """gateway: None for a network that the host is a part of. device: `*` or `lo` for a route that refuses."""

    destination: Union[ipaddress.IPv4Network, ipaddress.IPv6Network]
    device: str
    gateway: Optional[str] = None

    def __str__(self) -> str:
        via = f" via {self.gateway}" if self.gateway else ""
        return f"{self.destination}{via} on {self.device}"


def routes() -> tuple[Route, ...]:
    """The routes of the main table, without those of loopback, link-local and multicast addresses."""
    found = (*_ipv4(_lines("proc/net/route")), *_ipv6(_lines("proc/net/ipv6_route")))
    return tuple(one for one in dict.fromkeys(found) if not _is_local(one.destination))


def is_ipv6_only(known: tuple[Route, ...]) -> bool:
    """Whether the host reaches the internet by IPv6 and not by IPv4."""
    default = {one.destination.version for one in known if one.destination.prefixlen == 0 and one.gateway}
    return default == {6}


def name_servers() -> tuple[str, ...]:
    """The addresses in resolv.conf, without zones."""
    words = (line.split() for line in _lines("etc/resolv.conf"))
    return tuple(line[1].partition("%")[0] for line in words if len(line) > 1 and line[0] == "nameserver")


def is_own(address: str) -> bool:
    """Whether the address is one of this host, other than loopback."""
    kind = socket.AF_INET6 if ":" in address else socket.AF_INET
    with suppress(OSError), socket.socket(kind, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))  # refused for an address of another machine
        return not ipaddress.ip_address(address).is_loopback
    return False


def bundle() -> Optional[str]:
    """The path of the certificates that the host trusts."""
    return next((str(ROOT / one) for one in BUNDLES if (ROOT / one).is_file()), None)


def _lines(path: str) -> list[str]:
    with suppress(OSError):  # no IPv6 in this kernel, for example
        return (ROOT / path).read_text().splitlines()
    return []


def _ipv4(lines: list[str]) -> Iterator[Route]:
    """/proc/net/route: Iface Destination Gateway Flags RefCnt Use Metric Mask …, addresses in the host's byte order."""
    for line in lines[1:]:
        device, destination, gateway, flags, *_counts, mask = line.split()[:8]
        if int(flags, 16) & _UP:
            network = f"{_address(destination)}/{_address(mask)}"
            via = _address(gateway) if int(gateway, 16) else None
            yield Route(ipaddress.ip_network(network), "*" if int(flags, 16) & _REJECT else device, via)


def _address(digits: str) -> str:
    return socket.inet_ntoa(struct.pack("=L", int(digits, 16)))


def _ipv6(lines: list[str]) -> Iterator[Route]:
    """/proc/net/ipv6_route: destination, its prefix, source, its prefix, next hop, …, flags, device."""
    for line in lines:
        destination, prefix, _source, _prefix, gateway, *_counts, flags, device = line.split()
        if int(flags, 16) & _UP and not (device == "lo" and int(prefix, 16) == 128):
            network = ipaddress.IPv6Network((int(destination, 16), int(prefix, 16)))
            via = str(ipaddress.IPv6Address(int(gateway, 16))) if int(gateway, 16) else None
            if device != "lo" or network.prefixlen:
                yield Route(network, device, via)


def _is_local(network: Union[ipaddress.IPv4Network, ipaddress.IPv6Network]) -> bool:
    return network.is_loopback or network.is_multicast or network.is_link_local


def changed_after(path: str, other: str) -> bool:
    """Whether the first file changed after the second. False where one of them does not exist."""
    try:
        return os.stat(ROOT / path.lstrip("/")).st_ctime > os.stat(ROOT / other.lstrip("/")).st_mtime
    except OSError:
        return False

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network around a host: subnets of the containers, the proxy, further certificate authorities. Pure."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Optional, Union
from urllib.parse import urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.inventory.https import is_address, is_name
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import Net
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

Subnet = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

# Without characters that have a meaning in a systemd EnvironmentFile; other characters are percent-encoded.
_PROXY = re.compile(r"(https?)://(?:[A-Za-z0-9._~%!&*+,=:-]+@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9.-]+)(:[0-9]{1,5})?/?")
_PROXY_EXPECTED = "the http or https URL of a proxy, such as http://proxy.example.com:3128"
_LONGEST_IPV6_PREFIX = 124
# IANA, "IPv4 Special-Purpose Address Registry": addresses that no host in a network may have.
_RESERVED = tuple(map(ipaddress.ip_network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3")))
# IANA, "IPv6 Global Unicast Address Space", and RFC 4193.
_UNICAST = tuple(map(ipaddress.ip_network, ("2000::/3", "fc00::/7")))
_ALWAYS_DIRECT = ("localhost", "127.0.0.1", "::1")
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n", re.DOTALL)


@dataclass(frozen=True)
class Network:
    """`fleet_network`: the subnets that all Docker networks of a host share. subnet: None if the collection chooses
    free ones. ipv6: None for no IPv6; only networks with a way out have it."""

    subnet: Optional[str] = None
    ipv6: Optional[str] = None

    @classmethod
    def parse(cls, data: object, path: str) -> Network:
        with Fields(data, path) as read:
            return cls(
                subnet=read.nested("subnet", _subnet(4, "10.89.0.0/24"), None),
                ipv6=read.nested("ipv6", _subnet(6, "fd4c:7e31:9a02::/64"), None),
            )

    @property
    def ipv6_prefix(self) -> int:
        """The prefix of one network's part of `ipv6`."""
        return min(ipaddress.ip_network(self.ipv6 or "::/0").prefixlen + 16, _LONGEST_IPV6_PREFIX)

    def size_faults(self, networks: Sequence[Net]) -> list[str]:
        """The faults of subnets that are too small for these networks."""
        needed = {
            "subnet": sum(one.room for one in networks),
            "ipv6": sum(1 << 128 - self.ipv6_prefix for one in networks if not one.internal),
        }
        sizes = {key: ipaddress.ip_network(text).num_addresses for key, text in vars(self).items() if text}
        return [
            f"fleet_network.{key}: {getattr(self, key)} has {size} addresses; expected at least {needed[key]}, for "
            f"{len(networks)} networks: one for each model, and those of the services"
            for key, size in sizes.items()
            if size < needed[key]
        ]


@dataclass(frozen=True)
class Proxy:
    """`fleet_proxy`. url: may have a user name and a password. no_proxy: domains, addresses and networks in CIDR
    notation that are reached without the proxy."""

    url: str = field(repr=False)
    no_proxy: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object, path: str) -> Proxy:
        if isinstance(data, str):
            return cls(_proxy_url(data, path))
        with Fields(data, path) as read:
            url = read.nested("url", _proxy_url, "")
            if not read.has("url"):
                read.fault("url", f"missing; expected {_PROXY_EXPECTED}")
            return cls(url, read.each("no_proxy", _destination))

    @property
    def shown(self) -> str:
        """The URL without user name and password."""
        return re.sub("//[^@]*@", "//", self.url)

    @property
    def direct(self) -> tuple[str, ...]:
        """`no_proxy` with the names of the machine itself."""
        return tuple(dict.fromkeys((*_ALWAYS_DIRECT, *self.no_proxy)))

    @property
    def environment(self) -> dict[str, str]:
        """The environment variables by which programs find the proxy: some read the upper case, some the lower."""
        upper = {"HTTP_PROXY": self.url, "HTTPS_PROXY": self.url, "NO_PROXY": ",".join(self.direct)}
        return {**upper, **{name.lower(): value for name, value in upper.items()}}

    @property
    def environment_file(self) -> str:
        """The same for systemd."""
        upper = (f"{name}={value}\n" for name, value in self.environment.items() if name.isupper())
        return "# Written by inference.fleet: fleet_proxy, for Docker.\n" + "".join(upper)

    def for_url(self, url: str) -> Optional[str]:
        """The proxy for that URL; None if `no_proxy` has its host."""
        host = (urlsplit(url).hostname or "").lower()
        return None if any(_covers(one, host) for one in self.direct) else self.url


def certificate_files(bundle: Optional[str]) -> dict[str, str]:
    """File name -> certificate, for each certificate of a bundle: `update-ca-certificates` reads one a file."""
    found = _CERTIFICATE.findall(bundle or "")
    return {"inference-fleet-" + hashlib.sha256(one.encode()).hexdigest()[:16] + ".crt": one for one in found}


def _subnet(version: int, example: str) -> Callable[[object, str], str]:
    def parse(data: object, path: str) -> str:
        expected = f"expected an IPv{version} subnet such as {example}"
        try:
            found = ipaddress.ip_network(data) if isinstance(data, str) and "/" in data else None
        except ValueError as error:
            host_bits = "; its address has bits behind the prefix" if "host bits" in str(error) else ""
            raise FleetError(f"{path}: {expected}, got {show(data)}{host_bits}") from None
        if found is None or found.version != version:
            raise FleetError(f"{path}: {expected}, got {show(data)}")
        if any(overlaps(found, one) for one in _RESERVED) or (
            version == 6 and not any(is_inside(found, one) for one in _UNICAST)
        ):
            raise FleetError(f"{path}: {expected}, got {show(data)}, which is reserved for another purpose")
        return str(found)

    return parse


def _proxy_url(data: Any, path: str) -> str:
    found = _PROXY.fullmatch(data) if isinstance(data, str) else None
    if found and is_name(found[2].strip("[]")) and has_valid_port(data):
        return str(data).rstrip("/")
    secret = isinstance(data, str) and "@" in data
    hint = "; percent-encode special characters of the password" if secret else ""
    raise FleetError(f"{path}: expected {_PROXY_EXPECTED}, got {show(data, secret)}{hint}")


def _destination(data: object, path: str) -> str:
    text = data if isinstance(data, str) else ""
    name = text[1:] if text.startswith(".") else text
    if text == "*" or is_name(name) or (_network(text) and "/" in text):
        return text[1:] if text.startswith("*.") else text
    raise FleetError(
        f"{path}: expected a domain, an address or a network such as corp.example.com or 10.0.0.0/8, got {show(data)}"
    )


def has_valid_port(url: str) -> bool:
    """Whether the port of the URL is from 1 to 65535, or not given."""
    try:
        return urlsplit(url).port != 0
    except ValueError:
        return False


def _covers(destination: str, host: str) -> bool:
    """Whether an entry of no_proxy covers the host, as Go and curl read the entry."""
    if is_address(host):
        network = _network(destination)
        return destination == "*" or (network is not None and ipaddress.ip_address(host) in network)
    domain = destination.lower()
    return domain == "*" or host == domain or host.endswith(domain if domain.startswith(".") else f".{domain}")


def _network(text: str) -> Optional[Subnet]:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def overlaps(one: Subnet, other: Subnet) -> bool:
    """Whether two subnets share an address. False for different versions of IP."""
    return one.version == other.version and one.overlaps(other)


def is_inside(one: Subnet, other: Subnet) -> bool:
    """Whether `one` is a part of `other`, or equal."""
    return one.version == other.version and one.subnet_of(other)  # type: ignore[arg-type]  # same version

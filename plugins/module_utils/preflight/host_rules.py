# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The host's packet filter rules for the networks of models and downloads: what Docker's networks do not refuse. Pure.

An internal network still leads to the address of its bridge, and so to every service of the host; a network with a way
out leads to the metadata service of a cloud, which gives credentials to anybody who asks. The rules name prefixes of
devices, so they are the same for all models. They are in the table mangle, which neither Docker nor firewalld changes;
chains of Docker such as DOCKER-USER are missing where Docker uses nftables.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterator, Sequence

from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import (
    DOWNLOADS,
    INTERNAL_DEVICE,
    OUT_DEVICE,
)

INPUT, FORWARD = "INPUT", "FORWARD"
CHAINS = {INPUT: "INFERENCE-FLEET-IN", FORWARD: "INFERENCE-FLEET-OUT"}
VERSIONS = (4, 6)
# Metadata services. Each outside of link-local addresses is one address: others near it may be a site's own.
_METADATA = {
    4: (
        "169.254.0.0/16",  # AWS, Google, Azure, Oracle, OpenStack, Hetzner, Tencent, Scaleway and others
        "100.100.100.200/32",  # Alibaba
        "168.63.129.16/32",  # Azure's WireServer
        "192.0.0.192/32",  # Oracle Cloud Classic
    ),
    6: (
        "fd00:ec2::254/128",  # AWS, "Access instance metadata for an EC2 instance"
        "fd00:ec2::23/128",  # AWS, "Set up the Amazon EKS Pod Identity Agent"; its IPv4 address is link-local
        "fd20:ce::254/128",  # Google
        "fd00:c1::a9fe:a9fe/128",  # Oracle, instance_principals_security_token_signer.py of oci-python-sdk
        "fd00:42::42/128",  # Scaleway, cloud-init's documentation of this data source
        "fd00:a9fe:a9fe::1/128",  # Akamai (Linode), cloud-init's documentation of this data source
        "fd00:100::100:200/128",  # Alibaba, as public lists have it
        "fe80::/10",  # OpenStack and others
    ),
}
Services = Sequence[tuple[str, int]]  # addresses and TCP ports
_ANSWERS = "-m conntrack --ctstate ESTABLISHED,RELATED"


def rules(version: int, services: Services = ()) -> dict[str, list[str]]:
    """Chain -> its rules. version: of IP. services: a hub and a proxy on this host, which downloads may reach."""
    # The name server of some clouds has the address of the metadata service.
    dns = [f"-i {OUT_DEVICE}+ -p {protocol} --dport 53 -j RETURN" for protocol in ("udp", "tcp")]
    neighbours = [f"-i {OUT_DEVICE}+ -p ipv6-icmp -j RETURN"] if version == 6 else []
    devices = (INTERNAL_DEVICE, OUT_DEVICE)
    own = [
        f"-i {DOWNLOADS.device} -d {address} -p tcp --dport {port} -j RETURN"
        for address, port in services
        if ipaddress.ip_address(address).version == version
    ]
    found = {
        CHAINS[INPUT]: [
            *dns,
            *neighbours,
            *own,
            *(f"-i {device}+ {_ANSWERS} -j RETURN" for device in devices),
            *(f"-i {device}+ -j DROP" for device in devices),
        ],
        CHAINS[FORWARD]: [
            f"-i {INTERNAL_DEVICE}+ ! -o {INTERNAL_DEVICE}+ -j DROP",  # also where Docker changes no rules
            *dns,
            *(f"-i {OUT_DEVICE}+ -d {address} -j DROP" for address in _METADATA[version]),
        ],
    }
    return {chain: [_mark(lines), *lines] for chain, lines in found.items()}


def _mark(lines: list[str]) -> str:
    """A rule without a target, by which the chain is recognised: versions of iptables print rules differently."""
    return f"-m comment --comment inference.fleet-{hashlib.sha256(repr(lines).encode()).hexdigest()[:12]}"


def are_right(listed: str, version: int, services: Services = ()) -> bool:
    """listed: the output of `iptables -t mangle -S`."""
    return all(
        _jumps(listed, hook, chain) == 1
        and len(_of(listed, chain)) == len(wanted)
        and wanted[0].split()[-1] in _of(listed, chain)[0]
        for hook, chain, wanted in ((hook, chain, rules(version, services)[chain]) for hook, chain in CHAINS.items())
    )


def to_restore(listed: str, version: int, services: Services = ()) -> str:
    """The input of `iptables-restore --noflush` that makes the rules right in one step; empty if they are."""
    if are_right(listed, version, services):
        return ""
    return _text(
        f":{chain} - [0:0]" if line is None else line  # a chain that is named again is emptied
        for hook, chain in CHAINS.items()
        for line in (
            None,
            *(f"-A {chain} {rule}" for rule in rules(version, services)[chain]),
            *[f"-D {hook} -j {chain}"] * max(0, _jumps(listed, hook, chain) - 1),
            *[f"-I {hook} 1 -j {chain}"] * (not _jumps(listed, hook, chain)),
        )
    )


def to_remove(listed: str) -> str:
    """The input that removes the chains; empty if there is none of them."""
    there = {hook: chain for hook, chain in CHAINS.items() if f"-N {chain}" in listed.splitlines()}
    lines = [
        line
        for hook, chain in there.items()
        for line in (*[f"-D {hook} -j {chain}"] * _jumps(listed, hook, chain), f"-F {chain}", f"-X {chain}")
    ]
    return _text(iter(lines)) if lines else ""


def _of(listed: str, chain: str) -> list[str]:
    return [line for line in listed.splitlines() if line.startswith(f"-A {chain} ")]


def _jumps(listed: str, hook: str, chain: str) -> int:
    return listed.splitlines().count(f"-A {hook} -j {chain}")


def _text(lines: Iterator[str]) -> str:
    return "\n".join(["*mangle", *lines, "COMMIT", ""])

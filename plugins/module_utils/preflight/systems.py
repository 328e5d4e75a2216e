# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The distributions: their releases and the names of their packages. Pure.

Sources, read in November 2026. Debian: the package lists of 12 and 13. Ubuntu: packages.ubuntu.com, where docker.io
29.1.3-0ubuntu3~24.04.2 is built from docker.io-app, which has no package docker-cli: docker.io has the command. RHEL
and its rebuilds: Docker's manual, "Install Docker Engine on RHEL"; EPEL for the Docker SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Optional

DEBIAN, REDHAT = "debian", "redhat"

# What a host needs, in the order of installation.
CA_CERTIFICATES, ENGINE, COMMAND, IPTABLES, APPARMOR, SDK, VENV = NEEDS = (
    "certificates of public authorities",
    "Docker Engine",
    "the command docker",
    "iptables",
    "apparmor_parser",
    "the Docker SDK for Python",
    "Python's venv",
)
_APT = {
    CA_CERTIFICATES: ("ca-certificates",),
    ENGINE: ("docker.io",),
    COMMAND: ("docker-cli",),  # in docker.io until Debian 12
    IPTABLES: ("iptables",),
    APPARMOR: ("apparmor",),
    SDK: ("python3-docker",),
    VENV: ("python3-venv",),
}
_DNF = {
    CA_CERTIFICATES: ("ca-certificates",),
    ENGINE: ("docker-ce", "containerd.io"),
    COMMAND: ("docker-ce-cli",),
    IPTABLES: ("iptables-nft",),
    SDK: ("python3-docker",),  # of EPEL
    VENV: ("python3-pip",),
}


# Family -> the folder of the certificates that an admin adds, and the command that makes the host trust them.
TRUST = {
    DEBIAN: ("/usr/local/share/ca-certificates", "update-ca-certificates"),
    REDHAT: ("/etc/pki/ca-trust/source/anchors", "update-ca-trust"),
}
# Family -> how an admin installs a package.
_INSTALL = {DEBIAN: "apt-get install", REDHAT: "dnf install"}


@dataclass(frozen=True)
class System:
    """name: as in messages. family: which package manager it has. oldest: the oldest release. packages: need ->
    packages; a need that is missing here comes with another package. docker: the part of Docker's package repository,
    if Docker is not in the distribution's own. epel: whether EPEL's package is in the distribution's repositories.
    tried: whether the tests have hosts of this system."""

    name: str
    family: str
    oldest: float
    packages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    docker: Optional[str] = None
    epel: bool = False
    tried: bool = False


SYSTEMS = {
    "debian": System("Debian", DEBIAN, 12, _APT, tried=True),
    "ubuntu": System("Ubuntu", DEBIAN, 24.04, {**_APT, COMMAND: ("docker.io",)}),
    "rhel": System("RHEL", REDHAT, 9, _DNF, "rhel"),
    "rocky": System("Rocky Linux", REDHAT, 9, _DNF, "centos", epel=True),
    "almalinux": System("AlmaLinux", REDHAT, 9, _DNF, "centos", epel=True),
    "centos": System("CentOS Stream", REDHAT, 9, _DNF, "centos", epel=True),
}
KNOWN = ", ".join(f"{one.name} {one.oldest:g}" for one in SYSTEMS.values())


def packages(os_id: str, os_version: str, missing: tuple[str, ...]) -> list[str]:
    """The packages for these needs, without doubles; empty for an unknown system. os_version: empty if the release has
    no number."""
    system = SYSTEMS.get(os_id)
    names = dict(system.packages) if system else {}
    if os_id == "debian" and 0 < release(os_version) < 13:
        names[COMMAND] = names[ENGINE]
    if os_id in SYSTEMS and system and system.family == REDHAT and release(os_version) < 10:
        names[VENV] = ("python3.12", *names[VENV])  # ansible-core needs Python 3.11, and the system's is 3.9
    return list(dict.fromkeys(name for need in NEEDS if need in missing for name in names.get(need, ())))


def to_install(os_id: str, package: str) -> str:
    """What an admin does, for a message."""
    system = SYSTEMS.get(os_id)
    return f"`{_INSTALL[system.family]} {package}`" if system else f"install {package}"


def release(version: str) -> float:
    """`24.04` as 24.04; testing and unstable have no number and count as the newest."""
    try:
        return float(version)
    except ValueError:
        return float("inf")

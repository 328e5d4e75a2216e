# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether a host can run its fleet: what was found against what is needed. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import repositories
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import SERVICES, WATCHERS, name_taken
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import ADAPTER, FILE, FOLDER
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import (
    FAULT,
    INSTALL,
    OK,
    WARN,
    Check,
    faults_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.preflight.names import Name
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import Nvidia
from ansible_collections.inference.fleet.plugins.module_utils.preflight.postgres_data import (
    DatabaseFacts,
    database_checks,
)
from ansible_collections.inference.fleet.plugins.module_utils.preflight.site import Site, site_checks, site_to_do
from ansible_collections.inference.fleet.plugins.module_utils.preflight.systems import (
    KNOWN,
    NEEDS,
    SYSTEMS,
    packages,
    release,
)

# Debian 12 has 6.1, Ubuntu 24.04 has 6.8, RHEL 9 has 5.14; a provider's kernel may be older. 5.10 is the oldest
# kernel that kernel.org maintains and that satisfies runc (5.2, for freezing containers: its docs/cgroup-v2.md).
OLDEST_KERNEL = (5, 10)
# Debian 11's version; the oldest that the collection was tested with (API 1.41).
OLDEST_DOCKER = (20, 10)
# TLS and tokens tolerate a minute; an hour off, new certificates are not valid yet.
CLOCK_WARN_S, CLOCK_FAULT_S = 60, 3600
GB = 10**9
DOCKER_FREE = 2 * GB  # below that, a preflight warns: a full disk stops containers, and PostgreSQL in the first place
# Kind of a path -> how it is called, and what to do if it is missing.
_KINDS = {
    FILE: ("a file", "copy it there; a file of the image is named relative to the image's working folder"),
    FOLDER: ("a folder", "copy the files there, or name a hub repository"),
    ADAPTER: ("a folder with adapter_config.json", "copy the adapter there, or name a hub repository"),
}
_SET_CLOCK = "`timedatectl set-ntp true`, or install chrony"


@dataclass(frozen=True)
class Host:
    """What was found.

    missing: the needs of systems.NEEDS that the host lacks. missing_paths: files and folders that the models read and
    that do not exist. unlabelled: those that SELinux keeps from containers. ports: TCP port -> its listener, as text;
    None where the port is free or the fleet's own Caddy listens. cache_free: bytes free where weights are kept.
    docker_free: bytes free where Docker keeps its data; None where no engine answers.
    containers: names of all containers. foreign: those that this collection does not manage. models: the names of the
    models that have a container. docker_version: None where no engine answers. docker_fault: why its API cannot be
    used, or empty. docker_enabled: whether systemd starts Docker at boot. clock_ahead: seconds that the host's clock
    is ahead of the control node's. synchronised: whether a time server sets the clock; both None where not known.
    names: results of DNS lookups. database: facts about PostgreSQL. nvidia: None where the fleet needs no GPU. busy:
    running containers that a restart of Docker must not stop. running: those of this collection that run -> their IDs.
    drained: since when the host is drained; empty if it is not.
    """

    os_id: str
    os_version: str
    kernel: str
    systemd: bool
    missing: tuple[str, ...]
    docker_installed: bool
    docker_version: Optional[str]
    docker_enabled: bool
    containers: frozenset[str]
    foreign: frozenset[str]
    missing_paths: frozenset[str]
    ports: Mapping[int, Optional[str]]
    cache_path: str
    cache_free: int
    clock_ahead: Optional[float] = None
    synchronised: Optional[bool] = None
    names: tuple[Name, ...] = ()
    models: frozenset[str] = frozenset()
    database: DatabaseFacts = field(default_factory=DatabaseFacts)
    nvidia: Optional[Nvidia] = field(default=None)
    site: Site = field(default_factory=Site)
    docker_fault: str = ""
    busy: tuple[str, ...] = ()
    unlabelled: frozenset[str] = frozenset()
    docker_free: Optional[int] = None
    running: Mapping[str, str] = field(default_factory=dict)
    drained: str = ""

    @property
    def docker_to_start(self) -> bool:
        """Whether install must start Docker, or enable it at boot."""
        return self.systemd and not (self.docker_version and self.docker_enabled)

    @property
    def missing_packages(self) -> list[str]:
        """The packages that the fleet needs and the host lacks."""
        return packages(self.os_id, self.os_version, self.missing)

    def site_to_do(self, fleet: Fleet) -> list[str]:
        return site_to_do(fleet, self.site, bool(self.docker_version), self.systemd, self.busy)


def host_faults(fleet: Fleet, host: Host) -> list[str]:
    """One line per fault, with what was found and what is expected."""
    return faults_of(checks(fleet, host))


def checks(fleet: Fleet, host: Host) -> tuple[Check, ...]:
    """All checks except GPUs, passed or not, in the order in which an admin would check."""
    return (
        *_system(host),
        *_docker(host),
        *_drained(host),
        *site_checks(fleet, host.site, host.docker_version, host.systemd, host.busy),
        *_weights(fleet, host),
        *_containers(fleet, host),
        *database_checks(fleet, host.database),
        *_ports(host),
        *_disk(fleet, host),
        *_clock(host),
        *_names(host),
    )


def removal_checks(fleet: Fleet, host: Host, remove_all: bool) -> tuple[Check, ...]:
    """Whether a run that removes the models that the inventory lacks would leave none of the models of the host.

    An inventory that names a model as absent removes the model on purpose. remove_all: whether the run may do it.
    """
    gone = sorted(host.models - {model.name for model in fleet.models} - set(fleet.absent))
    if not gone or host.models & {model.name for model in fleet.models if model.containers}:
        return ()
    found = f"the inventory has none of the models of this host; install removes all of them: {', '.join(gone)}"
    if remove_all:
        return (Check("models", WARN, found),)
    remedy = "check the inventory and its group_vars; if this is right, run again with -e prune=true"
    return (Check("models", FAULT, found, remedy),)


def service_faults(fleet: Fleet, host: Host) -> list[str]:
    """The host_faults where a foreign container has the name of a service."""
    return [name_taken(service) for service in sorted(host.foreign & _services(fleet))]


def port_faults(host: Host) -> list[str]:
    """The host_faults where another process listens on a port of Caddy."""
    return faults_of(_ports(host))


def _system(host: Host) -> Iterator[Check]:
    system = SYSTEMS.get(host.os_id)
    found = f"{host.os_id} {host.os_version}".strip()
    if system is None:
        yield Check(
            "host",
            FAULT,
            f"found {found}, whose packages are not known",
            f"one of {KNOWN} or later is needed; another distribution needs an entry in SYSTEMS of "
            f"plugins/module_utils/preflight/systems.py with its packages of {', '.join(NEEDS)}",
        )
    elif release(host.os_version) < system.oldest:
        yield Check("host", FAULT, f"found {found}", f"{system.name} {system.oldest:g} or later is needed")
    else:
        yield Check("host", OK, found if system.tried else f"{found} (written for, not tried)")
    if _numbers(host.kernel) >= OLDEST_KERNEL:
        yield Check("kernel", OK, host.kernel)
    else:
        needed = ".".join(map(str, OLDEST_KERNEL))
        yield Check("kernel", FAULT, f"found {host.kernel}", f"{needed} or later is needed: install one and reboot")


def _docker(host: Host) -> Iterator[Check]:
    if host.docker_version and _numbers(host.docker_version) < OLDEST_DOCKER:
        needed = ".".join(map(str, OLDEST_DOCKER))
        yield Check("docker", FAULT, f"found {host.docker_version}", f"{needed} or later is needed: upgrade it")
    elif host.docker_fault:
        yield Check.parse(f"docker: {host.docker_fault}")
    elif host.docker_version:
        boot = "" if host.docker_enabled or not host.systemd else ", and is not started at boot"
        remedy = "install enables it at boot" if boot else ""
        yield Check("docker", INSTALL if boot else OK, f"{host.docker_version} answers{boot}", remedy)
    elif not host.systemd:
        found = "no engine answers on its socket, and no systemd runs here that could start it"
        yield Check("docker", FAULT, found)
    elif host.docker_installed:
        yield Check("docker", INSTALL, "installed, but does not answer", "install starts it, now and at every boot")
    missing = host.missing_packages
    if missing:
        yield Check(
            "packages",
            INSTALL,
            f"{', '.join(missing)} missing",
            "install installs them with the host's package manager",
        )


def _weights(fleet: Fleet, host: Host) -> Iterator[Check]:
    for index, model in enumerate(fleet.models):
        for one in fleet.host_paths(model) if model.containers else ():
            path = f"fleet_models[{index}] ({model.name}).{one.key}"
            if one.path in host.missing_paths:
                kind, remedy = _KINDS[one.kind]
                yield Check(path, FAULT, f"{one.path} is not {kind} on this host", remedy)
            else:
                yield Check(path, OK, f"{one.path} is there")
            if one.path in host.unlabelled:
                found = f"SELinux keeps containers from {one.path}"
                label = f"semanage fcontext -a -t container_file_t '{one.path}(/.*)?' && restorecon -R"
                yield Check(path, WARN, found, f"`{label} {one.path}`")


def _containers(fleet: Fleet, host: Host) -> Iterator[Check]:
    ours = {*_services(fleet), *(name for model in fleet.models for name in model.containers)}
    taken = sorted(host.foreign & ours)
    yield from (Check.parse(name_taken(name)) for name in taken)
    if not taken and host.docker_version:
        yield Check("names", OK, "no foreign container has a name that the fleet needs")


def _services(fleet: Fleet) -> set[str]:
    return set(SERVICES) - set(() if fleet.monitoring else WATCHERS)


def _drained(host: Host) -> Iterator[Check]:
    if host.drained:
        found = f"since {host.drained}; Caddy refuses requests for models"
        yield Check("drained", WARN, found, "the playbook undrain ends this")


def _ports(host: Host) -> Iterator[Check]:
    for port, holder in sorted(host.ports.items()):
        if holder:
            remedy = "Caddy needs it: stop the other program, or change its port"
            yield Check(f"port {port}", FAULT, f"taken by {holder}", remedy)
        else:
            yield Check(f"port {port}", OK, "free, or the fleet's own")


def _disk(fleet: Fleet, host: Host) -> Iterator[Check]:
    from_hub = [model for model in fleet.models if model.state == "running" and repositories(model)]
    new = [name for model in from_hub for name in model.containers if name not in host.containers]
    found = f"{host.cache_free / GB:.1f} GB free at {host.cache_path}"
    if new and host.cache_free < fleet.cache.min_free_gb * GB:
        limit = f"fleet_cache.min_free_gb asks for {fleet.cache.min_free_gb}"
        yield Check("disk", FAULT, f"{found} for the weights of {', '.join(new)}", limit)
    else:
        yield Check("disk", OK, found)
    if host.docker_free is not None and host.docker_free < DOCKER_FREE:
        yield Check(
            "docker disk",
            WARN,
            f"{host.docker_free / GB:.1f} GB free where Docker keeps images, containers and their logs",
            "`docker system df` shows what uses it; prune_images and prune_cache remove what nothing uses",
        )


def _clock(host: Host) -> Iterator[Check]:
    unset = "" if host.synchronised is not False else "no time server sets it"
    if host.clock_ahead is None:
        if unset:
            yield Check("clock", WARN, unset, _SET_CLOCK)
        return
    off = abs(host.clock_ahead)
    if off <= CLOCK_WARN_S:
        yield Check("clock", WARN if unset else OK, unset or "as this machine's", _SET_CLOCK if unset else "")
        return
    where = "ahead of" if host.clock_ahead > 0 else "behind"
    found = f"{_duration(off)} {where} the clock of the machine that Ansible runs on"
    yield Check(
        "clock",
        FAULT if off > CLOCK_FAULT_S else WARN,
        found + (f", and {unset}" if unset else ""),
        f"if the host's clock is wrong, certificates and tokens are refused; {_SET_CLOCK}",
    )


def _names(host: Host) -> Iterator[Check]:
    for name in host.names:
        if name.resolves:
            yield Check("dns", OK, f"{name.name} resolves")
            continue
        yield Check(
            "dns",
            WARN,
            f"{name.name} does not resolve; it is the source of {name.wanted_for}",
            "see /etc/resolv.conf, or copy them to the host by hand",
        )


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < CLOCK_FAULT_S else f"{seconds / 3600:.1f} h"


def _numbers(version: str) -> tuple[int, ...]:
    """`6.1.0-18-amd64` as (6, 1, 0, 18, 64)."""
    return tuple(map(int, re.findall(r"\d+", version)))

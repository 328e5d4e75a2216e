# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Observes a Linux host. Read-only."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import shutil
import socket
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Collection, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import OpenDevice
from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import needs_gpus
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import certificate_files
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import FRONT
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import drained_since
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import ADAPTER, FILE, HostPath
from ansible_collections.inference.fleet.plugins.module_utils.preflight.checks import Host
from ansible_collections.inference.fleet.plugins.module_utils.preflight.cuda import inspected_images
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_nvidia import busy, observe_nvidia
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_pci import process_name
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_rules import rules_are_right
from ansible_collections.inference.fleet.plugins.module_utils.preflight.names import Name, needed_names
from ansible_collections.inference.fleet.plugins.module_utils.preflight.networks import FoundNetwork
from ansible_collections.inference.fleet.plugins.module_utils.preflight.postgres_data import DatabaseFacts
from ansible_collections.inference.fleet.plugins.module_utils.preflight.site import Site
from ansible_collections.inference.fleet.plugins.module_utils.preflight.systems import (
    APPARMOR,
    CA_CERTIFICATES,
    COMMAND,
    ENGINE,
    IPTABLES,
    SDK,
    TRUST,
    VENV,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import api_version, ask, engine
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.folder import Folder
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import (
    bundle,
    changed_after,
    name_servers,
    routes,
)

DOCKER_AT_BOOT = (
    "/etc/systemd/system/multi-user.target.wants/docker.service"  # the link that `systemctl enable` creates
)
DOCKER_ROOT = "/var/lib/docker"
# Python packages that modules need, and that the environment for the boot-time restore needs.
PYTHON = {"docker": SDK, "ensurepip": VENV}
DOCKER_PID = "/var/run/docker.pid"
APPARMOR_ENABLED = "/sys/module/apparmor/parameters/enabled"
APPARMOR_POLICY = "/sys/kernel/security/apparmor"
FIREWALLD = "/sys/fs/cgroup/system.slice/firewalld.service"
_CADDY = {"managed-by": MANAGED_BY, "service": "caddy"}
_SBIN = ("/usr/sbin", "/sbin")
_PROXY = "docker-proxy "  # Docker's process that listens for a container
_LISTEN = "0A"  # enum TCP_LISTEN of the kernel's net/tcp_states.h, as /proc/net/tcp prints it
_LOOK_UP_SECONDS = 5  # for all names together; the timeout for one server in resolv.conf(5)
_TIMEX_BYTES = 512  # more than the size of `struct timex` on any platform
_TIME_ERROR = 5  # what adjtimex(2) returns while the clock is not synchronised


def observe(fleet: Fleet, ports: Iterable[int], now: Optional[float] = None, thorough: bool = False) -> Host:
    """now: the control node's clock, Unix seconds. thorough: also look up names, which may take seconds."""
    release = os_release()
    version = engine()
    containers: list[dict[str, Any]] = (ask("/containers/json?all=1") or []) if version else []
    docker: dict[str, Any] = (ask("/info") or {}) if version else {}
    cache = _existing_part(fleet.cache.path or str(docker.get("DockerRootDir", DOCKER_ROOT)))
    names = frozenset(_names(containers))
    return Host(
        os_id=release.get("ID", "an unknown system"),
        os_version=release.get("VERSION_ID", ""),
        kernel=os.uname().release,
        systemd=os.path.isdir("/run/systemd/system"),
        missing=tuple(_missing(bool(version))),
        docker_installed=bool(version) or shutil.which("dockerd") is not None,
        docker_version=version["Version"] if version else None,
        docker_fault=_api_fault(version) if version else "",
        docker_enabled=os.path.exists(DOCKER_AT_BOOT),
        containers=names,
        foreign=frozenset(_names(one for one in containers if not _is_ours(one))),
        models=frozenset(
            one["Labels"]["model-name"] for one in containers if _is_ours(one) and "model-name" in one["Labels"]
        ),
        running={
            name: str(one["Id"])
            for one in containers
            if _is_ours(one) and one.get("State") == "running"
            for name in _names([one])
        },
        missing_paths=frozenset(
            one.path for model in fleet.models for one in fleet.host_paths(model) if not _exists(one)
        ),
        ports={port: _holder(port, containers) for port in ports},
        cache_path=cache,
        cache_free=shutil.disk_usage(cache).free,
        docker_free=shutil.disk_usage(_existing_part(str(docker["DockerRootDir"]))).free
        if docker.get("DockerRootDir")
        else None,
        clock_ahead=None if now is None else time.time() - now,
        synchronised=_synchronised(),
        names=_looked_up(needed_names(fleet, _images(), names, docker)) if thorough else (),
        database=_database(fleet) if version else DatabaseFacts(),
        nvidia=observe_nvidia(docker, containers, inspected_images(fleet)) if needs_gpus(fleet) else None,
        site=_site(fleet, docker, bool(version), containers),
        busy=busy(containers),
        unlabelled=frozenset(_unlabelled(fleet)) if _has_selinux(docker) else frozenset(),
        drained=drained_since(_reads(fleet.paths.drained) if Path(fleet.paths.drained).exists() else None),
    )


def _api_fault(engine: Mapping[str, Any]) -> str:
    try:
        api_version(engine)
    except FleetError as error:
        return str(error)
    return ""


def _missing(docker_answers: bool) -> Iterator[str]:
    """The needs of systems.NEEDS that the host lacks."""
    if bundle() is None:
        yield CA_CERTIFICATES
    if not docker_answers and not shutil.which("dockerd"):
        yield ENGINE
    if not shutil.which("docker"):
        yield COMMAND
    if not _is_in_sbin("iptables"):  # a Docker that uses nftables runs without
        yield IPTABLES
    # Docker Engine 20.10 starts no container then: it cannot load its profile.
    if (
        _reads(APPARMOR_ENABLED).startswith("Y")
        and os.path.exists(APPARMOR_POLICY)
        and not _is_in_sbin("apparmor_parser")
    ):
        yield APPARMOR
    lacking = [need for name, need in PYTHON.items() if importlib.util.find_spec(name) is None]
    newer = any(os.path.exists(f"/usr/bin/python3.{minor}") for minor in (11, 12))
    yield from lacking if sys.version_info >= (3, 11) or newer or VENV in lacking else (*lacking, VENV)


def _is_in_sbin(program: str) -> bool:
    """Whether root finds the program: `su` may leave out these folders of PATH."""
    return bool(shutil.which(program)) or any(os.access(f"{folder}/{program}", os.X_OK) for folder in _SBIN)


def _reads(path: str) -> str:
    with suppress(OSError):
        return Path(path).read_text()
    return ""


def _site(fleet: Fleet, docker: Mapping[str, Any], docker_answers: bool, containers: Iterable[dict[str, Any]]) -> Site:
    networks: list[dict[str, Any]] = (ask("/networks") or []) if docker_answers else []
    direct = tuple(one for one in str(docker.get("NoProxy") or "").split(",") if one)
    paths = fleet.paths
    written = {}
    if fleet.proxy:
        written = {paths.proxy_environment: fleet.proxy.environment_file, paths.docker_proxy: paths.docker_proxy_unit}
    certificates = certificate_files(fleet.ca_bundle)
    wanted = {*written, *(f"{folder}/{name}" for folder, _command in TRUST.values() for name in certificates)}
    ours = [paths.proxy_environment, paths.docker_proxy]
    ours += [str(path) for folder, _command in TRUST.values() for path in Path(folder).glob("inference-fleet-*.crt")]
    files = tuple(path for path in ours if os.path.exists(path))
    return Site(
        routes=routes(),
        name_servers=name_servers(),
        networks=tuple(map(FoundNetwork.parse, networks)),
        crowd=tuple(sorted(_names(one for one in containers if _is_ours(one) and _is_in_front(one)))),
        caddy=next((_networks(one) for one in containers if _is_ours(one) and _is_caddy(one)), None),
        rules=rules_are_right(fleet.download_addresses),
        untrusted=len(_bodies("".join(certificates.values())) - _bodies(_reads(bundle() or ""))),
        proxy_written=bool(written) and all(_reads(path) == text for path, text in written.items()),
        files=files,
        leftover=tuple(path for path in files if path not in wanted),
        docker_proxy=(re.sub("//[^@]*@", "//", str(docker.get("HttpsProxy") or "")), direct),
        outdated=any(changed_after(path, DOCKER_PID) for path in wanted),
        selinux=_has_selinux(docker),
        firewalld=os.path.isdir(FIREWALLD),
    )


def _bodies(certificates: str) -> frozenset[str]:
    """The certificates of a text without their frames and line breaks, which differ between files."""
    found = re.findall("-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", certificates, re.DOTALL)
    return frozenset("".join(one.split()) for one in found)


def _has_selinux(docker: Mapping[str, Any]) -> bool:
    return any("name=selinux" in str(one) for one in docker.get("SecurityOptions") or ())


def _unlabelled(fleet: Fleet) -> Iterator[str]:
    """What containers may not read of the models' files and folders where Docker uses SELinux."""
    for one in (one for model in fleet.models for one in fleet.host_paths(model)):
        with suppress(OSError):  # it does not exist, or its file system has no labels
            label = os.getxattr(one.path, "security.selinux").decode()
            if "container_file_t" not in label and "container_ro_file_t" not in label:
                yield one.path


def _exists(wanted: HostPath) -> bool:
    if wanted.kind == FILE:
        return os.path.isfile(wanted.path)
    marker = ["adapter_config.json"] if wanted.kind == ADAPTER else []
    return os.path.isdir(wanted.path) and os.path.exists(os.path.join(wanted.path, *marker))


def os_release() -> dict[str, str]:
    lines = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    return {key: value.strip('"') for key, _equals, value in lines}


def _names(containers: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (name.lstrip("/") for one in containers for name in one.get("Names") or ())


def _images() -> frozenset[str]:
    """Tags and digests of the host's images."""
    listed: list[dict[str, Any]] = ask("/images/json") or []
    return frozenset(name for one in listed for key in ("RepoTags", "RepoDigests") for name in one.get(key) or ())


def _database(fleet: Fleet) -> DatabaseFacts:
    volume: dict[str, Any] = ask(f"/volumes/{fleet.postgres.volume}") or {}
    image: dict[str, Any] = ask(f"/images/{fleet.images.postgres}/json") or {}
    settings = dict(one.partition("=")[::2] for one in (image.get("Config") or {}).get("Env") or ())
    data = None
    if "Mountpoint" in volume:
        with Folder.at(volume["Mountpoint"]) as folder:
            data = (folder.read("PG_VERSION", 100) or b"").decode("ascii", "replace").strip() or None
    return DatabaseFacts(data=data, image=settings.get("PG_MAJOR"))


def _synchronised() -> Optional[bool]:
    """Whether the kernel reports its clock as synchronised; None where it does not report."""
    try:
        state: int = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _TIME_ERROR


def _looked_up(wanted: Mapping[str, str]) -> tuple[Name, ...]:
    """Looks up all names in parallel, and abandons the threads at the time limit: getaddrinfo(3) has no timeout."""
    resolved: set[str] = set()
    threads = [threading.Thread(target=_look_up, args=(name, resolved), daemon=True) for name in wanted]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _LOOK_UP_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    done = frozenset(resolved)
    return tuple(Name(name, wanted_for, name in done) for name, wanted_for in wanted.items())


def _look_up(name: str, resolved: set[str]) -> None:
    with suppress(OSError, UnicodeError):  # unknown or invalid name
        socket.getaddrinfo(name, None)
        resolved.add(name)


def _is_in_front(container: Mapping[str, Any]) -> bool:
    """Whether the container, which is not Caddy, is in Caddy's own network."""
    return FRONT in _networks(container) and not _is_caddy(container)


def _is_caddy(container: Mapping[str, Any]) -> bool:
    return bool(container["Labels"].get("service") == _CADDY["service"])


def _networks(container: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple((container.get("NetworkSettings") or {}).get("Networks") or ())


def _is_ours(container: dict[str, Any]) -> bool:
    return (container.get("Labels") or {}).get("managed-by") == MANAGED_BY


def _holder(port: int, containers: Collection[dict[str, Any]]) -> Optional[str]:
    """The listener on a TCP port of the host; None for a free port or the fleet's own Caddy."""
    for one in containers:
        if any(published.get("PublicPort") == port for published in one.get("Ports") or ()):
            return None if _is_our_caddy(one) else f"container {next(_names([one]), one.get('Id', '')[:12])}"
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    process = _process_with_socket(inodes)
    # A Caddy that restarts repeatedly may listen now although Docker did not list it as running.
    if process and process.startswith(_PROXY) and any(_is_our_caddy(one) and _restarts(one) for one in containers):
        return None
    return process or "a process that is not visible from here"


def _is_our_caddy(container: dict[str, Any]) -> bool:
    return _CADDY.items() <= (container.get("Labels") or {}).items()


def _restarts(container: dict[str, Any]) -> bool:
    return container.get("State") == "restarting"


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        if not os.path.exists(table):  # no IPv6 in this kernel
            continue
        for line in Path(table).read_text().splitlines()[1:]:
            columns = line.split()
            if columns[3] == _LISTEN and int(columns[1].rpartition(":")[2], 16) == port:
                yield columns[9]


def _process_with_socket(inodes: set[str]) -> Optional[str]:
    links = {f"socket:[{inode}]" for inode in inodes}
    return next((f"{name} (PID {pid})" for pid, name, _open in _processes_with(links)), None)


def open_devices(gpus: Iterable[Gpu]) -> list[OpenDevice]:
    """Processes that compute on a GPU according to nvidia-smi, or have its device node open."""
    held: dict[int, set[str]] = defaultdict(set)
    names: dict[int, str] = {}
    for gpu in gpus:
        for process in gpu.processes:
            names[process.pid] = process.name
            held[process.pid].add(gpu.device_of(process) or gpu.uuid)
    nodes = {f"/dev/nvidia{gpu.minor}": gpu.uuid for gpu in gpus if gpu.minor is not None}
    for pid, name, links in _processes_with(nodes):
        names.setdefault(pid, name)
        held[pid] |= {nodes[link] for link in links}
    return [OpenDevice(pid, names[pid], _cgroup(pid), frozenset(devices)) for pid, devices in held.items()]


def _processes_with(links: Container[str]) -> Iterator[tuple[int, str, set[str]]]:
    """PID, name and the matching links of every process with a file descriptor on one of these links."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):  # ended meanwhile, or not readable
            found = {link for handle in (process / "fd").iterdir() for link in _target(handle) if link in links}
            if found:
                yield int(process.name), process_name(process), found


def _target(handle: Path) -> Iterator[str]:
    with suppress(OSError):  # closed meanwhile
        yield os.readlink(str(handle))


def _cgroup(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text(errors="replace")
    except OSError:  # ended meanwhile
        return ""


def _existing_part(path: str) -> str:
    """The path, or its nearest existing parent folder."""
    folder = Path(path)
    while not folder.exists():
        folder = folder.parent
    return str(folder)

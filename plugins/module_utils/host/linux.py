# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A Linux host as it is: the one place of the host wing that touches the world. Changes nothing.

Docker's API is asked here over its socket with the standard library alone, since the SDK
may not be installed yet.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import shutil
import socket
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import OpenDevice
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.host.checks import Host
from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.model.model import MANAGED_BY

SOCKET = "/var/run/docker.sock"
DOCKER_AT_BOOT = "/etc/systemd/system/multi-user.target.wants/docker.service"  # what `systemctl enable` makes
DOCKER_ROOT = "/var/lib/docker"
_CADDY = {"managed-by": MANAGED_BY, "service": "caddy"}
_LISTEN = "0A"  # enum TCP_LISTEN of the kernel's net/tcp_states.h, as /proc/net/tcp prints it


def observe(fleet: Fleet, ports: Iterable[int]) -> Host:
    release = _os_release()
    version = _docker("/version")
    containers: list[dict[str, Any]] = (_docker("/containers/json?all=1") or []) if version else []
    root = str((_docker("/info") or {}).get("DockerRootDir", DOCKER_ROOT)) if version else DOCKER_ROOT
    cache = _existing_part(fleet.cache.path or root)
    return Host(
        os_id=release.get("ID", "an unknown system"),
        os_version=release.get("VERSION_ID", ""),
        systemd=os.path.isdir("/run/systemd/system"),
        python_sdk=importlib.util.find_spec("docker") is not None,
        docker_installed=bool(version) or shutil.which("dockerd") is not None,
        docker_version=version["Version"] if version else None,
        docker_enabled=os.path.exists(DOCKER_AT_BOOT),
        nvidia_smi=shutil.which("nvidia-smi") is not None,
        containers=frozenset(_names(containers)),
        foreign=frozenset(_names(one for one in containers if not _is_ours(one))),
        missing_paths=frozenset(
            model.local_path for model in fleet.models if model.local_path and not os.path.isdir(model.local_path)
        ),
        ports={port: holder for port in ports for holder in [_holder(port, containers)] if holder},
        cache_path=cache,
        cache_free=shutil.disk_usage(cache).free,
    )


def _os_release() -> dict[str, str]:
    lines = (line.partition("=") for line in Path("/etc/os-release").read_text().splitlines())
    return {key: value.strip('"') for key, _equals, value in lines}


def _names(containers: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (name.lstrip("/") for one in containers for name in one["Names"])


def _is_ours(container: dict[str, Any]) -> bool:
    return (container.get("Labels") or {}).get("managed-by") == MANAGED_BY


class _SocketConnection(http.client.HTTPConnection):
    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(SOCKET)


def _docker(path: str) -> Any:
    """The engine's answer, or None where none answers."""
    connection = _SocketConnection("localhost", timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else None
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()


def _holder(port: int, containers: Iterable[dict[str, Any]]) -> Optional[str]:
    """Who listens on a TCP port of the host, or None: nobody, or the fleet's own Caddy."""
    for one in containers:
        if any(published.get("PublicPort") == port for published in one.get("Ports") or ()):
            ours = _CADDY.items() <= (one.get("Labels") or {}).items()
            return None if ours else f"container {one['Names'][0].lstrip('/')}"
    inodes = set(_listening_inodes(port))
    if not inodes:
        return None
    return _process_with_socket(inodes) or "a process that cannot be seen from here"


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
    """Processes that compute on a GPU, by nvidia-smi's word, or have its device node open."""
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
    """PID, name and which of these its file descriptors link to, of every process that has one."""
    for process in Path("/proc").iterdir():
        if not process.name.isdigit():
            continue
        with suppress(OSError):  # ended meanwhile, or not ours to read
            found = {link for handle in (process / "fd").iterdir() for link in _target(handle) if link in links}
            if found:
                yield int(process.name), (process / "comm").read_text().strip(), found


def _target(handle: Path) -> Iterator[str]:
    with suppress(OSError):  # closed meanwhile
        yield os.readlink(str(handle))


def _cgroup(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:  # ended meanwhile
        return ""


def _existing_part(path: str) -> str:
    """The path itself, or the nearest folder above it that exists."""
    folder = Path(path)
    while not folder.exists():
        folder = folder.parent
    return str(folder)

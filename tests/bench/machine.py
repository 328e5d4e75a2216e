"""The machine of the measurements."""

from __future__ import annotations

import json
import os
import platform
import re
from datetime import date
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from docker import DockerClient
from report import Findings

GIB = 1 << 30


def describe(docker: DockerClient) -> Findings:
    """The load is that before the first measure."""
    processor = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    return Findings(
        title="The machine",
        columns=("", "found"),
        rows=(
            ("processor", processor[1] if processor else platform.machine()),
            ("cores", str(len(os.sched_getaffinity(0)))),
            ("memory", f"{memory:.1f} GiB"),
            ("system", f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {platform.release()}"),
            ("load before, 1 and 5 minutes", "{:.1f}, {:.1f}".format(*os.getloadavg())),
            ("Docker Engine", docker.version()["Version"]),
            ("Docker SDK for Python", version("docker")),
            ("ansible-core", version("ansible-core")),
            ("community.docker", _collection_version("community", "docker")),
            ("Python", platform.python_version()),
            ("day", date.today().isoformat()),
        ),
    )


def _collection_version(namespace: str, name: str) -> str:
    spec = find_spec(f"ansible_collections.{namespace}.{name}")
    if not spec or not spec.submodule_search_locations:
        return "not there"
    manifest = Path(next(iter(spec.submodule_search_locations))) / "MANIFEST.json"
    return str(json.loads(manifest.read_text())["collection_info"]["version"])

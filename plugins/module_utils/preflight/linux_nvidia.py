# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Observes what a Linux host has for GPUs in containers; not used on CPU hosts. Read-only."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import NvidiaSmi, Observation
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_pci import observe_peers
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import Nvidia
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import ask
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

HOOK = "nvidia-container-runtime-hook"
CDI_HOOK = "nvidia-cdi-hook"
CDI_KIND = "nvidia.com/gpu"
CDI_REFRESH = "nvidia-cdi-refresh.service"
# Since this version, Docker uses CDI for a plain GPU request where possible (its release notes, moby #50228).
_GPUS_BY_CDI = (29, 2)
ROOT = Path("/")
_NODES = ("dev/nvidia*", "dev/nvidia-caps/nvidia-cap*")
_SOURCES = ("etc/apt", "etc/apt/sources.list.d", "etc/yum.repos.d")
_UDEV = ("etc/udev/rules.d", "run/udev/rules.d", "usr/lib/udev/rules.d", "lib/udev/rules.d")
_UNITS = ("etc/systemd/system", "run/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib64", "usr/lib")
_MODINFO_SECONDS = 10
_DRIVER_VERSION = re.compile(r"\b\d{3}\.\d+(?:\.\d+)?\b")
_PERSISTENCED = "nvidia-persistenced.service"
# Device rules of systemd for a container. 195 is NVIDIA's fixed major number (the kernel's admin-guide/devices.txt).
_STRICT = "DevicePolicy=strict"
_ALLOWED = re.compile(r"^DeviceAllow=(/dev/nvidia|/dev/char/195:)", re.MULTILINE)


def observe_nvidia(
    docker: Mapping[str, Any], containers: Collection[Mapping[str, Any]], images: Iterable[str] = ()
) -> Nvidia:
    """docker: the engine's `/info`, empty where no engine answers. containers: as the engine lists them.
    images: whose environments are read where they are on the host."""
    trouble, observed = "", Observation(())
    try:
        observed = NvidiaSmi().observe()
    except FleetError as error:
        trouble = str(error)
    cdi = _has_cdi(docker)
    by_cdi = cdi and _version(docker) >= _GPUS_BY_CDI and bool(shutil.which(CDI_HOOK))
    hook = shutil.which(HOOK)
    driver = driver_versions()
    systemd = docker.get("CgroupDriver", "systemd") == "systemd"
    running = [one for one in containers if one.get("State") == "running"]
    return Nvidia(
        smi=shutil.which("nvidia-smi") is not None,
        gpus=observed.gpus,
        trouble=trouble or observed.note,
        warnings=observed.warnings,
        loaded=driver["loaded"],
        library=driver["library"],
        module=driver["module"],
        images=dict(_environments(images) if docker else ()),
        peers=observe_peers(ROOT, [gpu.bus_id for gpu in observed.gpus]),
        toolkit=bool(hook) or by_cdi,
        source=any(
            "libnvidia-container" in text
            for kind in ("list", "sources", "repo")
            for text in _texts(_SOURCES, f"*.{kind}")
        ),
        taken_up=by_cdi or (bool(hook) and _is_older_than_docker(str(hook))),
        configured=cdi or "nvidia" in (docker.get("Runtimes") or {}),
        busy=busy(containers),
        exposed=tuple(sorted(_exposed(running))) if systemd else (),
        unlinked=tuple(_unlinked()),
        rule=any("create-dev-char-symlinks" in text for text in _texts(_UDEV, "*.rules")),
        unit=any(True for _text in _texts(_UNITS, _PERSISTENCED)),
        unit_command=_command_without_its_flag(),
        cdi_refresh=any(True for _text in _texts(_UNITS, CDI_REFRESH)),
        packaged=any((ROOT / "var/lib/dpkg/info").glob("libnvidia-cfg1*.list")) and _has_own_package(),
    )


def driver_versions() -> dict[str, Optional[str]]:
    """`loaded`, `library` and `module`, as in Nvidia."""
    return {
        "loaded": next((_version_in(text) for text in _texts(("proc/driver/nvidia",), "version")), None),
        "library": _library(),
        "module": _module(),
    }


def _version_in(text: str) -> Optional[str]:
    """Of a driver, such as 580.159.04 in `NVRM version: … Kernel Module for x86_64  580.159.04  Release Build`."""
    found = _DRIVER_VERSION.search(text)
    return found[0] if found else None


def _library() -> Optional[str]:
    """The version of the installed NVML, which nvidia-smi uses and NVIDIA's hook mounts."""
    for folder in _LIBRARIES:
        with suppress(OSError):
            return _version_in((ROOT / folder / "libnvidia-ml.so.1").resolve(strict=True).name)
    return None


def _module() -> Optional[str]:
    """The version of the kernel module on disk for the running kernel."""
    modinfo = shutil.which("modinfo")
    if not modinfo:
        return None
    with suppress(OSError, subprocess.SubprocessError):
        command = [modinfo, "-F", "version", "nvidia"]
        answer = subprocess.run(
            command, check=False, capture_output=True, encoding="utf-8", errors="replace", timeout=_MODINFO_SECONDS
        )
        return _version_in(answer.stdout)
    return None


def _environments(images: Iterable[str]) -> Iterator[tuple[str, dict[str, str]]]:
    for image in images:
        answer: Optional[dict[str, Any]] = ask(f"/images/{image}/json")
        if answer:
            settings = (answer.get("Config") or {}).get("Env") or ()
            yield image, dict(one.partition("=")[::2] for one in settings)


def host_containers() -> list[HostContainer]:
    """Every container of the host with the GPUs it holds."""
    listed = ask("/containers/json?all=1") or []
    inspected = (ask(f"/containers/{one['Id']}/json") for one in listed)
    return [HostContainer.parse(one) for one in inspected if one]


def busy(containers: Collection[Mapping[str, Any]]) -> tuple[str, ...]:
    """The running containers that a restart of Docker must not stop. containers: as the engine lists them."""
    running = (one for one in containers if one.get("State") == "running")
    return tuple(sorted(_name(one) for one in running if not _may_restart(one)))


def _name(container: Mapping[str, Any]) -> str:
    return str(next(iter(container.get("Names") or ()), container.get("Id", "")[:12])).lstrip("/")


def _may_restart(container: Mapping[str, Any]) -> bool:
    """Whether it is a service of the fleet, which install restarts; not a model, which would have to load again."""
    labels = container.get("Labels") or {}
    return labels.get("managed-by") == MANAGED_BY and "model-name" not in labels


def _version(docker: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", str(docker.get("ServerVersion", "")))[:2]))


def _has_cdi(docker: Mapping[str, Any]) -> bool:
    """Whether CDI is enabled in Docker, and one of its folders has a specification for NVIDIA GPUs."""
    folders = [str(folder).lstrip("/") for folder in docker.get("CDISpecDirs") or ()]
    return any(CDI_KIND in text for suffix in ("yaml", "json") for text in _texts(folders, f"*.{suffix}"))


def _is_older_than_docker(program: str) -> bool:
    """Whether the program existed when the engine started and wrote its PID file; true without a PID file."""
    try:
        return os.stat(program).st_ctime <= (ROOT / "var/run/docker.pid").stat().st_mtime
    except OSError:
        return True


def _exposed(running: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Containers with a GPU that is missing in systemd's device rules: a reload of systemd revokes access."""
    for one in running:
        known = list(_texts(("run/systemd/transient",), f"docker-{one['Id']}.scope"))
        known += _texts((f"run/systemd/transient/docker-{one['Id']}.scope.d",), "*.conf")
        if any(_STRICT in text for text in known) and not any(_ALLOWED.search(text) for text in known):
            inspected = ask(f"/containers/{one['Id']}/json")
            if inspected and HostContainer.parse(inspected).devices:
                yield _name(one)


def _unlinked() -> Iterator[str]:
    for pattern in _NODES:
        for node in sorted(ROOT.glob(pattern)):
            with suppress(OSError):  # gone meanwhile
                found = node.stat()
                number = f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
                if stat.S_ISCHR(found.st_mode) and not (ROOT / "dev/char" / number).is_symlink():
                    yield str(node)


def _texts(folders: Iterable[str], pattern: str) -> Iterator[str]:
    for folder in folders:
        for path in sorted((ROOT / folder).glob(pattern)):
            with suppress(OSError):  # removed meanwhile, or a broken link
                yield path.read_text(errors="replace")


def _command_without_its_flag() -> str:
    """Ubuntu's unit starts the daemon with persistence mode off: returns its command without that option, or empty."""
    texts = [*_texts(_UNITS, _PERSISTENCED), *_texts((f"{_UNITS[0]}/{_PERSISTENCED}.d",), "*.conf")]
    commands = [line for text in texts for line in re.findall(r"^ExecStart=(.+)$", text, re.MULTILINE)]
    if not commands or "--no-persistence-mode" not in commands[-1]:
        return ""
    return " ".join(word for word in str(commands[-1]).split() if word != "--no-persistence-mode")


def _has_own_package() -> bool:
    """Whether the daemon has a package of its own, as in Debian; Ubuntu's is part of the driver's package."""
    return "ID=debian" in next(_texts(("etc",), "os-release"), "").splitlines()

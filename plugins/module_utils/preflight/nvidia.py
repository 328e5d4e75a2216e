# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether containers of a host can use its GPUs and keep access to them. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import FAULT, INSTALL, OK, WARN, Check
from ansible_collections.inference.fleet.plugins.module_utils.preflight.cuda import cuda_checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.peers import Peers, peer_checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.systems import to_install

# The first driver that supports whole GPUs of an architecture: A100 by the MIG User Guide; Ada,
# Hopper and Blackwell by the first toolkit that supports them ("CUDA Toolkit, Driver, and
# Architecture Matrix") and that toolkit's minimum driver (CUDA release notes, "CUDA Toolkit
# and Corresponding Driver Versions": 11.8, 12.0, 12.8).
WHOLE = {"Ampere": "450.80.02", "Ada Lovelace": "520.61.05", "Hopper": "525.60.13", "Blackwell": "570.26"}
# The first driver with MIG for a product: MIG User Guide, "Deployment Considerations".
MIG = (
    (r"\bA100\b", "450.80.02"),
    (r"\bA30\b", "460.73.01"),
    (r"\bH100\b", "525.85.12"),
    (r"\bH20\b", "535.161.07"),
    (r"\bH200\b", "550.90.07"),
    (r"\bG?B200\b", "570.133.20"),
    (r"\bG?B300\b", "580.82.07"),
    (r"\bRTX PRO 6000\b", "575.51.03"),
    (r"\bRTX PRO 5000\b", "575.57.08"),
    (r"\bRTX PRO 4500\b", "575.64"),
)
_UPDATE = "update the driver and reboot"
_CONFIGURE = "`nvidia-ctk runtime configure --runtime=docker`, then `systemctl restart docker`"
_ENABLE = "`systemctl enable --now nvidia-persistenced`"


@dataclass(frozen=True)
class Nvidia:
    """What was found.

    smi: whether nvidia-smi is installed. trouble: nvidia-smi's reason for reporting no GPU.
    warnings: what nvidia-smi printed around its answers. loaded: the version of the driver in the
    kernel. library, module: the versions of the installed library and kernel module; each None where
    not known. images: the environments of the models' images that are on the host.
    toolkit: whether the NVIDIA hook that Docker calls is on PATH. source: whether apt has a
    source of the toolkit. taken_up: whether the hook was on PATH when Docker started, which
    is when Docker looks. configured: whether Docker has the runtime `nvidia`, or CDI with a
    specification of NVIDIA's. busy: running containers that a restart of Docker must not stop.
    exposed: containers that lose their GPU when systemd reloads. unlinked: device nodes without
    a link in /dev/char. rule: whether udev creates these links at boot. unit: whether systemd
    has the persistence daemon's unit. unit_command: the correct start command, if the unit starts
    the daemon with persistence mode off. packaged: whether the driver is from Debian's packages.
    cdi_refresh: whether systemd has the toolkit's unit that refreshes the CDI specification.
    """

    smi: bool = True
    gpus: tuple[Gpu, ...] = ()
    trouble: str = ""
    warnings: tuple[str, ...] = ()
    loaded: Optional[str] = None
    library: Optional[str] = None
    module: Optional[str] = None
    images: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    peers: Peers = field(default_factory=Peers)
    toolkit: bool = True
    source: bool = True
    taken_up: bool = True
    configured: bool = True
    busy: tuple[str, ...] = ()
    exposed: tuple[str, ...] = ()
    unlinked: tuple[str, ...] = ()
    rule: bool = True
    unit: bool = True
    unit_command: str = ""
    packaged: bool = False
    cdi_refresh: bool = False

    @property
    def to_do(self) -> list[str]:
        """The steps for the role fleet, in this order: source, toolkit, links, persistence_package,
        persistence, runtime."""
        steps = {
            "source": not self.toolkit and not self.source,
            "toolkit": not self.toolkit,
            "links": bool(self.unlinked) or not self.rule,
            "persistence_package": self._persistence_off and not self.unit and self.packaged and not self.exposed,
            "persistence": self._persistence_off and (self.unit or self.packaged) and not self.exposed,
            "runtime": not (self.taken_up and self.configured) and not self.busy,
        }
        return [step for step, needed in steps.items() if needed]

    @property
    def _persistence_off(self) -> bool:
        return any(gpu.persistence is False for gpu in self.gpus)


def nvidia_checks(fleet: Fleet, found: Nvidia, os_id: str = "") -> Iterator[Check]:
    """For a fleet that needs GPUs."""
    if not found.smi:
        yield from _no_driver(fleet)
    elif found.trouble:
        trouble, _semicolon, remedy = found.trouble.partition("; ")
        if _not_loaded(found):
            trouble, remedy = f"{_not_loaded(found)}: {trouble}", "reboot the host"
        yield Check(
            "driver", FAULT, trouble, remedy or "look at `dmesg | grep -i nvrm`; after a new kernel `dkms status`"
        )
    else:
        yield from _driver(fleet, found)
        yield from cuda_checks(fleet, found.images, found.gpus)
        yield from peer_checks(fleet, found.gpus, found.peers)
        yield _persistence(found)
    yield _toolkit(found)
    yield _runtime(found, os_id)
    yield from _reload(found)


def _no_driver(fleet: Fleet) -> Iterator[Check]:
    for index, model in enumerate(fleet.models):
        if model.containers and not model.devices.cpu:
            yield Check(
                f"fleet_models[{index}].devices",
                FAULT,
                f"{model.name} asks for {model.devices}, and there is no nvidia-smi on this host",
                "install the NVIDIA driver, or give {cpu: true}",
            )
    if fleet.mig:
        yield Check(
            "fleet_mig",
            FAULT,
            "GPUs are to be partitioned, and there is no nvidia-smi on this host",
            "install the NVIDIA driver, or remove fleet_mig",
        )


def _driver(fleet: Fleet, found: Nvidia) -> Iterator[Check]:
    partitioned = bool(fleet.mig) or any(model.containers and model.devices.mig for model in fleet.models)
    old = [(gpu, needed) for gpu in found.gpus for needed in [_oldest(gpu, partitioned)] if _older(gpu.driver, needed)]
    for gpu, needed in old:
        yield Check("driver", FAULT, f"{gpu.driver} is too old for {gpu}, which needs {needed} or later", _UPDATE)
    if _not_loaded(found):
        yield Check("driver", WARN, f"{_not_loaded(found)}, which the next boot loads", "reboot in a quiet hour")
    for warning in found.warnings:
        remedy = "the GPU computes, but may lose its record of memory errors: ask its vendor"
        yield Check("nvidia-smi", WARN, warning, remedy if "infoROM" in warning else "")
    if not old:
        products = sorted({gpu.name for gpu in found.gpus})
        counted = [f"{sum(gpu.name == product for gpu in found.gpus)} x {product}" for product in products]
        yield Check("driver", OK, f"{found.gpus[0].driver if found.gpus else '?'} for {', '.join(counted)}")


def _not_loaded(found: Nvidia) -> str:
    """That another driver is installed than the loaded one; empty where not."""
    installed = {version for version in (found.library, found.module) if version and version != found.loaded}
    if not found.loaded or not installed:
        return ""
    return f"{found.loaded} is loaded, and {', '.join(sorted(installed))} is installed"


def _oldest(gpu: Gpu, partitioned: bool) -> Optional[str]:
    """The oldest sufficient driver; None where any driver that supports the GPU is sufficient."""
    product = next((version for pattern, version in MIG if re.search(pattern, gpu.name)), None)
    return (product if partitioned else None) or WHOLE.get(gpu.architecture or "")


def _older(driver: str, needed: Optional[str]) -> bool:
    return needed is not None and _numbers(driver) < _numbers(needed)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"\d+", version)))


def _persistence(found: Nvidia) -> Check:
    off = [str(gpu.index) for gpu in found.gpus if gpu.persistence is False]
    if not off:
        return Check("persistence", OK, "persistence mode is on")
    problem = f"persistence mode is off on GPU {', '.join(off)}, so every first client reloads the driver"
    if found.exposed and (found.unit or found.packaged):
        return Check("persistence", WARN, problem, f"{_ENABLE} when {', '.join(found.exposed)} may lose the GPU")
    if found.unit:
        return Check("persistence", INSTALL, problem, "install starts nvidia-persistenced, now and at every boot")
    if found.packaged:
        return Check(
            "persistence", INSTALL, problem, "install installs nvidia-persistenced and starts it at every boot"
        )
    # A packaged daemon depends on a library of its own driver version, which conflicts with a driver of another origin.
    return Check(
        "persistence",
        WARN,
        problem + "; there is no nvidia-persistenced.service",
        "install it from the same source as the driver (Ubuntu: nvidia-compute-utils-BRANCH), "
        "or run `nvidia-smi -pm 1` after every boot",
    )


def _toolkit(found: Nvidia) -> Check:
    if found.toolkit:
        return Check("toolkit", OK, "the NVIDIA Container Toolkit is installed")
    return Check(
        "toolkit",
        INSTALL,
        "the NVIDIA Container Toolkit is not installed (no nvidia-container-runtime-hook on PATH)",
        "install installs the package nvidia-container-toolkit from fleet_toolkit_repository",
    )


def _runtime(found: Nvidia, os_id: str) -> Check:
    if found.taken_up and found.configured:
        return Check("runtime", OK, "Docker gives GPUs to containers")
    problem = (
        "Docker has neither the runtime nvidia nor CDI"
        if found.taken_up
        else "Docker must be restarted before it gives GPUs to containers"
    )
    if not found.busy:
        return Check("runtime", INSTALL, problem, "install configures it and restarts Docker; no other container runs")
    configure = _CONFIGURE if found.toolkit else f"{to_install(os_id, 'nvidia-container-toolkit')}, {_CONFIGURE}"
    return Check(
        "runtime",
        WARN if found.taken_up else FAULT,
        f"{problem}, and a restart of Docker would stop {_some(found.busy)}",
        f"in a quiet hour: {configure}",
    )


def _reload(found: Nvidia) -> Iterator[Check]:
    """When systemd reloads, it revokes access to devices that are not in its rules (NVIDIA Container
    Toolkit, "Troubleshooting"). The rules are paths in /dev/char. runc up to 1.1.6 leaves out a
    device without such a link (runc #3708); devices that NVIDIA's hook adds are never in the rules.
    """
    if found.exposed:
        yield Check(
            "reload",
            WARN,
            f"the next `systemctl daemon-reload` takes the GPU away from {', '.join(found.exposed)}",
            "recreate them with CDI or with their device nodes (--device); package updates also reload systemd",
        )
    if found.unlinked or not found.rule:
        links = f"/dev/char has no link to {_some(found.unlinked)}" if found.unlinked else ""
        rule = "" if found.rule else "no udev rule creates the links in /dev/char at boot"
        problem = " and ".join(filter(None, (links, rule)))
        yield Check("reload", INSTALL, problem, "install creates the links, now and at every boot")
    elif not found.exposed:
        yield Check("reload", OK, "a daemon-reload takes no GPU away from containers")


def _some(things: Sequence[str]) -> str:
    """The first three, and the number of the others."""
    return ", ".join(things[:3]) + (f" and {len(things) - 3} more" if len(things) > 3 else "")

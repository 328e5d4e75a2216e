# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether the GPUs of a host can reach each other: by NVSwitches, or peer-to-peer over PCIe. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import FAULT, OK, WARN, Check

# States of the registration (NVIDIA/NVSentinel #883): Not Started, In Progress, Completed.
_UNREGISTERED = ("Not Started", "In Progress")


@dataclass(frozen=True)
class Peers:
    """nvswitch: whether the host has NVSwitches of its own. fabric_manager: whether the fabric manager
    runs. redirecting: addresses of PCIe switch ports between GPUs that send peer-to-peer traffic to
    the CPU (ACS). translated: addresses of GPUs whose traffic the IOMMU translates."""

    nvswitch: bool = False
    fabric_manager: bool = False
    redirecting: tuple[str, ...] = ()
    translated: tuple[str, ...] = ()


def peer_checks(fleet: Fleet, gpus: Sequence[Gpu], found: Peers) -> Iterator[Check]:
    yield from _fabric(gpus, found)
    if _needs_peers(fleet) and len(gpus) > 1 and not _all_linked(gpus):
        yield _peer_to_peer(found)


def _fabric(gpus: Sequence[Gpu], found: Peers) -> Iterator[Check]:
    """Without a registration, CUDA fails with error 802, "system not yet initialized" (Fabric Manager User
    Guide). GPUs in front of older NVSwitches (A100) report no state."""
    waiting = [gpu for gpu in gpus if gpu.fabric_state in _UNREGISTERED]
    failed = [gpu for gpu in gpus if gpu.fabric_state == "Completed" and gpu.fabric_status not in (None, "Success")]
    registered = any(gpu.fabric_state == "Completed" for gpu in gpus)
    driver = gpus[0].driver if gpus else ""
    remedy = (
        f"look at `journalctl -u nvidia-fabricmanager`; its version must be the driver's, {driver}"
        if found.fabric_manager
        else f"install nvidia-fabricmanager of version {driver}, then `systemctl enable --now nvidia-fabricmanager`"
    )
    if waiting or failed:
        bad = [*waiting, *failed]
        states = {f"{gpu.fabric_state}, {gpu.fabric_status}" if gpu in failed else gpu.fabric_state for gpu in bad}
        numbers = ", ".join(str(gpu.index) for gpu in bad)
        problem = f"GPU {numbers} not registered with the NVSwitches ({', '.join(sorted(map(str, states)))})"
        # A GPU in MIG mode uses no NVLink.
        state = WARN if all(gpu.mig for gpu in bad) else FAULT
        yield Check("fabric", state, f"{problem}: CUDA fails there with error 802", remedy)
    elif found.nvswitch and not found.fabric_manager:
        problem = "the host has NVSwitches, and no fabric manager runs"
        if registered:
            yield Check("fabric", WARN, problem, remedy)
        else:
            state = WARN if all(gpu.mig for gpu in gpus) else FAULT
            yield Check("fabric", state, f"{problem}: CUDA fails with error 802", remedy)
    elif found.nvswitch or registered:
        yield Check("fabric", OK, "the GPUs are registered with the NVSwitches")


def _needs_peers(fleet: Fleet) -> bool:
    """Whether a replica of a model uses several GPUs that talk to each other directly."""
    return any(
        model.containers and model.devices.gpus_per_replica > 1 and dict(model.env).get("NCCL_P2P_DISABLE") != "1"
        for model in fleet.models
    )


def _all_linked(gpus: Sequence[Gpu]) -> bool:
    return all(one.links.get(other.index) for one in gpus for other in gpus if one is not other)


def _peer_to_peer(found: Peers) -> Check:
    """NCCL User Guide, "Troubleshooting", "PCI Access Control Services (ACS)": traffic between GPUs that is
    redirected to the CPU is slow, or hangs. No capture of such a host was had."""
    problems = []
    if found.redirecting:
        problems.append(f"ACS of the PCIe switch ports {', '.join(found.redirecting)} sends it to the CPU")
    if found.translated:
        problems.append(f"the IOMMU translates it for {', '.join(found.translated)}")
    if not problems:
        return Check("peer-to-peer", OK, "no ACS or IOMMU redirects the traffic between GPUs")
    return Check(
        "peer-to-peer",
        WARN,
        f"traffic between GPUs may be slow or hang: {', and '.join(problems)}",
        "switch VT-d, AMD-Vi or ACS off in the firmware, or boot with iommu=pt and without ACS redirection "
        '(pci=disable_acs_redir=ADDRESS), or set NCCL_P2P_DISABLE: "1" in the model\'s env',
    )

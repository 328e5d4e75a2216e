# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Observes what stands between the GPUs of a Linux host. Read-only; needs root for the PCI configuration."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.preflight.peers import Peers
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import printable

_ADDRESS = re.compile(r"[0-9a-f]{4,}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_FABRIC_MANAGER = "nv-fabricmanager"[:15]  # as the kernel cuts names in /proc/PID/comm
# The kernel's include/uapi/linux/pci_regs.h: PCI_EXT_CAP_ID_ACS, PCI_ACS_CTRL, and the bits of PCI_ACS_RR (request
# redirect), PCI_ACS_CR (completion redirect) and PCI_ACS_EC (egress control), which pci=disable_acs_redir= clears.
_FIRST_EXTENDED, _ACS, _CONTROL = 0x100, 0x000D, 6
_REDIRECT = 0x04 | 0x08 | 0x20
_TRANSLATED = ("DMA", "DMA-FQ")  # of iommu_group/type; `identity` passes addresses through


def observe_peers(root: Path, bus_ids: Iterable[str]) -> Peers:
    """bus_ids: of the GPUs, as nvidia-smi prints them: 00000000:0F:00.0."""
    devices = [root / "sys/bus/pci/devices" / _address(one) for one in bus_ids]
    ports = dict.fromkeys(port for device in devices for port in _switch_ports(device))
    return Peers(
        nvswitch=any((root / "proc/driver/nvidia-nvswitch/devices").glob("*")),
        fabric_manager=any(process_name(process) == _FABRIC_MANAGER for process in (root / "proc").glob("[0-9]*")),
        redirecting=tuple(port.name for port in ports if _redirects(port)),
        translated=tuple(device.name for device in devices if _is_translated(device)),
    )


def _address(bus_id: str) -> str:
    """00000000:0F:00.0 as 0000:0f:00.0, the kernel's form."""
    domain, _colon, rest = bus_id.lower().partition(":")
    return f"{int(domain, 16):04x}:{rest}" if re.fullmatch(r"[0-9a-f]+", domain) else bus_id


def _switch_ports(device: Path) -> Iterator[Path]:
    """The PCIe bridges above a device, without the root port: traffic between root ports always meets the CPU."""
    with suppress(OSError):
        bridges = [path for path in device.resolve(strict=True).parents if _ADDRESS.fullmatch(path.name)]
        yield from bridges[:-1]


def _redirects(port: Path) -> bool:
    try:
        config = (port / "config").read_bytes()
    except OSError:
        return False
    offset, seen = _FIRST_EXTENDED, set()
    while offset and offset not in seen and offset + 8 <= len(config):
        seen.add(offset)
        header = int.from_bytes(config[offset : offset + 4], "little")
        if header & 0xFFFF == _ACS:
            control = int.from_bytes(config[offset + _CONTROL : offset + _CONTROL + 2], "little")
            return bool(control & _REDIRECT)
        offset = header >> 20
    return False


def _is_translated(device: Path) -> bool:
    """Never on Arm: Grace needs its IOMMU, which answers the GPU's own translation requests."""
    if not os.uname().machine.startswith("x86"):
        return False
    try:
        return (device / "iommu_group/type").read_text().strip() in _TRANSLATED
    except OSError:  # no IOMMU, or a kernel older than 5.11
        return False


def process_name(process: Path) -> str:
    """process: its folder in /proc. A process, also one in a container, sets its own name, to any bytes."""
    try:
        return printable((process / "comm").read_text(errors="replace"))
    except OSError:  # ended meanwhile
        return ""

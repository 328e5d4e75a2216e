"""Observing what stands between the GPUs of a Linux host, in a test folder with the kernel's files."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.preflight import linux_pci
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_pci import observe_peers, process_name
from ansible_collections.inference.fleet.plugins.module_utils.preflight.peers import Peers

ROOT_PORT, UPSTREAM, LEFT, RIGHT = "0000:00:01.0", "0000:01:00.0", "0000:02:00.0", "0000:02:01.0"
GPUS = ("00000000:03:00.0", "00000000:0F:00.0")
SOURCE_VALIDATION, REQUEST_REDIRECT, COMPLETION_REDIRECT, UPSTREAM_FORWARDING, EGRESS_CONTROL = 1, 4, 8, 16, 32


@pytest.fixture(autouse=True)
def on_x86(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_pci.os, "uname", lambda: SimpleNamespace(machine="x86_64"))


def config(control: int | None) -> bytes:
    """4 KiB of configuration with another extended capability in front of ACS. control: None without ACS."""
    data = bytearray(4096)
    acs = 0x148
    data[0x100:0x104] = (0x0001 | 2 << 16 | (0 if control is None else acs) << 20).to_bytes(4, "little")
    if control is not None:
        data[acs : acs + 4] = (0x000D | 1 << 16).to_bytes(4, "little")
        data[acs + 4 : acs + 6] = (0x7F).to_bytes(2, "little")  # what the port is able to do
        data[acs + 6 : acs + 8] = control.to_bytes(2, "little")
    return bytes(data)


class Tree:
    """Two GPUs behind a PCIe switch."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.devices = root / "sys/bus/pci/devices"
        self.devices.mkdir(parents=True)
        (root / "proc").mkdir()
        self._add("", ROOT_PORT, "sys/devices/pci0000:00")
        self._add(ROOT_PORT, UPSTREAM)
        for port, gpu in ((LEFT, "0000:03:00.0"), (RIGHT, "0000:0f:00.0")):
            self._add(UPSTREAM, port)
            self._add(port, gpu)

    def _add(self, parent: str, address: str, folder: str = "") -> None:
        path = self.root / folder / address if folder else (self.devices / parent).resolve() / address
        path.mkdir(parents=True)
        (path / "config").write_bytes(config(None))
        (self.devices / address).symlink_to(path)

    def acs(self, address: str, control: int) -> None:
        (self.devices / address / "config").write_bytes(config(control))

    def iommu(self, address: str, kind: str) -> None:
        group = self.root / f"sys/kernel/iommu_groups/{address}"
        group.mkdir(parents=True)
        (group / "type").write_text(f"{kind}\n")
        (self.devices / address / "iommu_group").symlink_to(group)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_plain_host_has_nothing_between_its_gpus(tree: Tree) -> None:
    assert observe_peers(tree.root, GPUS) == Peers()
    assert observe_peers(tree.root, ["00000000:99:00.0", ""]) == Peers()


@pytest.mark.parametrize("control", [REQUEST_REDIRECT, COMPLETION_REDIRECT, EGRESS_CONTROL, 0x1F])
def test_switch_ports_that_redirect_are_found(tree: Tree, control: int) -> None:
    tree.acs(LEFT, control)
    tree.acs(RIGHT, control)
    assert observe_peers(tree.root, GPUS).redirecting == (LEFT, RIGHT)


@pytest.mark.parametrize("control", [0, SOURCE_VALIDATION, SOURCE_VALIDATION | UPSTREAM_FORWARDING])
def test_ports_that_redirect_nothing_are_not(tree: Tree, control: int) -> None:
    tree.acs(LEFT, control)
    assert observe_peers(tree.root, GPUS).redirecting == ()


def test_a_root_port_stands_in_no_ones_way(tree: Tree) -> None:
    tree.acs(ROOT_PORT, 0x1F)
    assert observe_peers(tree.root, GPUS).redirecting == ()


@pytest.mark.parametrize("data", [b"", config(REQUEST_REDIRECT)[:64], b"\xff" * 4096, 64 * b"\x0d\x00\x01\x10"])
def test_a_configuration_that_cannot_be_read_redirects_nothing(tree: Tree, data: bytes) -> None:
    """64 bytes are all that a user who is not root sees; a chain may lead nowhere or back."""
    (tree.devices / LEFT / "config").write_bytes(data)
    assert observe_peers(tree.root, GPUS).redirecting == ()


def test_gpus_whose_addresses_the_iommu_translates_are_found(tree: Tree) -> None:
    tree.iommu("0000:03:00.0", "DMA-FQ")
    tree.iommu("0000:0f:00.0", "identity")
    assert observe_peers(tree.root, GPUS).translated == ("0000:03:00.0",)


def test_arms_iommu_is_as_it_should_be(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux_pci.os, "uname", lambda: SimpleNamespace(machine="aarch64"))
    tree.iommu("0000:03:00.0", "DMA")
    assert observe_peers(tree.root, GPUS).translated == ()


def test_nvswitches_and_their_manager_are_found(tree: Tree) -> None:
    (tree.root / "proc/driver/nvidia-nvswitch/devices/0000:c1:00.0").mkdir(parents=True)
    (tree.root / "proc/812").mkdir()
    (tree.root / "proc/812/comm").write_text("systemd\n")
    (tree.root / "proc/813").mkdir()  # ended meanwhile
    assert observe_peers(tree.root, ()) == Peers(nvswitch=True)
    (tree.root / "proc/812/comm").write_text("nv-fabricmanage\n")
    assert observe_peers(tree.root, ()) == Peers(nvswitch=True, fabric_manager=True)


@pytest.mark.parametrize(
    ("name", "shown"),
    [(b"\xff\xfe\n", "\ufffd\ufffd"), (b"a\nb\x1b[2J\n", "ab[2J"), (b"VLLM::Worker\n", "VLLM::Worker")],
)
def test_a_process_cannot_end_or_falsify_a_run_by_its_name(name: bytes, shown: str, tree: Tree) -> None:
    (tree.root / "proc/812").mkdir(parents=True)
    (tree.root / "proc/812/comm").write_bytes(name)
    assert process_name(tree.root / "proc/812") == shown
    assert observe_peers(tree.root, ()) == Peers()


@pytest.mark.parametrize(
    ("bus_id", "address"),
    [("00000000:0F:00.0", "0000:0f:00.0"), ("0000:0F:00.0", "0000:0f:00.0"), ("00010000:01:00.0", "10000:01:00.0")],
)
def test_addresses_take_the_kernels_form(bus_id: str, address: str) -> None:
    assert linux_pci._address(bus_id) == address

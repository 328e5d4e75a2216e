"""Taking a container from its clients."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system import own_network as module
from ansible_collections.inference.fleet.plugins.module_utils.system.drain import (
    accept,
    connections,
    drain,
    own_address,
    refuse,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

HEAD = "  sl  local_address rem_address   st tx_queue rx_queue\n"
LISTENS = "   0: 00000000:1F40 00000000:0000 0A 00000000:00000000 00:00000000 00000000\n"
ANOTHER_PORT = "   1: 020011AC:1F41 010011AC:8D2C 01 00000000:00000000 00:00000000 00000000\n"
CLIENT = "   2: 020011AC:1F40 010011AC:8D2E 01 00000000:00000000 00:00000000 00000000\n"
BEGINS = "   3: 020011AC:1F40 010011AC:8D2F 03 00000000:00000000 00:00000000 00000000\n"
ENDED = "   4: 020011AC:1F40 010011AC:8D30 06 00000000:00000000 00:00000000 00000000\n"
OWN_CLIENT = "   5: 020011AC:8D2E 010011AC:1F40 01 00000000:00000000 00:00000000 00000000\n"
IPV6 = "   0: 0000000000000000FFFF0000020011AC:1F40 0000000000000000FFFF0000010011AC:8D2C 01 0:0 00:0 0\n"


class Kernel:
    """Of the host. known: the rules. refuses: what iptables says instead of accepting a rule."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.known: list[list[str]] = []
        self.refuses = ""

    def run(self, command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        assert command[:4] == ["nsenter", f"--net={self.root}/7/ns/net", "iptables", "--wait"]
        assert command[4:6] == ["--table", "filter"]
        verb, *rule = command[6:]
        if verb == "--check":
            return subprocess.CompletedProcess(command, int(rule not in self.known), "", "no such rule")
        if not self.refuses and verb == "--delete":
            self.known.remove(rule)
        elif not self.refuses:
            self.known.append(rule)
        return subprocess.CompletedProcess(command, int(bool(self.refuses)), "", self.refuses)

    def has(self, tcp: str, tcp6: str = "") -> None:
        folder = self.root / "7/net"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "tcp").write_text(HEAD + tcp)
        (folder / "tcp6").write_text(HEAD + tcp6)


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    kernel = Kernel(tmp_path)
    monkeypatch.setattr(module, "PROC", tmp_path)
    monkeypatch.setattr(subprocess, "run", kernel.run)
    return kernel


@pytest.mark.parametrize(
    ("tcp", "tcp6", "count"),
    [
        ("", "", 0),
        (LISTENS + ANOTHER_PORT + ENDED + OWN_CLIENT, "", 0),
        (LISTENS + CLIENT + BEGINS, "", 2),
        (LISTENS + CLIENT, IPV6, 2),
    ],
)
def test_counts_the_connections_of_clients(kernel: Kernel, tcp: str, tcp6: str, count: int) -> None:
    kernel.has(tcp, tcp6)
    assert connections(7, 8000) == count


def test_a_container_that_ended_has_none(kernel: Kernel) -> None:
    assert connections(7, 8000) == 0


def test_refuses_new_connections_before_it_waits_for_the_others(kernel: Kernel) -> None:
    kernel.has(LISTENS + CLIENT)
    waits: list[float] = []

    def pause(seconds: float) -> None:
        assert kernel.known == [
            ["INPUT", "-p", "tcp", "--syn", "--dport", "8000", "-j", "REJECT", "--reject-with", "tcp-reset"]
        ]
        waits.append(seconds)
        if len(waits) == 3:
            kernel.has(LISTENS)

    assert drain(7, 8000, 60, pause=pause) == 0
    assert len(waits) == 3


def test_returns_what_is_left_when_the_time_is_over(kernel: Kernel) -> None:
    kernel.has(CLIENT + BEGINS)
    times = iter(range(100))
    assert drain(7, 8000, 10, now=lambda: float(next(times)), pause=lambda _seconds: None) == 2


def test_has_one_rule_however_often_it_drains(kernel: Kernel) -> None:
    kernel.has(LISTENS)
    assert drain(7, 8000, 0) == drain(7, 8000, 0) == 0
    assert len(kernel.known) == 1


def test_says_why_the_host_refuses_the_rule(kernel: Kernel) -> None:
    kernel.refuses = "iptables: No chain/target/match\n by that name."
    with pytest.raises(FleetError, match="network of process 7: iptables: No chain/target/match by that name"):
        drain(7, 8000, 10)


def test_accepts_again_what_it_refused(kernel: Kernel) -> None:
    kernel.has("")
    (kernel.root / "7/ns").mkdir()
    (kernel.root / "7/ns/net").touch()
    drain(7, 8000, 0)
    assert kernel.known
    accept(7, 8000)
    accept(7, 8000)
    assert kernel.known == []


def test_a_process_that_is_gone_has_no_rule_to_remove(kernel: Kernel) -> None:
    kernel.refuses = "no such process"
    accept(7, 8000)


def test_a_rule_that_stays_is_a_fault(kernel: Kernel) -> None:
    kernel.has("")
    (kernel.root / "7/ns").mkdir()
    (kernel.root / "7/ns/net").touch()
    drain(7, 8000, 0)
    kernel.refuses = "no permission"
    with pytest.raises(FleetError, match="iptables in the network of process 7: no permission"):
        accept(7, 8000)


def test_accepts_connections_of_the_host_meanwhile(kernel: Kernel) -> None:
    kernel.has(LISTENS)
    refuse(7, 8000, "172.17.0.1")
    (rule,) = kernel.known
    assert rule[:4] == ["INPUT", "!", "-s", "172.17.0.1"]
    assert drain(7, 8000, 0, "172.17.0.1") == 0
    accept(7, 8000, "172.17.0.1")


def test_the_host_has_an_address_for_each_container() -> None:
    assert own_address("127.0.0.2") == "127.0.0.1"

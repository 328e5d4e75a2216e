"""inference.fleet.host_rules: the whole module, with programs in place of iptables."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.preflight import linux_rules
from ansible_collections.inference.fleet.plugins.module_utils.preflight.host_rules import rules
from ansible_collections.inference.fleet.plugins.modules import host_rules
from ansible_collections.inference.fleet.tests.unit.running import Module

# A program that keeps what it is given, and prints the rules of it as iptables does.
PROGRAM = """#!/bin/sh
case "$0" in
*-restore) [ "$1" = --noflush ] || exit 2; cat > {folder}/given
    sed -n 's/^-[AI] \\([A-Z-]*\\) 1 /-A \\1 /p; t; /^-A/p; \
s/^:\\([A-Z-]*\\) .*/-N \\1/p' {folder}/given > {folder}/rules ;;
*) [ "$*" = "-t mangle -S" ] || exit 2; cat {folder}/rules ;;
esac
"""


@pytest.fixture
def iptables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the programs; `rules` is what iptables prints, `given` what it got."""
    for name in ("iptables", "iptables-restore"):
        (tmp_path / name).write_text(PROGRAM.format(folder=tmp_path))
        (tmp_path / name).chmod(stat.S_IRWXU)
    (tmp_path / "rules").write_text("-P INPUT ACCEPT\n")
    monkeypatch.setattr(linux_rules, "_PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(linux_rules, "HAS_IPV6", str(tmp_path / "no"))
    return tmp_path


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Module:
    return Module(host_rules.main, capsys)


def test_writes_the_rules_once(iptables: Path, run: Module) -> None:
    assert not linux_rules.rules_are_right()
    assert run() == {"changed": True, "changed_rules": ["iptables"]}
    assert linux_rules.rules_are_right()
    assert run() == {"changed": False, "changed_rules": []}
    assert all(rule in (iptables / "given").read_text() for chain in rules(4).values() for rule in chain)


def test_check_mode_says_what_would_change_and_changes_nothing(iptables: Path, run: Module) -> None:
    assert run(check=True) == {"changed": True, "changed_rules": ["iptables"]}
    assert not (iptables / "given").exists()


def test_check_mode_needs_no_iptables(iptables: Path, run: Module) -> None:
    """Only the run itself installs the package."""
    (iptables / "iptables").unlink()
    assert run(check=True)["changed"]
    assert not linux_rules.rules_are_right()


def test_downloads_from_the_host_itself_pass_and_those_from_elsewhere_need_no_rule(
    iptables: Path, run: Module, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux_rules, "is_own", lambda address: address == "10.1.0.5")
    downloads = [{"address": one, "port": 3128} for one in ("10.1.0.5", "10.1.0.6")]
    assert run(downloads=downloads)["changed"]
    given = (iptables / "given").read_text()
    assert "-d 10.1.0.5 -p tcp --dport 3128 -j RETURN" in given
    assert "10.1.0.6" not in given
    assert not run(downloads=downloads)["changed"]
    assert linux_rules.rules_are_right([("10.1.0.5", 3128)])
    assert run()["changed"]


def test_removes_the_rules(iptables: Path, run: Module) -> None:
    run()
    assert run(state="absent")["changed"]
    assert "-X INFERENCE-FLEET-IN" in (iptables / "given").read_text()
    assert run(state="absent") == {"changed": False, "changed_rules": []}


def test_a_host_with_ipv6_gets_the_rules_of_ipv6_too(iptables: Path, run: Module) -> None:
    (iptables / "no").touch()
    (iptables / "ip6tables").symlink_to("iptables")
    (iptables / "ip6tables-restore").symlink_to("iptables-restore")
    assert run(check=True)["changed_rules"] == ["iptables", "ip6tables"]


def test_a_fault_says_what_iptables_said_and_what_is_open(iptables: Path, run: Module) -> None:
    (iptables / "iptables").write_text("#!/bin/sh\necho 'Permission denied (you must be root)' >&2; exit 4\n")
    assert run() == {
        "failed": True,
        "msg": "iptables: Permission denied (you must be root); models could reach services of this host without its "
        "rules",
    }

"""Writing the inventory: all or nothing, over nobody's work, and into git with the person's name."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.page.fleets import ONE, changed, git, inventory, repository
from fleet_page.edits import Proposal, entry_edit, variable_edit
from fleet_page.inventory import Inventory

MODEL = {"name": "c", "type": "chat", "source": "Qwen/Qwen3-8B"}
EMPTY = "fleet: {hosts: {gpu1: {}}}\n"


def more_replicas(found: Inventory) -> Proposal:
    return found.proposal("more replicas of b", [changed(found, "b", replicas=3)])


def test_writes_what_was_proposed_and_keeps_the_mode(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    file = folder / "hosts.yml"
    file.chmod(0o664)
    assert found.write(more_replicas(found), "alice") == f"written to {file}"
    assert file.read_text() == ONE.replace("replicas: 2", "replicas: 3")
    assert stat.S_IMODE(file.stat().st_mode) == 0o664
    assert [one.name for one in folder.iterdir()] == ["hosts.yml"]
    assert found.snapshot().hosts["gpu1"].models[1]["replicas"] == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files to others")
def test_keeps_the_owner_and_the_group(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    os.chown(folder / "hosts.yml", 1234, 2345)
    found.write(more_replicas(found), "alice")
    after = (folder / "hosts.yml").stat()
    assert (after.st_uid, after.st_gid) == (1234, 2345)


def test_a_new_file_is_not_for_everybody(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": EMPTY})
    edit = entry_edit(found.snapshot(), "gpu1", "fleet_models", None, MODEL, "x")
    found.write(found.proposal("x", [edit]), "alice")
    file = folder / "host_vars/gpu1.yml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert found.snapshot().hosts["gpu1"].models == [MODEL]


def test_refuses_when_the_file_changed_meanwhile_and_says_what(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    proposal = more_replicas(found)
    theirs = ONE.replace("type: chat", "type: vision") + "    fleet_hf_token: hf_abcdefgh\n"
    (folder / "hosts.yml").write_text(theirs)
    with pytest.raises(FleetError) as caught:
        found.write(proposal, "alice")
    (words,) = caught.value.faults
    assert "nothing was written" in words and "+        type: vision" in words
    assert "hf_abcdefgh" not in words
    assert (folder / "hosts.yml").read_text() == theirs


@pytest.mark.parametrize("what", ["gone", "new"])
def test_refuses_when_the_file_appeared_or_went_meanwhile(folder: Path, what: str) -> None:
    found = inventory(folder, {"hosts.yml": ONE if what == "gone" else EMPTY})
    if what == "gone":
        proposal = more_replicas(found)
        (folder / "hosts.yml").unlink()
    else:
        proposal = found.proposal("x", [entry_edit(found.snapshot(), "gpu1", "fleet_models", None, MODEL, "x")])
        inventory(folder, {"host_vars/gpu1.yml": "fleet_energy: false\n"})
    with pytest.raises(FleetError, match="nothing was written"):
        found.write(proposal, "alice")


def test_refuses_a_proposal_with_faults(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    proposal = found.proposal("x", [changed(found, "b", replicas=-1)])
    with pytest.raises(FleetError, match="replicas: expected"):
        found.write(proposal, "alice")
    assert (folder / "hosts.yml").read_text() == ONE


def test_of_two_people_at_once_one_is_refused(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    proposals = [found.proposal("x", [changed(found, name, replicas=5)]) for name in ("a", "b")]

    def write(one: Proposal) -> str:
        try:
            return found.write(one, "alice")
        except FleetError:
            return "refused"

    with ThreadPoolExecutor(2) as threads:
        words = [*threads.map(write, proposals)]
    assert sorted(words) == ["refused", f"written to {folder}/hosts.yml"]
    won = proposals[words.index("refused") - 1]
    assert (folder / "hosts.yml").read_text() == won.texts[folder / "hosts.yml"][1]


def test_replaces_what_a_link_leads_to(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "real.yml").write_text(ONE)
    (folder / "hosts.yml").symlink_to(tmp_path / "real.yml")
    found = Inventory(folder)
    found.write(more_replicas(found), "alice")
    assert (folder / "hosts.yml").is_symlink()
    assert "replicas: 3" in (tmp_path / "real.yml").read_text()


def test_a_full_disk_leaves_the_files_as_they_were(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = inventory(
        folder, {"hosts.yml": EMPTY, "host_vars/gpu1.yml": "fleet_energy: true\n", "group_vars/fleet.yml": "x: 1\n"}
    )
    snapshot = found.snapshot()
    edits = [
        variable_edit(snapshot, "gpu1", "fleet_energy", False, "x"),
        variable_edit(snapshot, "gpu1", "x", 2, "x"),
    ]
    proposal = found.proposal("x", edits)
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FleetError) as caught:
        found.write(proposal, "alice")
    assert caught.value.faults == (
        f"{folder}/group_vars/fleet.yml: No space left on device; the inventory was not changed",
    )
    assert (folder / "host_vars/gpu1.yml").read_text() == "fleet_energy: true\n"
    assert (folder / "group_vars/fleet.yml").read_text() == "x: 1\n"
    assert not [*folder.rglob("*.new")]


def test_a_folder_that_nobody_may_write_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    proposal = more_replicas(found)

    def refuse(**_given: object) -> None:
        raise PermissionError(13, "Permission denied", f"{folder}/.abc.new")

    monkeypatch.setattr("tempfile.mkstemp", refuse)
    with pytest.raises(FleetError) as caught:
        found.write(proposal, "alice")
    assert caught.value.faults == (f"{folder}/hosts.yml: Permission denied; the inventory was not changed",)


@pytest.mark.parametrize(
    ("who", "author"),
    [
        ("alice", "alice"),
        ("Alice B. Clark", "Alice B. Clark"),
        ("eve <root@x>\nX: y", "eve root@x X y"),
        ("Zoë", "Zoë"),
        ("", "nobody"),
        ("<>", "nobody"),
    ],
)
def test_commits_with_the_name_of_the_person(folder: Path, who: str, author: str) -> None:
    found = inventory(folder, {"hosts.yml": ONE, "other.yml": "all: {}\n"})
    repository(folder)
    (folder / "other.yml").write_text("all: {} # not mine\n")
    git(folder, "add", "other.yml")
    assert found.write(more_replicas(found), who) == f"written to {folder}/hosts.yml and committed"
    assert (
        git(folder, "log", "-1", "--format=%an|%cn|%s").strip() == f"{author}|inference-fleet-page|more replicas of b"
    )
    assert git(folder, "show", "--name-only", "--format=").split() == ["hosts.yml"]
    assert git(folder, "status", "--porcelain").strip() == "M  other.yml"


def test_commits_a_new_file(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": EMPTY})
    repository(folder)
    edit = entry_edit(found.snapshot(), "gpu1", "fleet_models", None, MODEL, "x")
    assert found.write(found.proposal("-F /etc/passwd", [edit]), "alice").endswith(" and committed")
    assert git(folder, "log", "-1", "--format=%s").strip() == "-F /etc/passwd"
    assert not git(folder, "status", "--porcelain")


@pytest.mark.parametrize("state", ["changed", "staged", "not in git"])
def test_does_not_commit_the_work_of_others(folder: Path, state: str) -> None:
    found = inventory(folder, {"hosts.yml": ONE, "other.yml": "all: {}\n"})
    if state == "not in git":
        (folder / "hosts.yml").rename(folder / ".away")
        repository(folder)
        (folder / ".away").rename(folder / "hosts.yml")
    else:
        repository(folder)
        (folder / "hosts.yml").write_text(ONE + "# theirs\n")
    if state == "staged":
        git(folder, "add", ".")
    words = found.write(more_replicas(found), "alice")
    assert words.endswith("; not committed, since the file has other changes that nobody committed")
    assert git(folder, "rev-list", "--count", "HEAD").strip() == "1"


def test_says_why_a_hook_refused(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    repository(folder)
    hook = folder / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'lint: no' >&2\nexit 1\n")
    hook.chmod(0o755)
    assert found.write(more_replicas(found), "alice").endswith("; git did not commit: lint: no")
    assert "replicas: 3" in (folder / "hosts.yml").read_text()


def test_commits_the_file_that_a_link_leads_to(folder: Path) -> None:
    inventory(folder, {"shared/real.yml": ONE})
    (folder / "inventory").mkdir()
    (folder / "inventory/hosts.yml").symlink_to("../shared/real.yml")
    repository(folder)
    found = Inventory(folder / "inventory")
    assert found.write(more_replicas(found), "alice").endswith(" and committed")
    assert not git(folder, "status", "--porcelain")

"""inference.fleet.restore_kit: the collections on a host, both halves together: the action here, the module there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.action import restore_kit as action
from ansible_collections.inference.fleet.plugins.module_utils.boot import environment
from ansible_collections.inference.fleet.plugins.modules import restore_kit as module
from ansible_collections.inference.fleet.tests.unit.plugin_utils.test_collection_archive import RUNS, checkout
from ansible_collections.inference.fleet.tests.unit.preflight.systems import System
from ansible_collections.inference.fleet.tests.unit.running import Module

INSTALLED = Path(action.__file__).parents[5]  # the folder in which `ansible_collections` is


class Host:
    """A host, and a controller that has acme.web in `root`. sent: archives that the host received."""

    def __init__(self, folder: Path, root: Path, main: Module, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.root = root
        self.main = main
        self.monkeypatch = monkeypatch
        self.sent: list[Path] = []

    def run(self, check: bool = False, collections: list[str] | None = None) -> dict[str, Any]:
        self.monkeypatch.setattr(action, "_get_collection_path", self._root_of)
        task = Mock(args={"path": str(self.folder), "collections": collections or ["acme.web"]}, check_mode=check)
        shell = Mock(tmpdir=str(self.folder.parent), join_path=lambda *parts: "/".join(parts))
        plugin = action.ActionModule(task, Mock(_shell=shell), Mock(), Mock(), Mock(), Mock())
        for name, stand_in in {
            "_execute_module": lambda module_name, module_args, task_vars: self.main(check, **module_args),
            "_transfer_file": self._send,
            "_fixup_perms2": Mock(),
        }.items():
            self.monkeypatch.setattr(plugin, name, stand_in)
        answer: dict[str, Any] = plugin.run(task_vars={})
        return answer

    def _root_of(self, name: str) -> str:
        if name != "acme.web":
            raise ValueError(f"unable to locate collection {name}")
        return str(self.root)

    def _send(self, source: str, target: str) -> None:
        self.sent.append(Path(shutil.copy(source, target)))

    @property
    def collections(self) -> Path:
        return self.folder / "collections"

    def one_copy(self) -> bool:
        return set(self.folder.iterdir()) == {self.collections, self.collections.resolve()}

    def content(self) -> dict[str, str]:
        root = self.collections / "ansible_collections/acme/web"
        return {path.relative_to(root).as_posix(): path.read_text() for path in root.rglob("*") if path.is_file()}


@pytest.fixture
def host(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    root = checkout(tmp_path / "controller")
    return Host(tmp_path / "opt", root, Module(module.main, capsys), monkeypatch)


def test_copies_them_to_a_host_that_has_none(host: Host) -> None:
    assert host.run()["changed"] is True
    assert host.content() == RUNS


def test_a_host_that_has_the_same_is_sent_nothing(host: Host) -> None:
    host.run()
    host.sent.clear()
    checkout(host.root, {"tests/unit/test_more.py": ""})
    assert host.run()["changed"] is False
    assert host.sent == []


def test_what_changed_here_replaces_all_that_is_there(host: Host) -> None:
    host.run()
    (host.root / "playbooks/site.yml").rename(host.root / "playbooks/cite.yml")
    assert host.run()["changed"] is True
    moved = {("playbooks/cite.yml" if name == "playbooks/site.yml" else name): text for name, text in RUNS.items()}
    assert host.content() == moved
    assert host.one_copy()


def test_check_mode_says_what_there_is_to_do_and_does_nothing(host: Host) -> None:
    assert host.run(check=True)["changed"] is True
    assert (host.sent, host.folder.exists()) == ([], False)
    host.run()
    assert host.run(check=True)["changed"] is False


def test_a_collection_that_is_not_here_is_named(host: Host) -> None:
    answer = host.run(collections=["acme.web", "acme.db"])
    assert answer["failed"] is True
    assert answer["msg"] == "collections: acme.db is not installed on the machine that runs Ansible"
    assert not host.folder.exists()


# Interruptions


@pytest.fixture
def newer(host: Host) -> Host:
    """Previous collections on the host, and others on the controller."""
    host.run()
    checkout(host.root, {"playbooks/site.yml": "[{}]"})
    return host


def test_an_archive_that_came_over_in_part_leaves_what_was_there(newer: Host) -> None:
    def send_half(source: str, target: str) -> None:
        whole = Path(source).read_bytes()
        Path(target).write_bytes(whole[: len(whole) // 2])

    newer.monkeypatch.setattr(newer, "_send", send_half)
    answer = newer.run()
    assert answer["failed"] is True
    assert answer["msg"].startswith(f"{newer.collections}: cannot be replaced (")
    assert answer["msg"].endswith("; the previous collections are still in use")
    assert newer.content() == RUNS


@pytest.mark.parametrize("cut", ["extractall", "write_text", "symlink_to", "replace"])
def test_a_run_that_is_killed_while_it_unpacks_leaves_what_was_there(newer: Host, cut: str) -> None:
    """The next run starts from the beginning and removes the remains."""

    def killed(*_arguments: Any, **_more: Any) -> None:
        raise KeyboardInterrupt

    with newer.monkeypatch.context() as patch:
        patch.setattr(tarfile.TarFile if cut == "extractall" else Path, cut, killed)
        with pytest.raises(KeyboardInterrupt):
            newer.run()
    assert newer.content() == RUNS
    assert newer.run()["changed"] is True
    assert newer.content() == {**RUNS, "playbooks/site.yml": "[{}]"}
    assert newer.one_copy()


def test_what_was_half_removed_by_hand_is_not_taken_for_whole(host: Host) -> None:
    host.run()
    (host.collections / module.DIGEST).unlink()
    assert host.run()["changed"] is True


# Other files


def test_tells_the_version_of_ansible_core(host: Host, tmp_path: Path) -> None:
    assert host.run()["ansible_core"] is None
    System(tmp_path, host.folder).install("venv", "2.19.14")
    host.monkeypatch.setattr(environment, "PYTHON", str(tmp_path / "python3"))
    assert host.run()["ansible_core"] == "2.19.14"


def test_the_module_alone_does_not_know_what_is_on_the_other_machine(host: Host) -> None:
    answer = host.main(collections=["acme.web"])
    assert answer["msg"] == "digest: missing; the action plugin inference.fleet.restore_kit sets it"


# With Ansible itself


def test_a_host_can_run_its_restore_from_what_it_was_given(tmp_path: Path) -> None:
    """The kit alone has the playbook and its roles and modules, and the run leaves no temporary folder."""
    remote_tmp = tmp_path / "remote"
    arguments = {"path": str(tmp_path / "opt"), "collections": ["inference.fleet", "community.docker"]}
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars": {"ansible_remote_tmp": str(remote_tmp), "ansible_python_interpreter": sys.executable},
        "tasks": [{"inference.fleet.restore_kit": arguments}],
    }
    (tmp_path / "kit.yml").write_text(json.dumps([play]))
    run_ansible(tmp_path, str(tmp_path / "kit.yml"), ANSIBLE_COLLECTIONS_PATH=str(INSTALLED))
    assert list(remote_tmp.iterdir()) == []
    there = {
        "ANSIBLE_COLLECTIONS_PATH": str(tmp_path / "opt/collections"),
        "ANSIBLE_COLLECTIONS_SCAN_SYS_PATH": "false",
    }
    tasks = run_ansible(tmp_path, "--list-tasks", "inference.fleet.reboot_restore", **there)
    assert "Refuse connections of models to the host" in tasks


def run_ansible(folder: Path, *words: str, **variables: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "ansible", "playbook", "--inventory", "localhost,", "--connection", "local", *words],
        cwd=folder,
        env={**os.environ, "ANSIBLE_NOCOLOR": "true", **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_folder_that_an_early_version_left_in_its_place_is_replaced(host: Host) -> None:
    (host.collections / "ansible_collections").mkdir(parents=True)
    assert host.run()["changed"] is True
    assert host.content() == RUNS
    assert host.one_copy()

"""inference.fleet.page_access: tried with a real user, as whom the commands that it names are checked, too."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.modules import page_access as module
from ansible_collections.inference.fleet.tests.unit.running import Module

USER = "nobody"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user")


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str]) -> Module:
    return Module(module.main, capsys)


@pytest.fixture
def site() -> Iterator[Path]:
    """A folder that everybody may enter; pytest's own may be entered by root alone."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def inventory(site: Path, mode: int = 0o600) -> Path:
    folder = site / "in ventory"
    (folder / "group_vars").mkdir(parents=True, mode=0o700)
    for name in ("hosts.yml", "group_vars/fleet.yml", ".fleet-keys.yml"):
        (folder / name).write_text("")
        (folder / name).chmod(mode)
    return folder


def mend(message: str) -> None:
    """Runs the commands of the message."""
    for line in message.splitlines():
        if line.startswith("  ") and not line.startswith(("  usermod", "  setfacl")):
            subprocess.run(["sh", "-ec", line], check=True)


def test_an_inventory_of_the_user_is_fine(check: Module, site: Path) -> None:
    folder = inventory(site)
    user = pwd.getpwnam(USER)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    answer = check(user=USER, inventory=str(folder))
    assert (answer["changed"], answer["writable"]) == (False, [str(folder)])


@pytest.mark.parametrize("name", ["", "hosts.yml"], ids=["folder", "file"])
def test_the_commands_of_the_refusal_give_the_access(check: Module, site: Path, name: str) -> None:
    path = inventory(site) / name
    answer = check(user=USER, inventory=str(path))
    assert f"page_inventory: {USER} may not " in answer["msg"]
    assert "chgrp -R nogroup" in answer["msg"] or "may not enter" in answer["msg"]
    for _step in range(2):  # the way to the file first, then the file
        mend(answer.get("msg", ""))
        answer = check(user=USER, inventory=str(path))
    assert answer.get("msg", "") == ""


def test_a_folder_on_the_way_that_the_user_may_not_enter_is_named(check: Module, site: Path) -> None:
    path = inventory(site)
    site.chmod(0o700)
    message = check(user=USER, inventory=str(path))["msg"]
    assert f"{USER} may not enter {site}." in message
    assert f"  chmod o+x {site}\n" in message


def test_what_only_can_be_read_is_refused(check: Module, site: Path) -> None:
    folder = inventory(site, 0o644)
    folder.chmod(0o755)
    (folder / "group_vars").chmod(0o755)
    assert f"{USER} may not read or write {folder}" in check(user=USER, inventory=str(folder))["msg"]


def test_the_repository_around_the_inventory_counts(check: Module, site: Path) -> None:
    folder = inventory(site)
    subprocess.run(["git", "init", "--quiet", str(site)], check=True)
    message = check(user=USER, inventory=str(folder))["msg"]
    assert "the git repository around page_inventory" in message
    assert "core.sharedRepository group" in message
    mend(message)
    assert check(user=USER, inventory=str(folder))["writable"] == [str(folder), str(site / ".git")]


def test_objects_of_git_that_nobody_may_write_are_no_fault(check: Module, site: Path) -> None:
    folder = inventory(site)
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    mend(check(user=USER, inventory=str(folder))["msg"])
    (folder / ".git/objects/object").touch(0o444)
    assert "msg" not in check(user=USER, inventory=str(folder))


def test_files_for_tls_need_to_be_readable(check: Module, site: Path) -> None:
    folder = inventory(site)
    mend(check(user=USER, inventory=str(folder))["msg"])
    key = site / "page.key"
    answer = check(user=USER, inventory=str(folder), readable=[str(key)])
    assert answer["msg"] == f"{key}: no such file"
    key.touch(0o600)
    message = check(user=USER, inventory=str(folder), readable=[str(key)])["msg"]
    assert message.startswith(f"{key}: {USER} may not read the file. As root, run:")
    mend(message)
    assert "msg" not in check(user=USER, inventory=str(folder), readable=[str(key)])


def test_before_there_is_a_user_nothing_is_checked(check: Module, site: Path) -> None:
    folder = inventory(site)
    answer: dict[str, Any] = check(user="no-such-user", inventory=str(folder))
    assert (answer["changed"], answer["writable"]) == (False, [str(folder)])

"""inference.fleet.page_settings: the file with the settings of the page."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.action import page_settings as action
from ansible_collections.inference.fleet.plugins.module_utils.system.passwords import is_password
from ansible_collections.inference.fleet.plugins.modules import page_settings as module
from ansible_collections.inference.fleet.tests.unit.running import Module

ME = getpass.getuser()


class Page:
    """The action here, the module there. folder: of the page, its settings and its inventory."""

    def __init__(self, folder: Path, main: Module) -> None:
        self.folder = folder
        self.file = folder / "settings.json"
        self._main = main
        (folder / "inventory").mkdir()

    def run(self, check: bool = False, **more: Any) -> dict[str, Any]:
        arguments = {
            "path": str(self.file),
            "user": ME,
            "inventory": str(self.folder / "inventory"),
            "folder": str(self.folder / "history"),
            "address": "127.0.0.1",
            "port": 7860,
            "certificate": "",
            "private_key": "",
            "users": {},
            "oidc": {},
            "fixed": {"runtime": "/run/page"},
            **more,
        }
        task = SimpleNamespace(args=arguments, check_mode=check)
        plugin = action.ActionModule(task, *[None] * 5)
        plugin._execute_module = lambda module_name, module_args, task_vars: self._main(check, **module_args)
        sources = [str(self.folder / "inventory")]
        answer: dict[str, Any] = plugin.run(
            task_vars={"inventory_hostname": "localhost", "ansible_inventory_sources": sources}
        )
        return answer

    def settings(self) -> dict[str, Any]:
        read: dict[str, Any] = json.loads(self.file.read_text())
        return read


@pytest.fixture
def page(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Page:
    monkeypatch.setenv("SUDO_USER", "alice")
    monkeypatch.delenv(action.VARIABLE, raising=False)
    return Page(tmp_path, Module(module.main, capsys))


def test_writes_what_the_page_reads_and_then_has_nothing_to_do(page: Page) -> None:
    assert page.run()["changed"] is True
    assert page.settings() == {
        "inventory": str(page.folder / "inventory"),
        "folder": str(page.folder / "history"),
        "address": "127.0.0.1",
        "port": 7860,
        "certificate": None,
        "private_key": None,
        "runtime": "/run/page",
        "users": {"alice": {"may": "change", "password": None}},
        "oidc": None,
    }
    assert page.file.stat().st_mode & 0o7777 == 0o640
    assert page.run()["changed"] is False


def test_check_mode_writes_nothing(page: Page) -> None:
    assert page.run(check=True)["changed"] is True
    assert not page.file.exists()


def test_a_mode_that_somebody_changed_is_restored(page: Page) -> None:
    page.run()
    page.file.chmod(0o644)
    assert page.run()["changed"] is True
    assert page.file.stat().st_mode & 0o7777 == 0o640


def test_a_password_becomes_a_hash_which_stays(page: Page) -> None:
    users = {"alice": {"may": "change", "password": "correct horse"}, "bob": {"may": "look"}}
    assert page.run(users=users)["changed"] is True
    stored = page.settings()["users"]["alice"]["password"]
    assert is_password("correct horse", stored)
    assert page.settings()["users"]["bob"] == {"may": "look", "password": None}
    assert page.run(users=users)["changed"] is False
    users["alice"]["password"] = "another horse"
    assert page.run(users=users)["changed"] is True
    assert is_password("another horse", page.settings()["users"]["alice"]["password"])


def test_users_that_are_not_given_any_more_are_removed(page: Page) -> None:
    page.run(users={"bob": {"may": "look"}, "carol": {"may": "look"}})
    page.run(users={"bob": {"may": "change"}})
    assert page.settings()["users"] == {"bob": {"may": "change", "password": None}}


def test_without_users_the_present_ones_stay_and_the_runner_is_added(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    page.run(users={"alice": {"may": "look", "password": "correct horse"}})
    before = page.settings()["users"]["alice"]
    monkeypatch.setenv("SUDO_USER", "bob")
    page.run()
    assert page.settings()["users"] == {"alice": before, "bob": {"may": "change", "password": None}}


def test_root_is_not_added(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SUDO_USER", "root")
    page.run()
    assert page.settings()["users"] == {}


@pytest.mark.parametrize(
    ("variables", "name"),
    [({"SUDO_USER": "alice", "DOAS_USER": "bob"}, "alice"), ({"DOAS_USER": "bob"}, "bob"), ({}, ME)],
)
def test_the_runner_is_the_person_behind_sudo(variables: dict[str, str], name: str) -> None:
    assert action.runner(variables) == name


def test_no_secret_is_shown(page: Page) -> None:
    oidc = {"issuer": "https://id.example.com", "client_id": "page", "client_secret": "s3cret-client"}
    answers = [page.run(users={"alice": {"may": "look", "password": f"s3cret-{word}"}}, oidc=oidc) for word in "ab"]
    assert "s3cret" not in json.dumps(answers) and "scrypt" not in json.dumps(answers)
    assert '"password": "another one, not shown"' in answers[1]["diff"]["after"]


def test_the_folder_is_a_variable_of_the_environment_too(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(action.VARIABLE, str(page.folder / "elsewhere"))
    assert page.run(folder="")["settings"]["folder"] == str(page.folder / "elsewhere")
    assert page.run()["settings"]["folder"] == str(page.folder / "history")
    monkeypatch.delenv(action.VARIABLE)
    assert page.run(check=True, folder="")["settings"]["folder"] == "/var/lib/inference-fleet-page"


def test_the_inventory_is_that_of_the_run(page: Page) -> None:
    assert page.run(inventory="")["settings"]["inventory"] == str(page.folder / "inventory")
    missing = str(page.folder / "none")
    assert page.run(inventory=missing)["msg"].startswith("page_inventory: expected a file or a folder of this machine")


def test_a_refusal_changes_nothing(page: Page) -> None:
    assert "so a login is needed" in page.run(address="0.0.0.0")["msg"]
    assert not page.file.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_folder_of_somebody_else_is_refused_unless_it_is_empty(page: Page) -> None:
    other = page.folder / "other"
    other.mkdir()
    os.chown(other, 65534, 65534)
    assert page.run(folder=str(other))["changed"] is True
    (other / "file").touch()
    assert "is not empty and belongs to nobody" in page.run(folder=str(other))["msg"]


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_a_folder_that_a_removed_page_left_is_recognised_by_its_owner(page: Page) -> None:
    (page.folder / "history").mkdir()
    (page.folder / "history/run").touch()
    os.chown(page.folder / "history", 54321, 54321)
    assert page.run()["uid"] == 54321


@pytest.mark.parametrize("text", ["", "{", "[]"])
def test_a_damaged_file_is_replaced(page: Page, text: str) -> None:
    page.file.write_text(text)
    assert page.run()["changed"] is True
    assert page.settings()["port"] == 7860

"""inference.fleet.host_secrets: secrets stay on the host, for root's eyes only."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.modules import host_secrets
from ansible_collections.inference.fleet.tests.unit.running import Module

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "secrets"


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """The module's values are read where Ansible would blot them out: the task that calls it has no_log."""
    module = Module(host_secrets.main, capsys)
    return lambda given, **more: module(path=str(folder), given=given, **more)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_generates_what_nobody_gave_and_keeps_it(run: Run, folder: Path) -> None:
    first = run({"master_key": None, "salt_key": None})
    kept = {path.name: path.read_text() for path in folder.iterdir()}
    second = run({"master_key": None, "salt_key": None})
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["values"] == second["values"]
    assert kept == {name: f"{value}\n" for name, value in first["values"].items()}
    assert len(set(first["values"].values())) == 2


def test_a_generated_secret_is_long_random_and_begins_as_told(run: Run, folder: Path) -> None:
    values = run({"master_key": None, "password": None}, prefixes={"master_key": "sk-"})["values"]
    assert re.fullmatch(r"sk-[\w-]{43}", values["master_key"])
    assert re.fullmatch(r"[\w-]{43}", values["password"])


def test_only_root_reads_them(run: Run, folder: Path) -> None:
    run({"master_key": None, "salt_key": "sk-0123456789"})
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {"master_key": 0o600, "salt_key": 0o600}


def test_a_secret_that_was_given_is_written_as_it_is_and_another_replaces_it(run: Run, folder: Path) -> None:
    assert run({"salt_key": "sk-0123456789"})["changed"] is True
    assert run({"salt_key": "sk-0123456789"})["changed"] is False
    assert run({"salt_key": "sk-9876543210"})["changed"] is True
    assert (folder / "salt_key").read_text() == "sk-9876543210\n"


def test_a_secret_that_is_given_no_longer_stays(run: Run, folder: Path) -> None:
    run({"salt_key": "sk-0123456789"})
    assert run({"salt_key": None})["changed"] is False
    assert (folder / "salt_key").read_text() == "sk-0123456789\n"


def test_secrets_that_the_task_does_not_name_are_left_alone(run: Run, folder: Path) -> None:
    run({"other": "sk-0123456789"})
    assert list(run({"salt_key": None})["values"]) == ["salt_key"]
    assert (folder / "other").read_text() == "sk-0123456789\n"


@pytest.mark.parametrize("loosened", ["folder", "file"])
def test_modes_that_somebody_loosened_are_tightened_and_the_value_kept(run: Run, folder: Path, loosened: str) -> None:
    run({"salt_key": None})
    before = (folder / "salt_key").read_text()
    (folder if loosened == "folder" else folder / "salt_key").chmod(0o755)
    assert run({"salt_key": None})["changed"] is True
    assert (mode(folder), mode(folder / "salt_key")) == (0o700, 0o600)
    assert (folder / "salt_key").read_text() == before
    assert run({"salt_key": None})["changed"] is False


def test_an_empty_file_is_no_secret(run: Run, folder: Path) -> None:
    """As an interrupted copy leaves it."""
    folder.mkdir(parents=True)
    (folder / "salt_key").touch()
    assert run({"salt_key": None})["changed"] is True
    assert len((folder / "salt_key").read_text()) > 40


def test_a_file_is_replaced_as_a_whole_and_nothing_is_left_beside_it(run: Run, folder: Path) -> None:
    run({"salt_key": "sk-0123456789"})
    old = (folder / "salt_key").stat().st_ino
    run({"salt_key": "sk-9876543210"})
    assert (folder / "salt_key").stat().st_ino != old
    assert [path.name for path in folder.iterdir()] == ["salt_key"]


# Check mode


def test_check_mode_writes_nothing_and_says_that_it_would(run: Run, folder: Path) -> None:
    answer = run({"master_key": None}, check=True)
    assert answer["changed"] is True
    assert answer["values"]["master_key"]
    assert not folder.parent.exists()


def test_check_mode_leaves_modes_and_values_alone(run: Run, folder: Path) -> None:
    run({"salt_key": "sk-0123456789"})
    (folder / "salt_key").chmod(0o644)
    assert run({"salt_key": "sk-9876543210"}, check=True)["changed"] is True
    assert (folder / "salt_key").read_text() == "sk-0123456789\n"
    assert mode(folder / "salt_key") == 0o644


def test_check_mode_on_a_converged_host_reports_no_change(run: Run) -> None:
    values = run({"master_key": None})["values"]
    answer = run({"master_key": None}, check=True)
    assert (answer["changed"], answer["values"]) == (False, values)


def test_a_permanent_secret_is_not_replaced_by_another(run: Run, folder: Path) -> None:
    run({"salt_key": "sk-0123456789"}, permanent=["salt_key"])
    assert run({"salt_key": None}, permanent=["salt_key"])["faults"] == []
    again = run({"salt_key": "sk-9876543210", "master_key": None}, permanent=["salt_key"])
    assert again["faults"] == [
        f"salt_key: the inventory gives another one than {folder}/salt_key on this host, which the data here was set "
        "up with; take it out of the inventory, or give the one that the host has"
    ]
    assert again["changed"] is False
    assert [path.name for path in folder.iterdir()] == ["salt_key"]
    assert (folder / "salt_key").read_text() == "sk-0123456789\n"

"""inference.fleet.host_secrets: secrets stay on the host, readable only by root."""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.modules import host_secrets
from ansible_collections.inference.fleet.tests.unit.running import Module

Run = Callable[..., dict[str, Any]]
NOW = 1_800_000_000.5
HOUR = 3600
UNTIL = int(NOW) + HOUR
OVERLAPPING = {"overlapping": ["master_key"]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "etc" / "secrets"


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """As a task with no_log runs it."""
    module = Module(host_secrets.main, capsys)
    return lambda given, **more: module(path=str(folder), given=given, **{"_ansible_no_log": True, **more})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Mock:
    """return_value: the time, as the module sees it."""
    time = Mock(return_value=NOW)
    monkeypatch.setattr(host_secrets.time, "time", time)
    return time


def kept(folder: Path) -> dict[str, str]:
    """File name -> content."""
    return {path.name: path.read_text().rstrip("\n") for path in folder.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_generates_what_nobody_gave_and_keeps_it(run: Run, folder: Path) -> None:
    first = run({"master_key": None, "salt_key": None})
    files = kept(folder)
    second = run({"master_key": None, "salt_key": None})
    assert (first["changed"], second["changed"]) == (True, False)
    assert first["values"] == second["values"]
    assert files == first["values"]
    assert len(set(first["values"].values())) == 2


def test_a_generated_secret_is_long_random_and_begins_as_told(run: Run, folder: Path) -> None:
    values = run({"master_key": None, "password": None}, prefixes={"master_key": "sk-"})["values"]
    assert re.fullmatch(r"sk-[\w-]{43}", values["master_key"])
    assert re.fullmatch(r"[\w-]{43}", values["password"])


def test_only_root_reads_them(run: Run, folder: Path) -> None:
    run({"master_key": None, "salt_key": "sk-0123456789"})
    assert mode(folder) == 0o700
    assert {path.name: mode(path) for path in folder.iterdir()} == {"master_key": 0o600, "salt_key": 0o600}


def test_a_secret_that_was_given_is_returned_as_it_is(run: Run) -> None:
    assert run({"master_key": "sk-0123456789"})["values"] == {"master_key": "sk-0123456789"}


def test_a_task_that_would_show_secrets_is_refused(run: Run, folder: Path) -> None:
    answer = run({"master_key": "sk-0123456789"}, _ansible_no_log=False)
    assert answer["failed"]
    assert "no_log: true" in answer["msg"]
    assert not folder.exists()


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
    """The state after an interrupted copy."""
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


def test_names_the_files_that_differ(run: Run, folder: Path) -> None:
    given = {"kept": "sk-1", "changed": "sk-2", "loose": "sk-3"}
    assert run(given)["files"] == [str(folder), *(f"{folder}/{name}" for name in sorted(given))]
    (folder / "changed").write_text("by hand")
    (folder / "loose").chmod(0o644)
    (folder / "more").write_text("by hand")
    planned = run(given, prune=True, check=True)
    assert planned["files"] == [f"{folder}/{name}" for name in ("changed", "loose", "more")]
    assert run(given, prune=True)["files"] == planned["files"]
    assert run(given, prune=True)["files"] == []


def test_a_permanent_secret_is_not_replaced_by_another(run: Run, folder: Path) -> None:
    run({"salt_key": "sk-0123456789"}, permanent=["salt_key"])
    assert run({"salt_key": None}, permanent=["salt_key"])["faults"] == []
    again = run({"salt_key": "sk-9876543210", "master_key": None}, permanent=["salt_key"])
    assert again["faults"] == [
        "salt_key: the inventory gives another value than this host has, and the data here is encrypted with "
        "that one; remove the value from the inventory, or give the host's value"
    ]
    assert again["changed"] is False
    assert [path.name for path in folder.iterdir()] == ["salt_key"]
    assert (folder / "salt_key").read_text() == "sk-0123456789\n"


# Rotating


def test_the_one_before_stands_beside_the_new_one_with_its_end_for_roots_eyes_only(
    run: Run, folder: Path, clock: Mock
) -> None:
    before = run({"master_key": None})["values"]["master_key"]
    answer = run({"master_key": None}, rotate=["master_key"], **OVERLAPPING)
    assert answer["changed"] is True
    assert answer["previous"] == {"master_key": [{"value": before, "until": UNTIL}]}
    assert answer["values"]["master_key"] != before
    assert kept(folder) == {
        "master_key": answer["values"]["master_key"],
        "master_key.previous": f"{UNTIL} {before}",
    }
    assert {mode(path) for path in folder.iterdir()} == {0o600}


def test_a_rotated_secret_begins_as_told(run: Run) -> None:
    run({"master_key": None}, prefixes={"master_key": "sk-"})
    values = run({"master_key": None}, prefixes={"master_key": "sk-"}, rotate=["master_key"])["values"]
    assert re.fullmatch(r"sk-[\w-]{43}", values["master_key"])


def test_later_runs_change_nothing_until_the_overlap_is_over(run: Run, folder: Path, clock: Mock) -> None:
    run({"master_key": "sk-before"})
    run({"master_key": "sk-now"}, **OVERLAPPING)
    clock.return_value = UNTIL - 1
    during = run({"master_key": "sk-now"}, **OVERLAPPING)
    clock.return_value = UNTIL
    after = run({"master_key": "sk-now"}, **OVERLAPPING)
    assert [(answer["changed"], bool(answer["previous"])) for answer in (during, after)] == [
        (False, True),
        (True, False),
    ]
    assert kept(folder) == {"master_key": "sk-now"}
    assert run({"master_key": "sk-now"}, **OVERLAPPING)["changed"] is False


def test_an_overlap_of_0_takes_the_one_before_away(run: Run, folder: Path) -> None:
    run({"master_key": "sk-before"})
    assert run({"master_key": "sk-now"}, **OVERLAPPING)["previous"]
    assert run({"master_key": "sk-now"}, overlap=0, **OVERLAPPING)["previous"] == {}
    assert kept(folder) == {"master_key": "sk-now"}


def test_a_secret_that_does_not_overlap_has_none_before(run: Run, folder: Path) -> None:
    run({"postgres_password": None})
    assert run({"postgres_password": None}, rotate=["postgres_password"], **OVERLAPPING)["previous"] == {}
    assert list(kept(folder)) == ["postgres_password"]


def test_a_rotation_that_is_run_again_keeps_both_keys_of_before_until_each_ones_end(
    run: Run, folder: Path, clock: Mock
) -> None:
    run({"master_key": "sk-of-clients"})
    second = run({"master_key": None}, rotate=["master_key"], **OVERLAPPING)["values"]["master_key"]
    clock.return_value = NOW + 60
    run({"master_key": None}, rotate=["master_key"], **OVERLAPPING)
    assert kept(folder)["master_key.previous"] == f"{UNTIL + 60} {second}\n{UNTIL} sk-of-clients"
    answer = run({"master_key": None}, **OVERLAPPING)
    assert answer["changed"] is False
    assert answer["previous"]["master_key"] == [
        {"value": second, "until": UNTIL + 60},
        {"value": "sk-of-clients", "until": UNTIL},
    ]
    clock.return_value = UNTIL
    run({"master_key": None}, **OVERLAPPING)
    assert kept(folder)["master_key.previous"] == f"{UNTIL + 60} {second}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sk-before",
        "soon sk-before",
        "-1 sk-before",
        "\u00b9 sk-before",
        str(UNTIL),
        f"{UNTIL}\nsk-before",
        f"{'9' * 5000} sk-before",
    ],
)
def test_a_file_of_before_that_somebody_changed_lets_nobody_in(run: Run, folder: Path, clock: Mock, text: str) -> None:
    run({"master_key": "sk-now"})
    (folder / "master_key.previous").write_text(text)
    assert run({"master_key": "sk-now"}, **OVERLAPPING)["previous"] == {}
    assert kept(folder) == {"master_key": "sk-now"}


def test_a_line_of_before_that_somebody_changed_takes_no_other_away(run: Run, folder: Path, clock: Mock) -> None:
    run({"master_key": "sk-now"})
    (folder / "master_key.previous").write_text(f"{UNTIL} sk-2\nsoon sk-before\n\n{UNTIL} sk-1\n")
    run({"master_key": "sk-now"}, **OVERLAPPING)
    assert kept(folder)["master_key.previous"] == f"{UNTIL} sk-2\n{UNTIL} sk-1"


def test_a_rotation_that_is_refused_changes_nothing(run: Run, folder: Path) -> None:
    run({"master_key": "sk-before", "salt_key": None})
    run({"master_key": "sk-now", "salt_key": None}, **OVERLAPPING)
    before = kept(folder)
    answer = run({"master_key": None, "salt_key": None}, rotate=["master_key", "none"], overlap=0, **OVERLAPPING)
    assert answer["faults"] == ["none: there is no such secret on this host; it has master_key, salt_key"]
    assert answer["changed"] is False
    assert kept(folder) == before


def test_a_rotation_in_check_mode_writes_nothing(run: Run, folder: Path) -> None:
    run({"master_key": "sk-before"})
    answer = run({"master_key": None}, rotate=["master_key"], check=True, **OVERLAPPING)
    assert (answer["changed"], answer["previous"]["master_key"][0]["value"]) == (True, "sk-before")
    assert kept(folder) == {"master_key": "sk-before"}


# Secrets that the inventory no longer has


def test_prune_takes_away_what_the_task_does_not_name(run: Run, folder: Path) -> None:
    run({"master_key": None, "direct-app": "sk-app", "direct-ci": "sk-ci"})
    (folder / "tmp0123").write_text("sk-of-a-run-that-was-killed")
    run({"master_key": None, "direct-app": "sk-new", "direct-ci": "sk-ci"}, overlapping=["direct-app"])
    assert run({"master_key": None, "direct-ci": "sk-ci"}, prune=True)["changed"] is True
    assert sorted(kept(folder)) == ["direct-ci", "master_key"]
    assert run({"master_key": None, "direct-ci": "sk-ci"}, prune=True)["changed"] is False


def test_prune_leaves_what_goes_on_being_accepted(run: Run, folder: Path) -> None:
    run({"master_key": "sk-before"})
    run({"master_key": "sk-now"}, prune=True, **OVERLAPPING)
    assert sorted(kept(folder)) == ["master_key", "master_key.previous"]


def test_prune_in_check_mode_takes_nothing_away(run: Run, folder: Path) -> None:
    run({"master_key": None, "direct-app": "sk-app"})
    assert run({"master_key": None}, prune=True, check=True)["changed"] is True
    assert sorted(kept(folder)) == ["direct-app", "master_key"]


# Interrupted runs


@pytest.mark.parametrize("files", range(4))
def test_a_rotation_that_is_cut_off_loses_no_key_that_was_accepted(
    files: int, run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """files: how many were written."""
    names = ["master_key", "direct-app"]
    given = dict.fromkeys(names)
    before = run(given)["values"]
    write, written = host_secrets.put, []

    def cut_off(path: str, text: str) -> None:
        if len(written) == files:
            raise OSError(errno.ENOSPC, "No space left on device")
        written.append(path)
        write(path, text)

    with monkeypatch.context() as patch:
        patch.setattr(host_secrets, "put", cut_off)
        told = run(given, rotate=names, overlapping=names)
    assert told["failed"]
    assert told["msg"].startswith(f"{folder}: No space left on device; ")
    assert len(kept(folder)) >= len(names)
    after = run(given, overlapping=names)
    for name in names:
        assert before[name] in (after["values"][name], *(one["value"] for one in after["previous"].get(name, [])))
    assert run(given, overlapping=names)["changed"] is False

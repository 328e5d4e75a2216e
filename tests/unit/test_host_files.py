"""inference.fleet.host_files: folders and files in one call, each whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.modules import host_files
from ansible_collections.inference.fleet.tests.unit.running import Module

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return Module(host_files.main, capsys)


def wanted(folder: Path, text: str = "new\n", **more: Any) -> dict[str, Any]:
    return {
        "folders": [{"path": str(folder / "a"), "mode": "0700"}, {"path": str(folder / "a/b"), "mode": "0755"}],
        "files": [{"path": str(folder / "a/b/file"), "content": text, **more}],
    }


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_makes_all_of_it_and_then_has_nothing_to_do(run: Run, tmp_path: Path) -> None:
    first = run(**wanted(tmp_path))
    assert first["paths"] == [str(tmp_path / name) for name in ("a", "a/b", "a/b/file")]
    assert (tmp_path / "a/b/file").read_text() == "new\n"
    assert [mode(tmp_path / name) for name in ("a", "a/b", "a/b/file")] == [0o700, 0o755, 0o600]
    second = run(**wanted(tmp_path))
    assert (second["changed"], second["paths"], second["diff"]) == (False, [], [])


def test_check_mode_promises_the_same_and_makes_nothing(run: Run, tmp_path: Path) -> None:
    promised = run(check=True, **wanted(tmp_path))
    assert list(tmp_path.iterdir()) == []
    assert run(**wanted(tmp_path))["paths"] == promised["paths"]


@pytest.mark.parametrize("broken", [b"", b"new", b"\xff\xfe", b"new\r\n"])
def test_what_was_truncated_or_filled_with_garbage_is_written_anew(run: Run, tmp_path: Path, broken: bytes) -> None:
    run(**wanted(tmp_path))
    (tmp_path / "a/b/file").write_bytes(broken)
    assert run(**wanted(tmp_path))["paths"] == [str(tmp_path / "a/b/file")]
    assert (tmp_path / "a/b/file").read_text() == "new\n"


def test_what_is_to_be_written_once_is_not_written_again(run: Run, tmp_path: Path) -> None:
    run(**wanted(tmp_path, "since 1\n", once=True))
    assert run(**wanted(tmp_path, "since 2\n", once=True))["changed"] is False
    assert (tmp_path / "a/b/file").read_text() == "since 1\n"
    (tmp_path / "a/b/file").write_text("")
    (tmp_path / "a/b/file").chmod(0o644)
    assert run(**wanted(tmp_path, "since 3\n", once=True))["changed"] is True
    assert ((tmp_path / "a/b/file").read_text(), mode(tmp_path / "a/b/file")) == ("since 3\n", 0o600)


def test_a_mode_that_somebody_changed_is_put_right(run: Run, tmp_path: Path) -> None:
    run(**wanted(tmp_path))
    (tmp_path / "a/b/file").chmod(0o644)
    (tmp_path / "a").chmod(0o755)
    assert run(**wanted(tmp_path))["paths"] == [str(tmp_path / "a"), str(tmp_path / "a/b/file")]
    assert (mode(tmp_path / "a"), mode(tmp_path / "a/b/file")) == (0o700, 0o600)


def test_what_a_run_left_that_was_killed_is_gone(run: Run, tmp_path: Path) -> None:
    run(**wanted(tmp_path))
    (tmp_path / "a/b/file.new").write_text("half")
    run(**wanted(tmp_path, "newer"))
    assert [one.name for one in (tmp_path / "a/b").iterdir()] == ["file"]


def test_what_its_command_refuses_is_not_put_in_place(run: Run, tmp_path: Path) -> None:
    run(**wanted(tmp_path))
    answer = run(**wanted(tmp_path, "bad\n", validate="grep -q new %s"))
    assert answer["failed"]
    assert "not replaced, grep rejects the new file" in answer["msg"]
    assert (tmp_path / "a/b/file").read_text() == "new\n"
    assert [one.name for one in (tmp_path / "a/b").iterdir()] == ["file"]
    assert run(**wanted(tmp_path, "new and good\n", validate="grep -q new %s"))["changed"]


def test_a_full_disk_leaves_the_file_of_before(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(**wanted(tmp_path))

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device", str(tmp_path))

    monkeypatch.setattr(os, "fsync", full)
    answer = run(**wanted(tmp_path, "newer"))
    assert "No space left on device; the previous file is unchanged" in answer["msg"]
    assert (tmp_path / "a/b/file").read_text() == "new\n"
    assert [one.name for one in (tmp_path / "a/b").iterdir()] == ["file"]


def test_a_link_beside_it_is_not_followed(run: Run, tmp_path: Path) -> None:
    run(**wanted(tmp_path))
    (tmp_path / "elsewhere").write_text("theirs")
    (tmp_path / "a/b/file.new").symlink_to(tmp_path / "elsewhere")
    assert run(**wanted(tmp_path, "newer"))["failed"]
    assert (tmp_path / "elsewhere").read_text() == "theirs"


def test_the_difference_is_shown(run: Run, tmp_path: Path) -> None:
    run(**wanted(tmp_path))
    (diff,) = run(**wanted(tmp_path, "newer"))["diff"]
    assert (diff["before"], diff["after"]) == ("new\n", "newer")


def test_what_is_not_expected_in_a_folder_is_told_and_left_alone(run: Run, tmp_path: Path) -> None:
    for name in ("key", "old", "older"):
        (tmp_path / name).touch()
    answer = run(folders=[{"path": str(tmp_path), "expected": ["key", "new"]}])
    assert (answer["changed"], answer["others"]) == (False, [str(tmp_path / "old"), str(tmp_path / "older")])
    assert run(folders=[{"path": str(tmp_path)}])["others"] == []
    assert run(check=True, folders=[{"path": str(tmp_path / "none"), "expected": []}])["others"] == []


# Other owners

ROOT_ALONE = pytest.mark.skipif(os.geteuid() != 0, reason="gives files to another user")


@ROOT_ALONE
def test_a_folder_and_a_file_may_belong_to_others(run: Run, tmp_path: Path) -> None:
    theirs = {
        "folders": [{"path": str(tmp_path / "a"), "mode": "0700", "owner": "nobody", "group": "nogroup"}],
        "files": [{"path": str(tmp_path / "b"), "content": "x", "mode": "0640", "group": "nogroup"}],
    }
    assert run(**theirs)["paths"] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert [((tmp_path / name).owner(), (tmp_path / name).group()) for name in "ab"] == [
        ("nobody", "nogroup"),
        ("root", "nogroup"),
    ]
    assert run(**theirs)["changed"] is False
    os.chown(tmp_path / "a", 0, 0)
    assert run(**theirs)["paths"] == [str(tmp_path / "a")]


def test_an_owner_that_a_task_before_would_create_is_accepted_in_check_mode_alone(run: Run, tmp_path: Path) -> None:
    folders = [{"path": str(tmp_path / "a"), "mode": "0700", "owner": "no-such-user"}]
    assert run(check=True, folders=folders)["paths"] == [str(tmp_path / "a")]
    assert run(folders=folders)["msg"] == f"{tmp_path / 'a'}: the host has no owner no-such-user"

"""Folders that containers can write. What they may hold of the cache of weights: engine/test_planted.py."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system import folder
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.folder import Folder, readable


def names_in(path: Path) -> list[str]:
    return [one.name for one in path.iterdir()]


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Path]:
    """The folder of a container; beside it the host's own. No descriptor stays open."""
    (tmp_path / "ours").mkdir()
    (tmp_path / "host").mkdir()
    (tmp_path / "host/shadow").write_text("secret")
    before = names_in(Path("/proc/self/fd"))
    yield tmp_path / "ours"
    assert len(names_in(Path("/proc/self/fd"))) == len(before)
    assert (tmp_path / "host/shadow").read_text() == "secret"
    assert names_in(tmp_path / "host") == ["shadow"]


def swapping(monkeypatch: pytest.MonkeyPatch, call: str, name: str, swap: Callable[[], object]) -> None:
    """A container that acts just before root's call with this name, after whatever root looked at before."""
    really = getattr(os, call)

    def acting(path: Any, *arguments: Any, **options: Any) -> Any:
        if path == name:
            monkeypatch.setattr(os, call, really)
            swap()
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, call, acting)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "nothing"])
def test_a_file_that_is_replaced_before_it_is_opened_is_not_read(
    kind: str, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ours / "file").write_text("{}")

    def swap() -> None:
        (ours / "file").unlink()
        if kind == "link":
            (ours / "file").symlink_to("../host/shadow")
        elif kind == "pipe":
            os.mkfifo(ours / "file")
        elif kind == "folder":
            (ours / "file").mkdir()

    swapping(monkeypatch, "open", "file", swap)
    with Folder.at(str(ours)) as root:
        assert root.read("file", 100) is None


def test_a_folder_that_is_replaced_before_it_is_opened_is_neither_entered_nor_emptied(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap() -> None:
        (ours / "sub").rmdir()
        (ours / "sub").symlink_to("../host")

    (ours / "sub").mkdir()
    swapping(monkeypatch, "open", "sub", swap)
    with Folder.at(str(ours)) as root, pytest.raises(NotADirectoryError):
        root.remove("sub")
    assert (ours / "sub").is_symlink()


def test_a_subfolder_that_is_replaced_during_a_removal_goes_as_a_link(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def swap() -> None:
        (ours / "top/sub").rename(ours / "elsewhere")
        (ours / "top/sub").symlink_to("../../host")

    (ours / "top/sub/deep").mkdir(parents=True)
    swapping(monkeypatch, "open", "sub", swap)
    with Folder.at(str(ours)) as root:
        root.remove("top")
    assert names_in(ours) == ["elsewhere"]


def test_a_file_that_is_written_goes_through_no_link(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (ours / "file").symlink_to("../host/shadow")
    (ours / ".file.new").symlink_to("../host/shadow")
    with Folder.at(str(ours)) as root:
        root.write("file", "ours")
        assert root.read("file", 100) == b"ours"
        assert stat.S_IMODE((ours / "file").stat().st_mode) == 0o644
        swapping(monkeypatch, "open", ".file.new", lambda: (ours / ".file.new").symlink_to("../host/shadow"))
        with pytest.raises(FileExistsError):
            root.write("file", "again")


def test_a_file_replaces_a_folder_of_its_name(ours: Path) -> None:
    (ours / "file/deep").mkdir(parents=True)
    with Folder.at(str(ours)) as root:
        root.write("file", "ours")
    assert [(one.name, one.read_text()) for one in ours.iterdir()] == [("file", "ours")]


def test_a_folder_that_is_made_replaces_a_link_on_its_path(ours: Path) -> None:
    (ours / "a").symlink_to("../host")
    with Folder.at(str(ours)) as root, root.made("a", "b", "c") as made:
        made.write("file", "ours")
    assert (ours / "a/b/c/file").read_text() == "ours"


def test_a_link_that_appears_where_a_folder_is_made_is_a_fault(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    swapping(monkeypatch, "mkdir", "a", lambda: (ours / "a").symlink_to("../host"))
    with (
        Folder.at(str(ours)) as root,
        pytest.raises(FleetError, match=f"{ours}/a: expected a folder"),
        root.made("a", "b"),
    ):
        pass


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../host", "/etc", "a\0"])
def test_a_name_is_one_entry(name: str, ours: Path) -> None:
    with Folder.at(str(ours)) as root:
        for act in (
            root.size,
            root.target,
            root.remove,
            lambda name: root.write(name, ""),
            lambda name: root.read(name, 1),
        ):
            with pytest.raises(FleetError, match="expected the name of a file or folder, got "):
                act(name)
        with pytest.raises(FleetError), root.below(name):
            pass


def test_a_missing_folder_is_empty(ours: Path) -> None:
    with Folder.at(str(ours / "missing")) as root, root.below("a", "b") as below:
        for one in (root, below):
            assert not one
            assert (one.names(), list(one.files()), one.size("x"), one.read("x", 1), one.target("x")) == (
                *([], [], None, None, None),
            )
            one.remove("x")
            one.clear("x", "y")


def test_a_folder_of_too_many_files_is_a_fault_and_can_be_removed(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "MOST_ENTRIES", 5)
    monkeypatch.setattr(folder, "_REMOVED_AT_ONCE", 3)
    for number in range(10):
        (ours / f"sub/{number}").mkdir(parents=True)
    with Folder.at(str(ours)) as root, root.below("sub") as sub:
        too_many = re.escape(
            f"{ours}/sub: expected at most 5 files (fewer in very long paths), found more; remove this"
        )
        with pytest.raises(FleetError, match=too_many):
            sub.names()
        root.remove("sub")
    assert names_in(ours) == []


def test_files_in_long_paths_count_for_what_their_paths_need_in_memory(
    ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million names of 8 kB each are 8 GB."""
    monkeypatch.setattr(folder, "MOST_ENTRIES", 200)
    deep = ours / "/".join(["d" * 250] * 10)
    for where in (ours / "sub", deep):
        where.mkdir(parents=True)
        for number in range(50):
            (where / str(number)).touch()
    with Folder.at(str(ours)) as root, root.below("sub") as sub:
        assert len([name for _where, one in sub.walk() for name in one.names()]) == 50
    with Folder.at(str(ours)) as root, pytest.raises(FleetError, match="expected at most 200 files"):
        list(root.walk())


def test_a_removal_ends_although_something_writes_there(ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "REMOVAL_SECONDS", -1)
    (ours / "sub/deep").mkdir(parents=True)
    with Folder.at(str(ours)) as root, pytest.raises(FleetError, match=f"{ours}/sub: not empty after -1 s"):
        root.remove("sub")


@pytest.mark.parametrize(
    ("call", "act", "path"),
    [
        ("stat", lambda sub: sub.size("a\nb"), r"/sub/'a\nb'"),
        ("open", lambda sub: sub.read("a\nb", 9), r"/sub/'a\nb'"),
        ("unlink", lambda sub: sub.remove("a\nb"), r"/sub/'a\nb'"),
        ("mkdir", lambda sub: sub.made("new").__enter__(), "/sub/new"),
        ("rename", lambda sub: sub.write("new", ""), "/sub/new"),
        ("scandir", lambda sub: sub.names(), "/sub"),
    ],
)
def test_an_error_of_the_disk_has_the_whole_path(
    call: str, act: Callable[[Folder], object], path: str, ours: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ours / "sub").mkdir()
    (ours / "sub/a\nb").write_text("x")

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with Folder.at(str(ours)) as root, root.below("sub") as sub:
        monkeypatch.setattr(os, call, fail)
        with pytest.raises(OSError, match="Input/output error") as caught:
            act(sub)
        monkeypatch.undo()
    assert caught.value.filename == f"{ours}{path}"


def test_names_in_messages_are_on_one_line() -> None:
    assert [readable(name) for name in ("é", "a\nb", "\udcff", "\x1b[m")] == ["é", r"'a\nb'", r"'\udcff'", r"'\x1b[m'"]

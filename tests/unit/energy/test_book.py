"""A day's file always has complete lines, and a full disk loses no measured row."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy import book as module
from ansible_collections.inference.fleet.plugins.module_utils.energy.book import Book
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import ENERGY, GAP, HEADING, Row

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = 86400
TODAY = "energy-2026-11-24.csv"


def row(start: float, gpu: str = "GPU-1", kind: str = ENERGY, length: float = 300, wh: float = 5.0) -> Row:
    return Row(NOON + start, NOON + start + length, kind, gpu, seconds=length, wh=wh)


class Disk:
    """Accepts this number of bytes, then fails."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, free: int) -> None:
        self.free, self._write = free, os.pwrite
        monkeypatch.setattr(module.os, "pwrite", self.write)

    def write(self, file: int, data: bytes, offset: int) -> int:
        if not self.free:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written = self._write(file, data[: self.free], offset)
        self.free -= written
        return written


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def book(tmp_path: Path, said: list[str]) -> Book:
    return Book(tmp_path, 400, said.append)


def rows_of(folder: Path, name: str = TODAY) -> list[Row]:
    heading, *lines = (folder / name).read_text().splitlines(keepends=True)
    assert heading == HEADING
    assert all(line.endswith("\n") for line in lines)
    return [found for line in lines if (found := Row.parse(line.rstrip("\n")))]


def test_rows_are_appended_to_the_file_of_their_day(tmp_path: Path, book: Book) -> None:
    book.write([row(0), row(DAY)])
    book.write([row(300)])
    assert rows_of(tmp_path) == [row(0), row(300)]
    assert rows_of(tmp_path, "energy-2026-11-25.csv") == [row(DAY)]
    assert (tmp_path / TODAY).stat().st_mode & 0o777 == 0o644


def test_the_ends_are_those_of_the_last_rows_of_each_gpu(tmp_path: Path, book: Book) -> None:
    assert book.ends() == {}
    book.write([row(-2 * DAY, "GPU-gone"), row(0), row(300, kind=GAP), row(0, "GPU-2"), row(DAY)])
    assert book.ends() == {"GPU-1": NOON + DAY + 300, "GPU-2": NOON + 300}


@pytest.mark.parametrize("rest", ["2026-11-24T12:05:00.000Z,2026-11-24T12:10:0", "\0\0\0", "x" * 5000])
def test_what_a_power_cut_left_of_a_line_is_taken_away(tmp_path: Path, book: Book, rest: str) -> None:
    book.write([row(0)])
    with (tmp_path / TODAY).open("a") as file:
        file.write(rest)
    assert book.ends() == {"GPU-1": NOON + 300}
    book.write([row(600)])
    assert rows_of(tmp_path) == [row(0), row(600)]


def test_a_file_that_a_power_cut_left_empty_gets_its_heading(tmp_path: Path, book: Book) -> None:
    (tmp_path / TODAY).write_text(HEADING[:7])
    book.write([row(0)])
    assert rows_of(tmp_path) == [row(0)]


@pytest.mark.parametrize("free", [0, 1, 60, 120])
def test_a_full_disk_leaves_the_file_whole_and_is_made_up_for(
    tmp_path: Path, book: Book, said: list[str], monkeypatch: pytest.MonkeyPatch, free: int
) -> None:
    book.write([row(0)])
    disk = Disk(monkeypatch, free)
    for number in (1, 2, 3):
        book.write([row(300 * number), row(300 * number, "GPU-2")])
    assert rows_of(tmp_path) == [row(0)]
    assert said == [f"{tmp_path}: No space left on device; rows are kept in memory until there is space"]
    disk.free = 10**6
    book.write([row(1200)])
    assert len(rows_of(tmp_path)) == 8
    assert sum(one.wh for one in rows_of(tmp_path)) == 40
    assert said[1:] == [f"{tmp_path}: can be written again; no rows are lost"]


def test_a_disk_that_stays_full_costs_a_bounded_amount_of_memory_and_no_energy(
    tmp_path: Path, book: Book, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_ROWS", 100)
    disk = Disk(monkeypatch, 0)
    for number in range(10 * 288):
        book.write([row(300 * number, "GPU-1"), row(300 * number, "GPU-2")])
        assert len(book._waiting) <= module.MOST_ROWS
    disk.free = 10**9
    book.write([])
    files = sorted(path.name for path in tmp_path.iterdir())
    assert len(files) == 11
    assert sum(one.wh for name in files for one in rows_of(tmp_path, name)) == pytest.approx(10 * 288 * 2 * 5)


def test_more_than_can_be_kept_is_said(book: Book, said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    Disk(monkeypatch, 0)
    book.write(row(0, f"GPU-{number}") for number in range(module.MOST_ROWS + 5))
    assert said[1].endswith("no space for a long time; the oldest 5 of the rows in memory are lost")


def test_a_folder_that_cannot_be_written_is_a_full_disk(said: list[str]) -> None:
    Book(Path("/proc/none"), 400, said.append).write([row(0)])
    assert said == ["/proc/none: No such file or directory; rows are kept in memory until there is space"]


def test_the_oldest_files_go_when_a_new_day_begins(tmp_path: Path, said: list[str]) -> None:
    book = Book(tmp_path, 3, said.append)
    (tmp_path / "notes.txt").write_text("mine")
    for day in range(6):
        book.write([row(day * DAY)])
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *(f"energy-2026-11-{day}.csv" for day in (27, 28, 29)),
        "notes.txt",
    ]


def test_a_clock_years_ahead_for_a_moment_costs_no_data(tmp_path: Path, book: Book) -> None:
    book.write([row(0), row(73 * 365 * DAY)])
    assert rows_of(tmp_path) == [row(0)]


def test_a_day_that_cannot_be_read_is_reported_and_keeps_nothing_from_being_counted(
    tmp_path: Path, book: Book, said: list[str]
) -> None:
    (tmp_path / TODAY).mkdir()
    assert book.ends() == {}
    assert said == [f"{tmp_path / TODAY}: Is a directory; no gap is recorded for the time before this start"]


def test_what_cannot_be_written_at_the_end_is_reported(
    book: Book, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Disk(monkeypatch, 0)
    book.close([row(0), row(300)])
    assert said[-1].endswith("2 rows could not be written and are lost")

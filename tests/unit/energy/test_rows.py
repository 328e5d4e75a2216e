"""Rows of energy as lines of a file, and files by their days."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import (
    ENERGY,
    GAP,
    HEADING,
    Row,
    file_of,
    merged,
    outdated,
    whole_lines,
)
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
DAY = 86400

amounts = st.integers(0, 10**9).map(lambda number: number / 1000)
rows = st.builds(
    Row,
    start=st.integers(0, 2**40).map(lambda number: number / 1000),
    end=st.integers(0, 2**40).map(lambda number: number / 1000),
    kind=st.sampled_from([ENERGY, GAP]),
    gpu=st.just("GPU-1"),
    device=st.sampled_from(["", "3g.20gb"]),
    model=st.sampled_from(["", "chat-1"]),
    container=st.sampled_from(["", "vllm-chat-1-1"]),
    session=st.just("2026-11-24T03:12:40Z 0123456789ab"),
    seconds=amounts,
    wh=amounts,
    note=st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20),
)


@given(rows)
def test_what_is_written_is_read_again(row: Row) -> None:
    assert Row.parse(row.line().rstrip("\n")) == row


@given(rows, st.data())
def test_a_line_that_was_cut_off_is_no_row_of_another_number(row: Row, data: st.DataObject) -> None:
    """Except a line truncated in its last cell, which is text; the writer of the file removes such lines."""
    line = row.line()
    assert Row.parse(line[: data.draw(st.integers(0, line.rindex(f",{row.wh:.6f},") + 9))][:-1]) is None


@pytest.mark.parametrize("line", [HEADING.strip(), "", "\x00\x00", "a,b", HEADING.replace("kind", "energy").strip()])
def test_what_is_no_row_is_passed_by(line: str) -> None:
    assert Row.parse(line) is None


def test_a_note_of_any_text_is_one_line() -> None:
    row = Row(NOON, NOON, GAP, note="NVRM:\nXid, \x1b[1m\ufffd")
    assert row.line().count("\n") == 1
    assert Row.parse(row.line().strip("\n")) == Row(NOON, NOON, GAP, note="NVRM: Xid,  [1m ")


def test_a_gap_of_days_is_reported_in_the_file_of_each() -> None:
    parts = list(Row(NOON, NOON + 2 * DAY, GAP, "GPU-1", seconds=2 * DAY).by_day())
    assert [part.file for part in parts] == [f"energy-2026-11-{day}.csv" for day in (24, 25, 26)]
    assert [part.seconds for part in parts] == [DAY / 2, DAY, DAY / 2]
    assert [part.end for part in parts[:-1]] == [part.start for part in parts[1:]]


def test_a_gap_up_to_midnight_is_of_one_day() -> None:
    midnight = NOON + DAY / 2
    assert list(Row(NOON, midnight, GAP).by_day()) == [Row(NOON, midnight, GAP)]


def test_files_are_counted_so_that_a_clock_ahead_costs_one() -> None:
    names = [file_of(NOON + day * DAY) for day in range(5)] + ["energy-2099-01-01.csv", "notes.txt"]
    assert outdated(names, 5) == ["energy-2026-11-24.csv"]
    assert outdated(names, 400) == []


def test_what_comes_after_the_last_whole_line_was_cut_off() -> None:
    assert [whole_lines(data) for data in (b"", b"abc", b"a\nbc", b"a\nb\n")] == [0, 0, 2, 4]


@given(st.lists(rows, max_size=8))
def test_merged_rows_have_the_same_energy(several: list[Row]) -> None:
    few = merged(several)
    assert len(few) <= len(several)
    assert sum(row.wh for row in few) == pytest.approx(sum(row.wh for row in several))
    assert {row.file for row in few} == {row.file for row in several}

"""Tables and blocks of text for a terminal."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.module_utils.report.table import check_lines, headed, table
from hypothesis import given
from hypothesis import strategies as st

CELLS = st.text("ab é", min_size=1, max_size=9).map(lambda text: f"x{text}x")


@given(st.integers(1, 4).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), min_size=1, max_size=6)))
def test_every_column_begins_at_the_same_place_in_every_row(rows: list[tuple[str, ...]]) -> None:
    lines = table(rows)
    start = 0
    for column in range(len(rows[0])):
        cells = [row[column] for row in rows]
        assert [line[start : start + len(cell)] for line, cell in zip(lines, cells, strict=True)] == cells
        start += max(map(len, cells)) + 2


def test_no_line_ends_in_blanks() -> None:
    assert table([("A", "B"), ("a", "")]) == ["A  B", "a"]


def test_a_head_without_rows_is_a_line() -> None:
    assert table([("A", "B")]) == ["A  B"]


def test_a_check_is_a_line_with_what_to_do_after_what_was_found() -> None:
    checks = [
        {"name": "port 443", "state": "fault", "found": "taken by nginx", "remedy": "stop that"},
        {"name": "disk", "state": "ok", "found": "5.0 GB free", "remedy": ""},
        {"name": "disk", "state": "", "found": "a note", "remedy": ""},
    ]
    assert check_lines(checks) == [
        "FAULT    port 443  taken by nginx; stop that",
        "ok       disk      5.0 GB free",
        "         disk      a note",
    ]


def test_one_line_stands_beside_its_head_and_several_below() -> None:
    assert headed("gpu1", ["all is well"]) == "gpu1: all is well"
    assert headed("gpu1", ["one", "two"]) == "gpu1\n  one\n  two"


def test_a_line_with_breaks_in_it_is_several() -> None:
    assert headed("gpu1", ["one\ntwo", "", "  three"]) == "gpu1\n  one\n  two\n\n    three"


def test_a_head_without_lines_stands_alone() -> None:
    assert headed("gpu1", []) == "gpu1"

"""Logs of containers: one order, each line once, and nothing that controls a terminal."""

from __future__ import annotations

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.report.logs import merged, seconds_of, since_seconds
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

NOW = 1_795_490_400.5  # 2026-11-24T03:20:00Z


def at(second: int, text: str) -> str:
    """A line as Docker's API gives it with timestamps."""
    return f"2026-11-24T02:40:{second:02}.000000001Z {text}"


@pytest.mark.parametrize(
    ("text", "ago"),
    [
        ("90s", 90),
        ("10m", 600),
        ("2h", 7200),
        ("3d", 3 * 86400),
        ("2026-11-24T02:20:00Z", 3600),
        ("2026-11-24 02:20", 3600),
        ("2026-11-24T03:20:00+01:00", 3600),
    ],
)
def test_since_is_a_span_or_a_time(text: str, ago: int) -> None:
    assert int(NOW) - since_seconds(text, NOW) == ago


@pytest.mark.parametrize("text", ["", "yesterday", "10", "10 m", "-10m", "1w", "2026-13-01"])
def test_another_since_is_a_fault(text: str) -> None:
    with pytest.raises(FleetError, match=r"^since: expected 90s, 10m, 2h, 3d or a time such as"):
        since_seconds(text, NOW)


def test_lines_of_several_containers_are_in_the_order_of_their_time() -> None:
    logs = {"a": [at(1, "one"), at(5, "three"), ""], "b": [at(3, "two")], "c": []}
    lines, after = merged(logs, {})
    assert lines == [["a", "one"], ["b", "two"], ["a", "three"]]
    assert after == {"a": "2026-11-24T02:40:05.000000001", "b": "2026-11-24T02:40:03.000000001"}


def test_a_line_is_returned_once_however_often_the_log_is_read() -> None:
    _lines, after = merged({"a": [at(1, "one")], "b": [at(9, "nine")]}, {})
    lines, later = merged({"a": [at(1, "one"), at(2, "two")], "b": [at(9, "nine")]}, after)
    assert lines == [["a", "two"]]
    assert merged({"a": [at(1, "one"), at(2, "two")], "b": []}, later) == ([], later)


def test_only_lines_with_the_pattern_are_returned_and_the_others_count_as_read() -> None:
    lines, after = merged({"a": [at(1, "INFO"), at(2, "ERROR: no"), at(3, "INFO")]}, {}, "ERROR|WARN")
    assert lines == [["a", "ERROR: no"]]
    assert seconds_of(after["a"]) == 1_795_488_003


def test_a_pattern_that_is_none_is_a_fault() -> None:
    with pytest.raises(FleetError, match=r"^grep: expected a regular expression, got '\('"):
        merged({}, {}, "(")


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("a\x1b]0;title\x07b", "a?]0;title?b"),
        ("tab\tstays", "tab\tstays"),
        ("10%|#\r20%|##\r", "20%|##"),
        ("Grüße 你好", "Grüße 你好"),
    ],
)
def test_a_line_does_not_control_the_terminal(text: str, printed: str) -> None:
    assert merged({"a": [at(1, text)]}, {})[0] == [["a", printed]]

"""What a container, a driver or Prometheus names is cut and cannot control a terminal."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import (
    LONGEST,
    MOST,
    as_list,
    as_mapping,
    bounded,
    number,
    text,
)
from hypothesis import given
from hypothesis import strategies as st

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("vllm-chat-1", "vllm-chat-1"),
        ("a\x1b[2Jb", "a?[2Jb"),
        ("a\nb\tc\r", "a?b?c?"),
        ("\u202ename", "?name"),
        ("<b>&", "<b>&"),
        ("", ""),
        (None, ""),
        (7, ""),
        (["a"], ""),
    ],
)
def test_a_text_has_no_character_that_controls_a_terminal(value: object, shown: str) -> None:
    assert text(value) == shown


def test_a_megabyte_is_cut() -> None:
    assert len(text("x" * 1_000_000)) == LONGEST
    assert text("x" * 1_000_000, 10) == "xxxxxxxxx…"


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("1.5", 1.5),
        (3, 3.0),
        ("[N/A]", None),
        ("NaN", None),
        ("+Inf", None),
        (None, None),
        ([], None),
        ("9" * 400, None),
    ],
)
def test_a_number_is_one_that_json_has(value: object, found: float | None) -> None:
    assert number(value) == found


def test_lists_and_levels_are_bounded() -> None:
    deep: Any = "x"
    for _level in range(100):
        deep = [deep]
    assert len(bounded([1] * 10_000)) == MOST
    assert len(bounded({str(number): 1 for number in range(10_000)})) == MOST
    assert json.dumps(bounded(deep)) == "[[[[[[[[null]]]]]]]]"
    assert len(bounded({"a" * 1_000_000: "b" * 1_000_000})["a" * 199 + "…"]) == 2000


@given(JSON)
def test_bounded_data_is_json(value: Any) -> None:
    json.dumps(bounded(value), allow_nan=False)


def test_other_types_count_as_empty() -> None:
    assert as_mapping([1]) == as_mapping(None) == {}
    assert as_list({"a": 1}) == as_list("abc") == []

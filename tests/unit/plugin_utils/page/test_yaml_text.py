"""Edits of inventories: the lines of one value change, and nothing else."""

from __future__ import annotations

from functools import reduce
from operator import getitem
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import (
    edited,
    lines_of,
    read,
    removed,
    shown,
)
from hypothesis import assume, given
from hypothesis import strategies as st

INVENTORY = """\
---
# The fleet of the third floor
fleet_models: # all of them
  - name: a   # first
    type: chat
    args: {max-model-len: 512}
    # above env
    env:
      X: "{{ lookup('env', 'X') }}"  # from the admin

  - name: b
    type:    'chat'
fleet_hf_token: !vault |
  $ANSIBLE_VAULT;1.1;AES256
  3432
fleet_https:
fleet_direct_keys:
- {name: app}
- name: ci
"""


def difference(text: str, new: str) -> tuple[list[str], list[str]]:
    """The lines that are gone, and those that are new: what lies between the common beginning and the common end."""
    before, after = text.splitlines(), new.splitlines()
    start = 0
    while start < min(len(before), len(after)) and before[start] == after[start]:
        start += 1
    end = 0
    while end < min(len(before), len(after)) - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return before[start : len(before) - end], after[start : len(after) - end]


JINJA = "      X: \"{{ lookup('env', 'X') }}\"  # from the admin"
VAULT = ["fleet_hf_token: !vault |", "  $ANSIBLE_VAULT;1.1;AES256", "  3432"]
MODEL = {"name": "c", "devices": {"gpus": 1}}


@pytest.mark.parametrize(
    ("path", "value", "gone", "new"),
    [
        (("fleet_models", 0, "type"), "vision", ["    type: chat"], ["    type: vision"]),
        (("fleet_models", 1, "type"), "it's", ["    type:    'chat'"], ["    type:    'it''s'"]),
        (("fleet_models", 0, "name"), "c", ["  - name: a   # first"], ["  - name: c   # first"]),
        (
            ("fleet_models", 0, "args"),
            {"max-model-len": 512, "enforce-eager": True},
            ["    args: {max-model-len: 512}"],
            ["    args: {max-model-len: 512, enforce-eager: true}"],
        ),
        (
            ("fleet_models", 0, "args", "max-model-len"),
            1024,
            ["    args: {max-model-len: 512}"],
            ["    args: {max-model-len: 1024}"],
        ),
        (("fleet_models", 0, "replicas"), 2, [], ["    replicas: 2"]),
        (("fleet_models", 0, "env", "Y"), "a\nb\n", [], ["      Y: |", "        a", "        b"]),
        (("fleet_models", 0, "env"), {}, ["    env:", JINJA], ["    env: {}  # from the admin"]),
        (("fleet_models", 2), MODEL, [], ["  - name: c", "    devices:", "      gpus: 1"]),
        (("fleet_https", "mode"), "acme", ["fleet_https:"], ["fleet_https:", "  mode: acme"]),
        (("fleet_https",), None, [], []),
        (("fleet_direct_keys", 0), {"name": "app", "key": "k"}, ["- {name: app}"], ["- {name: app, key: k}"]),
        (("fleet_direct_keys", 2), {"name": "new"}, [], ["- name: new"]),
        (("fleet_litellm", "workers"), 4, [], ["fleet_litellm:", "  workers: 4"]),
        (("fleet_hf_token",), "no", VAULT, ["fleet_hf_token: 'no'"]),
    ],
    ids=lambda value: shown(value) if isinstance(value, tuple) else None,
)
def test_changes_the_lines_of_a_value(path: Any, value: Any, gone: list[str], new: list[str]) -> None:
    text = edited(INVENTORY, path, value)
    found_gone, found_new = difference(INVENTORY, text)
    common = [line for line in gone if line in new]
    assert [line for line in found_gone if line not in common] == [line for line in gone if line not in common]
    assert [line for line in found_new if line not in common] == [line for line in new if line not in common]
    at: Any = read(text)
    for part in path:
        at = at[part]
    assert at == value


@pytest.mark.parametrize(
    ("path", "gone", "new"),
    [
        (("fleet_models", 1), ["  - name: b", "    type:    'chat'"], []),
        (("fleet_models", 0, "args"), ["    args: {max-model-len: 512}"], []),
        (("fleet_models", 0, "args", "max-model-len"), ["    args: {max-model-len: 512}"], ["    args: {}"]),
        (("fleet_models", 0, "name"), ["  - name: a   # first", "    type: chat"], ["  - type: chat"]),
        (("fleet_hf_token",), VAULT, []),
        (("fleet_https",), ["fleet_https:"], []),
        (("fleet_direct_keys", 0), ["- {name: app}"], []),
        (("fleet_direct_keys", 1), ["- name: ci"], []),
    ],
    ids=lambda value: shown(value) if isinstance(value, tuple) else None,
)
def test_removes_the_lines_of_an_entry(path: Any, gone: list[str], new: list[str]) -> None:
    assert difference(INVENTORY, removed(INVENTORY, path)) == (gone, new)


def test_the_last_entry_leaves_an_empty_list() -> None:
    assert removed("a: # all\n  - one\n", ("a", 0)) == "a: [] # all\n"
    assert removed("a:\n- - 1\n  - 2\n", ("a", 0, 0)) == "a:\n- - 2\n"
    assert removed("a:\n  b: 1 # why\nc: 2\n", ("a", "b")) == "a: {} # why\nc: 2\n"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("---\n# Of all hosts\na: 1 # why\n# the end\n", "---\n# Of all hosts\n# the end\n"),
        ("a:\n  b:\n    - 1\n", ""),
        ("{a: 1}\n", "{}\n"),
    ],
)
def test_of_a_file_that_becomes_empty_the_comments_stay(text: str, left: str) -> None:
    assert removed(text, ("a",)) == left
    assert edited(left, ("c",), 2).endswith("c: 2\n")


def test_the_index_of_a_gpu_is_a_key_of_its_layout() -> None:
    flow = 'fleet_mig: {0: [3g.20gb], 1: "off"} # of the first\n'
    assert edited(flow, ("fleet_mig",), {0: ["7g.40gb"], 1: "off"}) == flow.replace("3g.20gb", "7g.40gb")
    block = "fleet_mig:\n  0: [3g.20gb] # the first\n  1: 'off'\n"
    assert edited(block, ("fleet_mig", 1), ["7g.40gb"]) == block.replace("'off'", "[7g.40gb]")
    assert edited(block, ("fleet_mig",), {0: ["3g.20gb"], 2: "off"}) == block.replace("1:", "2:")
    assert removed(block, ("fleet_mig", 0)) == "fleet_mig:\n  1: 'off'\n"
    with pytest.raises(FleetError, match=r"fleet_mig\[0\]: expected"):
        edited("fleet_mig: auto\n", ("fleet_mig", 0), "off")


@pytest.mark.parametrize("text", ["", "---\n", "# nothing yet\n"])
def test_a_file_without_values_gets_its_first(text: str) -> None:
    assert read(edited(text, ("fleet_models",), [{"name": "a"}])) == {"fleet_models": [{"name": "a"}]}
    assert edited(text, ("fleet_schema",), 2).startswith(text)


def test_what_is_a_word_of_yaml_stays_a_text() -> None:
    for word in ("on", "no", "012", "1:30", "1e3", "~", "null", "", " ", "a: b", "# x", "2026-11-29", "!x", "{{ a }}"):
        assert read(edited(INVENTORY, ("fleet_models", 0, "env", "X"), word))["fleet_models"][0]["env"] == {"X": word}


@pytest.mark.parametrize(
    ("text", "path", "words"),
    [
        ("a: &x {b: 1}\nc: *x\n", ("c", "b"), "c: is an alias of line 1"),
        ("a: &x {b: 1}\nc: *x\n", ("a", "b"), "would change other values too"),
        ("a: &x {b: 1}\nc:\n  <<: *x\n", ("c", "b"), r"c\.b: is not written here; it may come from a merge key"),
        ("a: 1\n", ("a", "b"), "a: expected a mapping or a list, found a single value"),
    ],
)
def test_what_text_cannot_express_is_refused(text: str, path: Any, words: str) -> None:
    with pytest.raises(FleetError, match=words):
        edited(text, path, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [1\n", "line 2, column 1: expected YAML, got: expected ',' or ']'"),
        ("a: 1\n\tb: 2\n", "line 2"),
        ("a: \x00", "expected YAML, got: "),
        ("a: 1\n---\nb: 1\n", "expected YAML, got: "),
        ("a: 2026-45-45\n", "expected YAML, got: month must be in 1..12"),
        ("a: *x\n", "line 1, column 4: expected YAML, got: found undefined alias 'x'"),
        ("? [a]\n: 1\n", "line 1"),
        ("[" * 5000, "expected YAML, got: "),
    ],
)
def test_a_broken_file_is_reported_with_its_line(text: str, words: str) -> None:
    with pytest.raises(FleetError) as error:
        read(text)
    assert words in str(error.value)


# Any inventory

KEYS = st.text("abcxyz_-", min_size=1, max_size=6).filter(lambda key: yaml.safe_load(key) == key and key[0] not in "-")
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-5, 10**6), st.text("ab \n:#'\"{}[]&*!|>%@`,-?äé", max_size=12)
)  # fmt: skip
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(0, 3), inner, max_size=3),
    max_leaves=8,
)
DATA = st.dictionaries(KEYS, VALUES, min_size=1, max_size=4)
COMMENTS = st.sampled_from(["", "# a comment", "", "   # an indented one"])


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, Any]:
    """A text with comments and blank lines between its entries, and its data."""
    data = draw(DATA)
    lines = ["---"] if draw(st.booleans()) else []
    for key, value in data.items():
        options = {"default_flow_style": draw(st.sampled_from([True, False, None])), "sort_keys": False}
        if draw(st.booleans()):
            options["default_style"] = None
        lines += [draw(COMMENTS), *yaml.safe_dump({key: value}, allow_unicode=True, **options).rstrip("\n").split("\n")]
        if isinstance(value, (bool, int)) and draw(st.booleans()) and not lines[-1].endswith("}"):
            lines[-1] += "  # behind"
    text = "\n".join(lines) + draw(st.sampled_from(["\n", "", "\n\n# the end\n"]))
    # A dumped mapping in braces is a document of its own.
    try:
        assume(yaml.safe_load(text) == data)
    except yaml.YAMLError:
        assume(False)
    return text, data


def paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [one for key, value in items for one in ((*path, key), *paths(value, (*path, key)))]


@given(documents(), st.data())
def test_an_edit_of_one_key_changes_the_lines_of_that_key_only(
    document: tuple[str, Any], given_: st.DataObject
) -> None:
    text, data = document
    path = given_.draw(st.sampled_from(paths(data)))
    value = given_.draw(VALUES)
    own = lines_of(text, path)
    new = edited(text, path, value)
    before, after = text.split("\n"), new.split("\n")
    assert after[: own.start] == before[: own.start]
    rest = before[own.stop :]
    assert not rest or after[-len(rest) :] == rest
    again = edited(new, path, value)
    assert again == new, "the same value a second time changes nothing"


@given(documents(), st.data())
def test_a_removed_entry_takes_its_own_lines_only(document: tuple[str, Any], given_: st.DataObject) -> None:
    text, data = document
    path = given_.draw(st.sampled_from(paths(data)))
    own = lines_of(text, path)
    new = removed(text, path)
    before, after = text.split("\n"), new.split("\n")
    # The last entry leaves {} or [], on the line of the key above.
    start = max(own.start - 1, 0)
    assert after[:start] == before[:start]
    # The first part of an entry of a list shares its line with the dash: there the next part moves up.
    shared = len(path) > 1 and isinstance(reduce(getitem, path[:-2], data), list)
    rest = before[own.stop + shared :]
    assert not rest or after[-len(rest) :] == rest

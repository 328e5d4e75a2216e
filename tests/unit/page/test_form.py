"""A form for an entry of the inventory: what was not touched stays, and no secret is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import Field, field_faults, fields_of
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import Tagged
from fleet_page.edits import HIDDEN
from fleet_page.hidden import masked, unmasked
from fleet_page.inventory import options
from fleet_page.page import variables
from fleet_page.tabs.form import Form
from hypothesis import given
from hypothesis import strategies as st

OPTIONS: dict[str, Any] = {
    "name": {"type": "str", "required": True, "description": "The name."},
    "type": {"type": "str", "choices": ["chat", "stt"]},
    "replicas": {"type": "int", "default": 1},
    "share": {"type": "float"},
    "direct": {"type": "bool", "default": False},
    "trust": {"type": "bool"},
    "args": {"type": "dict", "default": {}},
    "env": {"type": "dict"},
    "models": {"type": "list", "elements": "str"},
    "recipe": {"type": "raw"},
    "key": {"type": "str"},
    "home": {"type": "path"},
}


def form(options: Mapping[str, Any] = OPTIONS) -> Form:
    with gr.Blocks():
        return Form(fields_of(options), [next(iter(options))], "x")


MADE = form()


def values(of: Form, entry: Mapping[str, Any], **entered: Any) -> list[Any]:
    """What the browser sends back: what was loaded, but for what a person entered."""
    loaded = [update["value"] for update in of.load(entry)[: len(of.fields)]]
    sent = []
    for field, component, value in zip(of.fields, of.inputs, loaded, strict=True):
        # As Gradio takes it to the browser and back.
        there = component.preprocess(component.postprocess(value))
        sent.append(entered.get(field.name, there))
    return sent


def read(entry: Mapping[str, Any], of: Form = MADE, **entered: Any) -> dict[str, Any]:
    return of.read(values(of, entry, **entered), entry)


ENTRIES: list[dict[str, Any]] = [
    {"name": "a"},
    {"name": "a", "type": "chat", "replicas": 1, "direct": False, "trust": False, "args": {}},
    {"name": "a", "type": "stt", "replicas": 3, "share": 0.5, "direct": True, "trust": True},
    {
        "name": "{{ n }}",
        "type": "{{ t }}",
        "replicas": "{{ r }}",
        "direct": "{{ d }}",
        "trust": "{{ d }}",
        "args": "{{ a }}",
    },
    {"name": 5, "type": 7, "share": 1, "home": 5, "models": "a", "recipe": 3},
    {"name": "a", "args": {"x": [1, {"y": None}], "date": "2026-11-29"}, "models": ["a", "b"], "recipe": ["x"]},
    {"name": "a", "direct": "yes", "trust": "no", "replicas": "2"},
    {"name": " a ", "key": "", "unknown": {"b": 1}},
    {"name": "a", "env": {"HF_TOKEN": "hf_abc", "A": "b"}, "key": "sk-abc", "args": {"api-key": "x"}},
    {"name": "a", "env": Tagged("!vault", "abc"), "key": Tagged("!vault", "abc"), "args": {"x": Tagged("!vault", "y")}},
    {"name": "a\nb", "env": {"X": "a\nb\n"}},
    {"name": None, "env": None, "replicas": None},
]


@pytest.mark.parametrize("entry", ENTRIES)
def test_what_was_not_touched_stays(entry: dict[str, Any]) -> None:
    found = read(entry)
    assert found == {name: value for name, value in entry.items() if value is not None}
    assert [type(found[name]) for name in found] == [type(entry[name]) for name in found]


@pytest.mark.parametrize("entry", ENTRIES)
def test_one_change_changes_one_key(entry: dict[str, Any]) -> None:
    found = read(entry, home="/srv/x")
    assert found == {**{name: value for name, value in entry.items() if value is not None}, "home": "/srv/x"}


@pytest.mark.parametrize(
    ("entered", "expected"),
    [
        ({"name": " b "}, {"name": "b"}),
        ({"replicas": "4"}, {"name": "a", "replicas": 4}),
        ({"replicas": " 4.0 "}, {"name": "a", "replicas": 4}),
        ({"replicas": "1e3"}, {"name": "a", "replicas": 1000}),
        ({"replicas": "1"}, {"name": "a"}),
        ({"replicas": "12345678901234567890"}, {"name": "a", "replicas": 12345678901234567890}),
        ({"share": "0.25"}, {"name": "a", "share": 0.25}),
        ({"direct": True}, {"name": "a", "direct": True}),
        ({"trust": "no"}, {"name": "a", "trust": False}),
        ({"trust": ""}, {"name": "a"}),
        ({"type": "{{ t }}"}, {"name": "a", "type": "{{ t }}"}),
        ({"args": "{a: 1}"}, {"name": "a", "args": {"a": 1}}),
        ({"models": "- x\n- y\n"}, {"name": "a", "models": ["x", "y"]}),
        ({"models": "  "}, {"name": "a"}),
    ],
)
def test_what_is_entered_is_of_the_type_of_its_field(entered: dict[str, Any], expected: dict[str, Any]) -> None:
    assert read({"name": "a"}, **entered) == expected


def test_an_emptied_field_is_gone() -> None:
    entry = {"name": "a", "replicas": 2, "type": "chat", "trust": True, "args": {"a": 1}, "home": "/x"}
    assert read(entry, replicas="", type=None, trust="", args="", home="") == {"name": "a"}


@pytest.mark.parametrize(
    ("entered", "name"),
    [
        ({"replicas": "two"}, "replicas"),
        ({"replicas": "{{ r }}"}, "replicas"),
        ({"replicas": "inf"}, "replicas"),
        ({"share": "nan"}, "share"),
        ({"args": "{"}, "args"),
        ({"args": "a: b: c"}, "args"),
        ({"env": "!!python/object/apply:os.system [id]"}, "env"),
        ({"key": f"x{HIDDEN}"}, "key"),
        ({"env": f"A: {HIDDEN}"}, "env.A"),
        ({"models": f"- {HIDDEN}"}, "models[0]"),
    ],
)
def test_a_fault_stands_beside_its_field(entered: dict[str, Any], name: str) -> None:
    with pytest.raises(FleetError) as caught:
        read({"name": "a"}, **entered)
    (fault,) = caught.value.faults
    assert fault.startswith(f"{name}: ")
    marks = dict(zip([field.name for field in MADE.fields], MADE.marks(field_faults([fault])), strict=False))
    assert [field for field, mark in marks.items() if mark["visible"]] == [next(iter(entered))]


def test_a_fault_of_no_field_stands_below_the_form() -> None:
    *fields, rest = MADE.marks(field_faults(["nonsense: is no key", "something else"]))
    assert not any(mark["visible"] for mark in fields) and rest["visible"]
    assert "is no key" in rest["value"] and "something else" in rest["value"]


def test_no_secret_is_in_the_form() -> None:
    entry = ENTRIES[8]
    words = yaml.safe_dump(values(MADE, entry))
    assert not [secret for secret in ("hf_abc", "sk-abc") if secret in words]


def test_another_secret_beside_an_untouched_one() -> None:
    entry = {"name": "a", "env": {"HF_TOKEN": "hf_abc", "API_KEY": "k", "A": "b"}}
    entered = {"env": f"A: c\nAPI_KEY: new\nHF_TOKEN: '{HIDDEN}'\n"}
    assert read(entry, **entered)["env"] == {"A": "c", "API_KEY": "new", "HF_TOKEN": "hf_abc"}


SECRET = [{"name": "x", "key": "kx"}, {"name": "y", "key": "ky"}, {"name": "z", "key": "kz", "n": 1}]


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        ([0, 1, 2], SECRET),
        ([1, 2], SECRET[1:]),
        ([2], SECRET[2:]),
        ([2, 0], [SECRET[2], SECRET[0]]),
        ([], []),
    ],
)
def test_a_secret_goes_with_its_entry(given_: list[int], expected: list[Any]) -> None:
    shown = masked(SECRET, "fleet_x")
    assert unmasked([shown[index] for index in given_], SECRET, "fleet_x") == expected


def test_a_secret_goes_with_an_entry_that_changes() -> None:
    shown = masked(SECRET, "fleet_x")
    assert unmasked([{**shown[2], "n": 2}, shown[0]], SECRET, "fleet_x") == [{**SECRET[2], "n": 2}, SECRET[0]]
    renamed = [shown[0], {**shown[1], "name": "new"}, shown[2]]
    assert unmasked(renamed, SECRET, "fleet_x") == [SECRET[0], {**SECRET[1], "name": "new"}, SECRET[2]]


def test_a_secret_that_belongs_nowhere_is_a_fault() -> None:
    with pytest.raises(FleetError, match=r"fleet_x\[3\]\.key: .* enter the whole value"):
        unmasked([*masked(SECRET, "fleet_x"), {"name": "w", "key": HIDDEN}], SECRET, "fleet_x")
    with pytest.raises(FleetError):
        unmasked([HIDDEN], ["one", "other"], "api_key")
    assert unmasked([HIDDEN, HIDDEN], ["one", "other"], "api_key") == ["one", "other"]
    assert unmasked([HIDDEN], ["one", "one"], "api_key") == ["one"]


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("fleet_secrets", {"salt": "abc", "pin": 1234, "on": True}, {"salt": HIDDEN, "pin": HIDDEN, "on": True}),
        ("fleet_secrets", {"master_key": "{{ lookup('env', 'K') }}"}, {"master_key": "{{ lookup('env', 'K') }}"}),
        ("fleet_secrets", {"list": [{"deep": "abc"}]}, {"list": [{"deep": HIDDEN}]}),
        ("fleet_proxy", {"url": "http://me:pw@proxy:3128", "no_proxy": ["a"]}, {"url": HIDDEN, "no_proxy": ["a"]}),
        (
            "env",
            {"HF_TOKEN": "pa{{ss", "MAX_TOKENS": "5", "X_KEY": ""},
            {"HF_TOKEN": HIDDEN, "MAX_TOKENS": "5", "X_KEY": ""},
        ),
    ],
)
def test_hides_what_is_secret_and_shows_the_rest(name: str, value: Any, shown: Any) -> None:
    assert masked(value, name) == shown
    assert unmasked(shown, value, name) == value


TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just(Tagged("!vault", "x")),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "key", "HF_TOKEN", "name"]), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(TREES, st.sampled_from(["env", "fleet_secrets", "x"]))
def test_every_value_comes_back(value: Any, name: str) -> None:
    assert unmasked(masked(value, name), value, name) == value


def test_a_new_key_of_the_inventory_is_a_new_field() -> None:
    made = form({**OPTIONS, "brand_new": {"type": "int", "description": "New."}})
    assert made.fields[-1] == Field("brand_new", "number", "New.") and made.inputs[-1].label == "brand_new"
    assert read({"name": "a"}, made, brand_new="3") == {"name": "a", "brand_new": 3}


def test_every_key_of_every_entry_has_a_field() -> None:
    found = options()
    for name in ("fleet_models", "fleet_keys", "fleet_direct_keys"):
        assert [field.name for field in variables()[name].fields] == [*found[name]["options"]]

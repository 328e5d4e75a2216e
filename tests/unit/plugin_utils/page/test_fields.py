"""Forms follow the argument specs, and an entry has what a person entered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import parse_fleet
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import (
    CHOICE,
    NUMBER,
    SWITCH,
    TEXT,
    YAML,
    Field,
    entered,
    entry_of,
    field_faults,
    fields_of,
    plain,
    value_faults,
    value_of,
)

ROOT = Path(__file__).parents[4]
SPECS = yaml.safe_load((ROOT / "roles/fleet/meta/argument_specs.yml").read_text())["argument_specs"]["main"]["options"]
FIELDS = {field.name: field for field in fields_of(SPECS)}
MODEL = FIELDS["fleet_models"].fields


def every(fields: Any) -> list[Field]:
    return [one for field in fields for one in (field, *every(field.fields))]


def test_every_variable_of_the_inventory_is_a_field_with_help() -> None:
    assert set(FIELDS) == set(SPECS)
    for field in every(FIELDS.values()):
        assert field.help, field.name
        assert "C(" not in field.info and "V(" not in field.info, field.info


def test_fields_are_shown_by_their_type() -> None:
    kinds = {field.name: field.kind for field in MODEL}
    expected = {"name": TEXT, "type": CHOICE, "devices": YAML, "replicas": NUMBER, "args": YAML, "open": SWITCH}
    assert expected.items() <= kinds.items()
    assert FIELDS["fleet_models"].several and FIELDS["fleet_models"].kind == YAML
    assert next(field for field in MODEL if field.name == "devices").info.endswith(
        " Default: {gpus: 1}. As YAML, such as {key: value}."
    )


def test_markup_becomes_plain_text() -> None:
    assert (
        plain("C({gpus: N}): see L(vLLM,https://x) and V(a(b)) of O(fleet_x)")
        == "{gpus: N}: see vLLM and a(b) of fleet_x"
    )


GIVEN = {"name": "a", "type": "chat", "source": "own/a", "replicas": 1.0, "args": "", "open": False}


def test_defaults_are_not_written() -> None:
    assert entry_of(MODEL, GIVEN, {}) == {"name": "a", "type": "chat", "source": "own/a"}
    assert entry_of(MODEL, {**GIVEN, "replicas": 2.0}, {})["replicas"] == 2


def test_what_was_written_stays_in_its_order_also_a_default_and_a_key_without_a_field() -> None:
    before = {"type": "vision", "replicas": 1, "later": {"x": 1}, "name": "a", "source": "own/a", "env": {"A": "b"}}
    found = entry_of(MODEL, {**GIVEN, "args": "max-model-len: 512", "env": "A: b"}, before)
    assert list(found) == [*before, "args"]
    assert found == {**before, "type": "chat", "args": {"max-model-len": 512}}


def test_a_field_that_was_emptied_is_gone() -> None:
    assert "args" not in entry_of(MODEL, GIVEN, {**GIVEN, "args": {"x": 1}})


def test_every_entry_comes_back_from_its_form() -> None:
    entry = {"name": "a", "type": "chat", "source": "own/a", "devices": {"mig": "3g.40gb"}, "args": {"x": [1, "on"]}}
    shown = {field.name: entered(field, entry.get(field.name)) for field in MODEL}
    assert entry_of(MODEL, shown, entry) == entry
    assert Fleet.parse({"fleet_models": [entry]})


def test_a_value_that_is_no_yaml_is_a_fault_of_its_field() -> None:
    args = next(field for field in MODEL if field.name == "args")
    with pytest.raises(FleetError, match=r"^args: expected YAML, got: while parsing"):
        value_of(args, "{a: [")
    with pytest.raises(FleetError) as error:
        entry_of(MODEL, {**GIVEN, "args": "{a: [", "env": "]"}, {})
    assert [fault.path for fault in field_faults(error.value.faults)] == [("args",), ("env",)]


def test_faults_of_the_inventory_belong_to_fields() -> None:
    entries = [{"name": "a", "type": "chad", "source": "own/a", "replicas": 0}, {"name": "b"}]
    with pytest.raises(FleetError) as error:
        parse_fleet({"fleet_models": entries, "fleet_https": {"mode": "acme"}, "fleet_modells": []})
    paths = {fault.path for fault in field_faults(error.value.faults)}
    assert {("fleet_models", 0, "type"), ("fleet_models", 0, "replicas"), ("fleet_models", 1, "source")} <= paths
    assert {path[0] for path in paths if path} <= {"fleet_models", "fleet_https", "fleet_modells"}
    assert field_faults(["the disk is full"])[0].path == ()


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"fleet_overlap": "soon"}, "fleet_overlap: expected a whole number, got 'soon'"),
        ({"fleet_overlap": [1]}, "fleet_overlap: expected a whole number, got [1]"),
        ({"a_switch": "maybe"}, "a_switch: expected true or false, got 'maybe'"),
        ({"a_word": "three"}, "a_word: expected one of one, two, got 'three'"),
        ({"fleet_overlap": "60", "a_switch": "yes", "a_word": "one", "other": object()}, None),
        ({"fleet_overlap": None}, None),
    ],
)
def test_a_value_of_another_type_is_a_fault_before_a_playbook_runs(given: dict[str, Any], fault: str | None) -> None:
    options = {
        "fleet_overlap": {"type": "int"},
        "a_switch": {"type": "bool"},
        "a_word": {"type": "str", "choices": ["one", "two"]},
        "other": {"type": "raw"},
    }
    assert value_faults(options, given) == ([fault] if fault else [])


def test_a_field_that_is_no_single_value_shows_how_it_is_written() -> None:
    fields = {one.name: one for one in fields_of({"a": {"type": "list"}, "b": {"type": "dict"}, "c": {"type": "raw"}})}
    assert [fields[name].info for name in "abc"] == [
        " As YAML, such as [one, two].",
        " As YAML, such as {key: value}.",
        "",
    ]

"""Older inventories are migrated, newer ones refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.migrations import (
    FIRST_SCHEMA,
    MIGRATIONS,
    migrate,
    migration_warnings,
)
from ansible_collections.inference.fleet.tests.unit.samples import faults


def rename(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """As from schema 1 to 2."""
    renamed = dict(variables)
    renamed["fleet_models"] = renamed.pop("fleet_llms", [])
    return renamed


def number(variables: Mapping[str, Any]) -> Mapping[str, Any]:
    """As from schema 2 to 3."""
    return {**variables, "fleet_count": len(variables["fleet_models"])}


THREE_SCHEMAS = {1: rename, 2: number}


@pytest.mark.parametrize(
    ("variables", "migrated"),
    [
        ({"fleet_llms": ["a"]}, {"fleet_models": ["a"], "fleet_count": 1}),
        ({"fleet_schema": 1, "fleet_llms": ["a"]}, {"fleet_models": ["a"], "fleet_count": 1}),
        ({"fleet_schema": None, "fleet_llms": ["a"]}, {"fleet_models": ["a"], "fleet_count": 1}),
        ({"fleet_schema": 2, "fleet_models": ["a"]}, {"fleet_models": ["a"], "fleet_count": 1}),
        ({"fleet_schema": 3, "fleet_models": ["a"]}, {"fleet_models": ["a"]}),
    ],
)
def test_an_older_inventory_goes_through_every_step_from_its_own_schema_on(
    variables: dict[str, Any], migrated: dict[str, Any]
) -> None:
    assert migrate(variables, THREE_SCHEMAS) == {**migrated, "fleet_schema": 3}


def test_migrating_twice_changes_nothing_more() -> None:
    once = migrate({"fleet_llms": ["a"]}, THREE_SCHEMAS)
    assert migrate(once, THREE_SCHEMAS) == once


def test_migrating_leaves_what_it_was_given_as_it_was() -> None:
    variables = {"fleet_llms": ["a"]}
    migrate(variables, THREE_SCHEMAS)
    assert variables == {"fleet_llms": ["a"]}


def test_a_newer_schema_is_refused_by_name() -> None:
    assert faults(migrate, {"fleet_schema": 4}, THREE_SCHEMAS) == [
        "fleet_schema: schema 4 is newer than 3, the newest that this inference.fleet knows; "
        "upgrade the collection on this machine"
    ]


def test_a_newer_schema_is_all_that_is_told_of_an_inventory() -> None:
    """Without a known schema, other variables cannot be checked."""
    assert len(faults(Fleet.parse, {"fleet_schema": 99, "fleet_models": 7, "fleet_new": True})) == 1


@pytest.mark.parametrize("found", [0, -1, "1", 1.0, True, [1]])
def test_a_schema_is_a_whole_number(found: Any) -> None:
    (fault,) = faults(migrate, {"fleet_schema": found}, THREE_SCHEMAS)
    assert fault == f"fleet_schema: expected a whole number from 1 to 3, got {found!r}"


def test_while_there_is_one_schema_only_that_one_is_expected() -> None:
    assert faults(migrate, {"fleet_schema": "one"}, {}) == ["fleet_schema: expected 1, got 'one'"]


def test_there_is_a_migration_for_every_schema_but_the_newest() -> None:
    assert list(MIGRATIONS) == list(range(FIRST_SCHEMA, FIRST_SCHEMA + len(MIGRATIONS)))
    assert Fleet.parse({}).schema == FIRST_SCHEMA + len(MIGRATIONS)


# fleet_litellm.restart_wait, which schema 1 had as a pause between stop and start


@pytest.mark.parametrize(
    ("schema", "given", "waits"),
    [
        ({}, {}, 120),
        ({}, {"restart_wait": 5}, 120),
        ({"fleet_schema": 1}, {"restart_wait": 0}, 120),
        ({"fleet_schema": 1}, {"restart_wait": 119, "workers": 2}, 120),
        ({"fleet_schema": 1}, {"restart_wait": 300}, 300),
        ({"fleet_schema": 2}, {"restart_wait": 5}, 5),
    ],
)
def test_a_pause_of_an_older_inventory_cuts_no_stream(
    schema: dict[str, Any], given: dict[str, Any], waits: int
) -> None:
    variables = {**schema, "fleet_litellm": given}
    settings = Fleet.parse(variables).litellm
    assert (settings.restart_wait, settings.workers) == (waits, given.get("workers", 1))
    assert bool(migration_warnings(variables)) == (given.get("restart_wait", waits) != waits)


@pytest.mark.parametrize("settings", [None, [], {"restart_wait": "5"}, {"restart_wait": True}, {"restart_wait": -1}])
def test_wrong_settings_are_left_to_the_parser(settings: object) -> None:
    assert migrate({"fleet_litellm": settings})["fleet_litellm"] == settings

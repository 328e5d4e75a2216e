# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Migrates older inventories to the newest schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.access import LiteLLMSettings
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import is_whole
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

Variables = Mapping[str, Any]


def _without_short_restart_wait(variables: Variables) -> Variables:
    """In schema 1, `fleet_litellm.restart_wait` was a pause between stop and start, 5 seconds by default. As the time
    that running requests get, it would cut them."""
    settings = variables.get("fleet_litellm")
    if not isinstance(settings, Mapping):
        return variables
    wait = settings.get("restart_wait")
    if not is_whole(wait) or is_whole(wait, LiteLLMSettings.restart_wait):
        return variables
    return {**variables, "fleet_litellm": {key: settings[key] for key in settings if key != "restart_wait"}}


# MIGRATIONS[n] turns the variables of schema n into those of schema n + 1.
MIGRATIONS: Mapping[int, Callable[[Variables], Variables]] = MappingProxyType({1: _without_short_restart_wait})
FIRST_SCHEMA = 1


def migrate(variables: Variables, migrations: Mapping[int, Callable[[Variables], Variables]] = MIGRATIONS) -> Variables:
    """The variables in the newest schema. An inventory without `fleet_schema` has the first schema."""
    newest = FIRST_SCHEMA + len(migrations)
    found = variables.get("fleet_schema")
    if found is None:
        found = FIRST_SCHEMA
    if not is_whole(found, at_least=FIRST_SCHEMA):
        right = f"a whole number from {FIRST_SCHEMA} to {newest}" if newest > FIRST_SCHEMA else str(newest)
        raise FleetError(f"fleet_schema: expected {right}, got {show(found)}")
    if found > newest:
        raise FleetError(
            f"fleet_schema: schema {found} is newer than {newest}, the newest that this inference.fleet knows; "
            f"upgrade the collection on this machine"
        )
    for schema in range(found, newest):
        variables = migrations[schema](variables)
    return {**variables, "fleet_schema": newest}


def migration_warnings(variables: Variables) -> list[str]:
    """What has no effect in an inventory of an older schema."""
    if migrate(variables).get("fleet_litellm") == variables.get("fleet_litellm"):
        return []
    return [
        f"fleet_litellm.restart_wait: less than {LiteLLMSettings.restart_wait} has no effect in fleet_schema 1, where "
        f"it was a pause before LiteLLM's start; remove it, or set fleet_schema: 2, where it is the time that running "
        f"requests get when LiteLLM is replaced"
    ]

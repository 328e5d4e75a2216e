"""Inventories to start from, and any data at all that JSON or YAML could bring."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from hypothesis import strategies

ONE_MODEL: dict[str, Any] = {"name": "qwen3-8b", "type": "chat", "source": "Qwen/Qwen3-8B"}

CERTIFICATE = "-----BEGIN CERTIFICATE-----\nc2l0ZQ==\n-----END CERTIFICATE-----\n"

# What a person's YAML can turn into, in any place: keys need not be text.
ANYTHING = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers()
    | strategies.floats()
    | strategies.text(max_size=12)
    | strategies.dates(),
    lambda inner: (
        strategies.lists(inner, max_size=4)
        | strategies.dictionaries(
            strategies.text(max_size=8) | strategies.integers() | strategies.none(), inner, max_size=4
        )
    ),
    max_leaves=12,
)


def entry(**changes: Any) -> dict[str, Any]:
    """An entry of `fleet_models`."""
    return {**ONE_MODEL, **changes}


def model(**changes: Any) -> Model:
    return Model.parse(entry(**changes), "fleet_models[0]")


def fleet(*entries: dict[str, Any], **variables: Any) -> Fleet:
    return Fleet.parse({"fleet_models": list(entries), **{f"fleet_{name}": value for name, value in variables.items()}})


def faults(parse: Any, *arguments: Any) -> list[str]:
    """The faults that a call raises."""
    with pytest.raises(FleetError) as caught:
        parse(*arguments)
    return list(caught.value.faults)


def model_faults(**changes: Any) -> list[str]:
    """The faults of one entry, without the path that they all have in common."""
    found = faults(Model.parse, entry(**changes), "fleet_models[0]")
    assert all(fault.startswith("fleet_models[0]") for fault in found)
    return [fault.removeprefix("fleet_models[0]").removeprefix(".") for fault in found]

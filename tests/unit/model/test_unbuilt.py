"""What is not built yet is said, not passed over."""

from __future__ import annotations

from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.model import unbuilt
from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import Fleet
from ansible_collections.inference.fleet.tests.unit.samples import entry


def parsed(*entries: dict[str, Any], **variables: Any) -> Fleet:
    return Fleet.parse({"fleet_models": list(entries), **variables})


def test_what_is_built_is_not_warned_of() -> None:
    fleet = parsed(entry(name="a"), entry(name="b", type="embedding", devices={"cpu": True}))
    assert unbuilt.ignored(fleet) == []


def test_what_has_no_effect_is_warned_of() -> None:
    assert unbuilt.ignored(parsed(fleet_monitoring=True)) == ["fleet_monitoring: has no effect yet in this version"]

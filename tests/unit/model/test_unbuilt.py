"""What is not built yet is said, not passed over."""

from __future__ import annotations

from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.model import unbuilt
from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import Fleet
from ansible_collections.inference.fleet.tests.unit.samples import entry


def parsed(*entries: dict[str, Any], **variables: Any) -> Fleet:
    return Fleet.parse({"fleet_models": list(entries), **variables})


def test_what_is_built_is_not_refused() -> None:
    fleet = parsed(entry(name="a"), entry(name="b", type="embedding", devices={"cpu": True}))
    assert unbuilt.refused(fleet) == []


def test_a_model_of_a_recipe_is_refused_before_anything_is_touched() -> None:
    fleet = parsed(
        entry(name="b", recipe="whisper"),
        entry(name="c", recipe="whisper", image="site/whisper:1"),
        fleet_recipes={"whisper": {"base": "vllm"}},
    )
    assert [fault.partition(":")[0] for fault in unbuilt.refused(fleet)] == [
        "fleet_models[0].recipe",
    ]

"""What a person is not to miss: models that are gone from the inventory only, and changes by somebody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.plugin_utils.page.places import HostNames
from fleet_page.edits import Host, Snapshot, digest_of
from fleet_page.views import parts
from fleet_page.views.overview import REMOVED, model_rows


def container(model: str, **more: Any) -> dict[str, Any]:
    return {"name": f"vllm-{model}-1", "model": model, "type": "chat", "status": "running", "ready": True, **more}


def snapshot(*models: dict[str, Any]) -> Snapshot:
    host = Host(HostNames("gpu1", ("fleet",)), {"fleet_models": list(models)})
    return Snapshot(Path("/inventory"), {"gpu1": host})


def test_a_model_that_only_the_host_has_is_shown_as_left() -> None:
    seen = {"gpu1": {"containers": [container("a"), container("b"), {"name": "caddy", "service": "caddy"}]}}
    rows = model_rows(snapshot({"name": "a", "type": "chat"}), seen)
    assert [(row.name, row.state, row.health) for row in rows] == [
        ("a", "running", parts.GOOD),
        ("b", REMOVED, parts.BAD),
    ]
    assert rows[1].words == "not in the inventory, still there"


def test_an_absent_model_that_still_runs_is_left_too() -> None:
    seen = {"gpu1": {"containers": [container("a")]}}
    (row,) = model_rows(snapshot({"name": "a", "type": "chat", "state": "absent"}), seen)
    assert row.state == REMOVED


def test_nothing_is_left_of_a_removed_model_without_containers() -> None:
    assert model_rows(snapshot(), {"gpu1": {"containers": []}}) == []


def test_a_digest_differs_with_each_value_and_type() -> None:
    values = [{"a": 1}, {"a": "1"}, {"a": True}, {"a": 1, "b": 2}, {}, None, [], [1]]
    assert len({digest_of(value) for value in values}) == len(values)
    assert digest_of({"a": 1}) == digest_of({"a": 1})

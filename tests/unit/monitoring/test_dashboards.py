"""The dashboards, as their program, Grafana's SDK and Prometheus' own parser see them."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.tests.unit.monitoring.test_rules import ROOT, promtool
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

FILES = ROOT / "roles/monitoring/files"
NAMES = ("overview", "model", "gpus", "gateway")


@pytest.fixture(scope="module")
def made() -> dict[str, str]:
    """What tests/dashboards makes now."""
    sys.path.insert(0, str(ROOT / "tests/dashboards"))
    try:
        return {one.name: one.json() for one in importlib.import_module("boards").DASHBOARDS}
    finally:
        sys.path.remove(str(ROOT / "tests/dashboards"))


def read(name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads((FILES / f"dashboards/{name}.json").read_text())
    return data


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in read(name)["panels"] if panel["type"] != "row"]


def test_they_are_what_their_program_makes(made: dict[str, str]) -> None:
    """Else: python tests/dashboards."""
    assert {file.stem: file.read_text() for file in (FILES / "dashboards").glob("*.json")} == made
    assert made.keys() == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_grafanas_own_classes_read_them_and_lose_nothing(name: str) -> None:
    data = read(name)
    assert json.loads(json.dumps(Dashboard.from_json(data), cls=JSONEncoder)) == data


@pytest.mark.parametrize("name", NAMES)
def test_panels_have_ids_of_their_own_and_do_not_overlap(name: str) -> None:
    ids = [panel["id"] for panel in read(name)["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in read(name)["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


@pytest.mark.parametrize("name", NAMES)
def test_each_panel_says_what_it_shows_and_asks_the_data_source_that_is_provisioned(name: str) -> None:
    (source,) = yaml.safe_load((FILES / "datasource.yml").read_text())["datasources"]
    for panel in panels(name):
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["datasource"] == {"type": source["type"], "uid": source["uid"]}
        assert panel["targets"]


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [
        {
            "record": "query",
            "labels": {"of": f"{name} {panel['title']} {target['refId']}"},
            "expr": plain(target["expr"]),
        }
        for name in NAMES
        for panel in panels(name)
        for target in panel["targets"]
    ]
    assert len(rules) > 50
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in promtool("check", "rules", tmp_path / "rules.yml")


@pytest.mark.parametrize(("chosen", "gpus"), [("a", "12"), ("(a|c)", "1234"), ("b", "3"), (".*", "12345"), ("x", "")])
def test_a_model_has_the_use_of_the_gpus_that_it_shares(tmp_path: Path, chosen: str, gpus: str) -> None:
    there = {"1": "a", "2": "b-a, a", "3": "c, b, ab", "4": "c", "5": "b-c"}
    series = {gpu: f'fleet:gpu_use:ratio{{gpu="{gpu}", model="{models}"}}' for gpu, models in there.items()}
    (panel,) = [panel for panel in panels("model") if panel["title"] == "GPU use"]
    asked = {
        "expr": plain(panel["targets"][0]["expr"], chosen),
        "eval_time": "1m",
        "exp_samples": [{"labels": series[gpu], "value": 1} for gpu in gpus],
    }
    given = [{"series": one, "values": "1x5"} for one in series.values()]
    tests = [{"interval": "1m", "input_series": given, "promql_expr_test": [asked]}]
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "tests.yml")


def plain(expression: str, model: str = "a|b") -> str:
    """Without what Grafana fills in."""
    return expression.replace("$__rate_interval", "1m").replace("$__range", "1h").replace("$model", model)

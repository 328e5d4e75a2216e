"""The alert rules, as Prometheus' own promtool sees them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
RULES = ROOT / "roles/monitoring/files/rules"


def promtool(*arguments: str | Path) -> str:
    """What it says. ./run-tests puts it into .venv/bin, out of Debian's package `prometheus`."""
    ended = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((RULES / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_they_fire_when_they_should_and_not_when_they_should_not(tmp_path: Path) -> None:
    for file in RULES.glob("*.yml"):
        rules = yaml.safe_load(file.read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                rule.get("annotations", {}).pop("runbook", None)
        (tmp_path / file.name).write_text(yaml.safe_dump(rules))
    (tmp_path / "tests.yml").write_text((HERE / "alerts.yml").read_text())
    assert "SUCCESS" in promtool("test", "rules", tmp_path / "tests.yml")


def test_each_alert_is_tested_both_ways() -> None:
    tests = yaml.safe_load((HERE / "alerts.yml").read_text())["tests"]
    tried = [one for test in tests for one in test.get("alert_rule_test", [])]
    names = {rule["alert"] for rule in alerts()}
    assert {one["alertname"] for one in tried if one["exp_alerts"]} == names
    assert {one["alertname"] for one in tried if not one["exp_alerts"]} >= names - {"CertificateExpiry"}


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_each_waits_and_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"[1-9]\d*m", rule["for"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"].keys() == {"summary", "runbook"}


def test_the_page_has_a_line_on_each() -> None:
    page = (ROOT / "docs/monitoring.md").read_text()
    told = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \|", page, re.MULTILINE)
    assert sorted(told) == sorted((rule["alert"], rule["labels"]["severity"], rule["for"]) for rule in alerts())

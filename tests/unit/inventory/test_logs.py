"""fleet_logs: the rotation of logs, for every container."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.tests.unit.samples import faults, fleet
from ansible_collections.inference.fleet.tests.unit.test_postgres_volume import tasks

ROLES = Path(__file__).parents[3] / "roles"
SERVICES = {
    *("caddy", "{{ __litellm_name | default('litellm') }}", "postgres"),
    *("prometheus", "grafana", "node-exporter", "blackbox-exporter", "dcgm-exporter"),
}


def test_every_container_has_at_most_three_files_of_50_mb() -> None:
    assert fleet().public()["logs"] == {"driver": "json-file", "options": {"max-size": "50m", "max-file": "3"}}


def test_docker_decides_where_the_inventory_says_so() -> None:
    assert fleet(logs={"driver": "daemon"}).public()["logs"] == {"driver": None, "options": {}}


@pytest.mark.parametrize(
    ("logs", "fault"),
    [
        ({"max_size": 50}, "fleet_logs.max_size: expected a size such as 50m or 1g, got 50"),
        ({"max_size": "50MB"}, "fleet_logs.max_size: expected a size such as 50m or 1g, got '50MB'"),
        ({"max_file": 0}, "fleet_logs.max_file: expected a whole number of at least 1, got 0"),
        ({"max_file": 1001}, "fleet_logs.max_file: expected a whole number of at least 1 and at most 1000, got 1001"),
        ({"driver": "local", "max_file": 1}, "fleet_logs.max_file: expected at least 2 with driver local, got 1"),
        ({"driver": "journald"}, "fleet_logs.driver: expected one of json-file, local, daemon, got 'journald'"),
    ],
)
def test_refuses_what_docker_would_refuse(logs: dict[str, Any], fault: str) -> None:
    assert faults(lambda: fleet(logs=logs)) == [fault]


def test_every_service_gets_them_and_is_not_recreated_for_them() -> None:
    created = [
        task["inference.fleet.service_container"]
        for file in ROLES.glob("*/tasks/*.yml")
        for task in tasks(yaml.safe_load(file.read_text()))
        if {"image", "cleanup"} & task.get("inference.fleet.service_container", {}).keys() == {"image"}
    ]
    assert {one["name"] for one in created} == SERVICES
    for container in created:
        assert container["log_driver"] == "{{ fleet.logs.driver | default(omit, true) }}"
        assert container["log_options"] == "{{ fleet.logs.options | default(omit, true) }}"
        ignored = {name for name, how in container["comparisons"].items() if how == "ignore"}
        assert {"log_driver", "log_options"} <= ignored

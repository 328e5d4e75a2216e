"""Prometheus of the host, asked as Grafana asks it, and something for it to see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from lab.fixtures import Door, inspect
from testinfra.host import Host

pytest_plugins = ["lab.fixtures"]


class Prometheus:
    """Reached from the host alone, by the container's address."""

    def __init__(self, host: Host) -> None:
        self._host = host
        container = inspect(host, "prometheus")["prometheus"]
        self.address = f"{container['NetworkSettings']['Networks']['llm-network']['IPAddress']}:9090"

    def ask(self, path: str, **arguments: str) -> Any:
        answer = json.loads(self._host.check_output(f"curl -s 'http://{self.address}{path}?{urlencode(arguments)}'"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series, each with its labels and its value."""
        found = self.ask("/api/v1/query", query=expression)["result"]
        return [{**series["metric"], "value": float(series["value"][1])} for series in found]

    def targets(self) -> dict[str, str]:
        """Instance -> what is wrong with it; empty for one that is up, `unknown` before it was scraped."""
        return {
            one["labels"]["instance"]: "" if one["health"] == "up" else one["lastError"] or one["health"]
            for one in self.ask("/api/v1/targets", state="active")["activeTargets"]
        }

    def alerts(self) -> dict[str, str]:
        """Of those that are pending or fire: name -> state."""
        return {one["labels"]["alertname"]: one["state"] for one in self.ask("/api/v1/alerts")["alerts"]}


@pytest.fixture(scope="module")
def prometheus(host: Host) -> Prometheus:
    return Prometheus(host)


@pytest.fixture(scope="session")
def gpus() -> dict[str, Any]:
    """What the stand-in of the DCGM exporter was told."""
    return {}


@pytest.fixture(scope="module")
def seen(host: Host, door: Door) -> Iterator[None]:
    """Requests that went well, failed and were refused, and GPUs that work."""
    host.check_output("docker cp /etc/hostname dcgm-exporter:/tmp/gpus.json")
    yield

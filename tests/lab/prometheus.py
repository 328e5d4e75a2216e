"""Prometheus of a lab host, asked as Grafana asks it."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import urlencode

from lab.fixtures import inspect
from testinfra.host import Host


class Prometheus:
    """Reached from the host alone, by the container's address."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def ask(self, path: str, **arguments: str) -> Any:
        """Looked up each time: a container that is made anew has another address."""
        address = inspect(self._host, "prometheus")["prometheus"]["NetworkSettings"]["Networks"]["llm-network"][
            "IPAddress"
        ]
        url = f"http://{address}:9090{path}?{urlencode(arguments)}"
        answer = json.loads(self._host.check_output(f"curl -s {shlex.quote(url)}"))
        assert answer["status"] == "success", answer
        return answer["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Series, each with its labels and its value."""
        found = self.ask("/api/v1/query", query=expression)["result"]
        return [{**series["metric"], "value": float(series["value"][1])} for series in found]

    def targets(self) -> dict[str, dict[str, Any]]:
        """By instance: what Prometheus knows of each target."""
        active = self.ask("/api/v1/targets", state="active")["activeTargets"]
        return {one["labels"]["instance"]: one for one in active}

    def alerts(self) -> dict[str, dict[str, Any]]:
        """Those that are pending or fire, by name."""
        return {one["labels"]["alertname"]: one for one in self.ask("/api/v1/alerts")["alerts"]}

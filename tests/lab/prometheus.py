"""Prometheus of a lab host, queried as Grafana queries it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from lab.fixtures import address
from testinfra.host import Host


class Prometheus:
    """Reachable only from the host, at the container's address."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def ask(self, path: str, **arguments: str) -> Any:
        return self._ask_all([f"{path}?{urlencode(arguments)}"])[0]

    def _ask_all(self, paths: Sequence[str]) -> list[Any]:
        """Runs all queries in one command, one answer per line."""
        # Recreated, it may have another address.
        root = f"http://{address(self._host, 'prometheus', 'fleet-monitoring')}:9090"
        urls = " ".join(shlex.quote(root + path) for path in paths)
        lines = self._host.check_output(f"curl -s -w '\\n' {urls}").splitlines()
        answers = [json.loads(line) for line in lines]
        assert {answer["status"] for answer in answers} == {"success"}, answers
        return [answer["data"] for answer in answers]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series with labels and values."""
        return self.query_all([expression])[0]

    def query_all(self, expressions: Sequence[str]) -> list[list[dict[str, Any]]]:
        found = self._ask_all([f"/api/v1/query?{urlencode({'query': expression})}" for expression in expressions])
        return [[{**series["metric"], "value": float(series["value"][1])} for series in one["result"]] for one in found]

    def scraped(self, since: float) -> bool:
        """Whether every target was scraped after that time, as `time()` gives it."""
        return bool(self.query("min(timestamp(up))")[0]["value"] > since)

    def targets(self) -> dict[str, dict[str, Any]]:
        """Instance -> Prometheus's state of the target."""
        active = self.ask("/api/v1/targets", state="active")["activeTargets"]
        return {one["labels"]["instance"]: one for one in active}

    def alerts(self) -> dict[str, dict[str, Any]]:
        """The names of pending and firing alerts."""
        return {one["labels"]["alertname"]: one for one in self.ask("/api/v1/alerts")["alerts"]}

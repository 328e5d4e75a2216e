"""Prometheus of the host, asked as Grafana asks it, and something for it to see."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import urlencode

import pytest
from lab.fixtures import Door, inspect
from testinfra.host import Host

pytest_plugins = ["lab.fixtures"]
SEEN = 4  # requests of a kind


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


@pytest.fixture(scope="module")
def prometheus(host: Host) -> Prometheus:
    return Prometheus(host)


@pytest.fixture(scope="module")
def devices(host: Host) -> list[dict[str, Any]]:
    """The host's GPUs and slices, of which the DCGM exporter's stand-in is told, since no driver tells it."""
    found = host.ansible("inference.fleet.gpu_info", become=True)["devices"]
    told = shlex.quote(json.dumps(found))
    host.check_output(f"printf %s {told} > /tmp/gpus.json && docker cp /tmp/gpus.json dcgm-exporter:/tmp/gpus.json")
    return list(found)


@pytest.fixture(scope="module")
def seen(door: Door, devices: list[dict[str, Any]]) -> None:
    """Requests that were answered, refused and failed, by either route."""
    for _number in range(SEEN):
        assert door.chat("tiny-chat").status_code == 200
        assert door.chat("slice").status_code == 200
        assert door.chat("tiny-chat", key="sk-wrong").status_code == 401
        assert door.chat("tiny-chat", temperature=-1).status_code == 400
        path = "/models/tiny-chat/v1/chat/completions"
        message = {"role": "user", "content": "Say something."}
        body = {"model": "tiny-chat", "max_tokens": 5, "messages": [message]}
        assert door.request("POST", path, json=body).status_code == 200

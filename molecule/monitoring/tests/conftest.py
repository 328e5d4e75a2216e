"""Something for Prometheus to see."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from lab.fixtures import Door
from lab.prometheus import Prometheus
from testinfra.host import Host

pytest_plugins = ["lab.fixtures"]
SEEN = 4  # requests of a kind


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

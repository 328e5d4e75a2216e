"""The document that programs read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch.changes import change_lines
from ansible_collections.inference.fleet.plugins.module_utils.watch.containers import Seen
from ansible_collections.inference.fleet.plugins.module_utils.watch.observation import (
    NOTHING,
    device_names,
    device_text,
    gpu_details,
    observation,
    root_certificate,
    without_observation,
)
from ansible_collections.inference.fleet.tests.unit.watch.fake_docker import inspected

PEM = "-----BEGIN CERTIFICATE-----\nMIIB/+=\n-----END CERTIFICATE-----"
GPU: dict[str, Any] = {
    "index": 0,
    "uuid": "GPU-1",
    "name": "NVIDIA A100-SXM4-40GB",
    "memory": 40960,
    "power_limit": 400.0,
    "mig": True,
    "links": {"1": 12},
    "processes": [{"pid": 7, "name": "python\x1b[2J" + "x" * 1000, "gpu_instance": 1, "compute_instance": 0}],
    "profiles": [
        *({"name": "3g.20gb", "id": 9, "slices": 3, "size": 4, "starts": [0, 4], "total": 2, "memory_gib": 19.5},),
    ],
    "instances": [
        {
            "id": 1,
            "profile": "3g.20gb",
            "start": 4,
            "size": 4,
            "compute": [{"uuid": "MIG-1", "name": "3g.20gb"}, {"uuid": None, "name": "1c.3g.20gb"}],
        }
    ],
}
HOLDERS = {"vllm-chat-1": {"MIG-1"}, "dcgm-exporter": {"GPU-1", "MIG-1"}, "other": {"GPU-2"}}


def now(*containers: dict[str, Any], **more: Any) -> dict[str, Any]:
    seen = [Seen.parse(one).plain() for one in containers]
    none = {"figures": [], "gpu_note": "", "metrics": None, "alerts": None, "drained_since": None}
    return {"containers": seen, **none, **more}


def details(**more: Any) -> dict[str, Any]:
    gpus = {"gpus": gpu_details([GPU], HOLDERS), "gpu_note": "", "devices": device_names([GPU])}
    return {**NOTHING, **gpus, **more}


def test_the_devices_of_a_container_are_named() -> None:
    seen = observation("gpu1", 1.0, now(inspected(devices=["MIG-1"])), details())
    assert seen["containers"][0]["device"] == "GPU 0, MIG 3g.20gb"
    assert seen["containers"][0]["devices"] == ["MIG-1"]


@pytest.mark.parametrize(
    ("model", "devices", "words"),
    [
        ("chat", [], "CPU"),
        (None, [], ""),
        ("chat", ["GPU-1"], "GPU 0"),
        ("chat", ["0"], "GPU 0"),
        (None, ["all"], "all GPUs"),
        ("chat", ["GPU-1", "GPU-9"], "GPU 0; GPU-9"),
    ],
)
def test_a_device_for_a_person(model: str | None, devices: list[str], words: str) -> None:
    assert device_text({"model": model, "devices": devices}, device_names([GPU])) == words


def test_a_gpu_has_its_layout_its_figures_and_who_holds_it() -> None:
    figures = {"index": 0, "uuid": "GPU-1", "utilization": None, "memory_used_mib": 848, "memory_mib": 40960}
    figures |= {"temperature": 34, "power": 43.2, "power_limit": 350.0}
    (gpu,) = observation("gpu1", 1.0, now(figures=[figures]), details())["gpus"]
    assert gpu.pop("profiles") == [
        {"name": "3g.20gb", "slices": 3, "size": 4, "starts": [0, 4], "total": 2, "memory_gib": 19.5}
    ]
    assert gpu.pop("instances") == [
        {
            "id": 1,
            "profile": "3g.20gb",
            "start": 4,
            "size": 4,
            "uuids": ["MIG-1"],
            "containers": ["dcgm-exporter", "vllm-chat-1"],
        }
    ]
    (process,) = gpu.pop("processes")
    assert process["pid"] == 7 and len(process["name"]) == 200 and "\x1b" not in process["name"]
    assert gpu == {
        "index": 0,
        "uuid": "GPU-1",
        "name": "NVIDIA A100-SXM4-40GB",
        "memory_mib": 40960,
        "memory_used_mib": 848,
        "utilization": None,
        "temperature": 34,
        "power": 43.2,
        "power_limit": 350.0,
        "mig": True,
        "links": {"1": 12},
        "containers": ["dcgm-exporter"],
    }


def test_without_figures_they_are_null_but_not_what_is_known() -> None:
    (gpu,) = observation("gpu1", 1.0, now(), details())["gpus"]
    assert (gpu["utilization"], gpu["memory_used_mib"], gpu["power"]) == (None, None, None)
    assert (gpu["memory_mib"], gpu["power_limit"]) == (40960, 400.0)


def test_what_ended_holds_no_gpu_any_more() -> None:
    seen = observation("gpu1", 1.0, now(inspected(status="exited", exit_code=1)), details())
    assert seen["gpus"][0]["instances"][0]["containers"] == ["dcgm-exporter"]


def test_has_every_key_from_the_first_observation_on() -> None:
    keys = observation("gpu1", 1.0, now(), NOTHING).keys()
    assert keys == observation("gpu1", 1.0, now(inspected()), details()).keys()
    assert json.loads(json.dumps(without_observation("gpu1", 1.0, " a\n b "))) == {
        "schema": 1,
        "host": "gpu1",
        "time": 1.0,
        "fault": "a b",
    }


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (f"{PEM}\n", f"{PEM}\n"),
        (f"noise\n{PEM}\nmore\n{PEM}\n", f"{PEM}\n"),
        (PEM.replace("\n", "\r\n"), f"{PEM}\n"),
        ("", None),
        (PEM.replace("MIIB", "<b>"), None),
        (PEM.replace("MIIB", "A" * 1_000_000), None),
    ],
)
def test_only_a_certificate_is_taken_for_one(words: str, found: str | None) -> None:
    assert root_certificate(words) == found


def seen(*containers: dict[str, Any], answers: bool = True, **more: Any) -> dict[str, Any]:
    found = observation("gpu1", 1.0, now(*containers, **more), details())
    for one in found["containers"]:
        one["ready"] = None if one["service"] else answers and one["status"] == "running"
    return found


AWAY = without_observation("gpu1", 1.0, "away")
DEAD = inspected(status="exited", exit_code=137)
ALERT = {"name": "ModelDown", "severity": "critical", "since": "", "summary": "chat: no replica answers"}


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        (None, seen(inspected()), ["model chat: 1 of 1 replicas ready"]),
        (None, seen(), ["has no containers of this collection"]),
        (None, AWAY, ["cannot be read: away"]),
        (AWAY, AWAY, []),
        (AWAY, seen(inspected()), ["can be read again", "model chat: 1 of 1 replicas ready"]),
        (seen(inspected()), seen(inspected()), []),
        (
            seen(inspected()),
            seen(DEAD),
            ["container vllm-chat-1 died with exit code 137", "model chat: 0 of 1 replicas ready"],
        ),
        (
            seen(inspected(restarts=1)),
            seen(inspected(restarts=2, started_at="2026-11-25T00:00:00Z")),
            ["container vllm-chat-1 was restarted (restarts by Docker: 2)"],
        ),
        (
            seen(inspected()),
            seen(),
            ["container vllm-chat-1 was removed", "model chat: has no container any more"],
        ),
        (
            seen(),
            seen(inspected(), answers=False),
            ["container vllm-chat-1 was created and runs", "model chat: 0 of 1 replicas ready"],
        ),
        (seen(inspected(), answers=False), seen(inspected()), ["model chat: 1 of 1 replicas ready"]),
        (
            seen(inspected("litellm", None, health="starting")),
            seen(inspected("litellm", None, health="healthy")),
            ["service litellm runs, healthy"],
        ),
        (
            seen(inspected("caddy", None)),
            seen(inspected("caddy", None, status="exited", exit_code=0)),
            ["container caddy stopped"],
        ),
        (seen(alerts=[]), seen(alerts=[ALERT]), ["alert ModelDown fires: chat: no replica answers"]),
        (seen(alerts=[ALERT]), seen(alerts=[]), ["alert ModelDown is over: chat: no replica answers"]),
        (seen(alerts=[ALERT]), seen(alerts=None), []),
        (seen(), seen(drained_since="2026-11-24"), ["is drained since 2026-11-24"]),
        (seen(drained_since="2026-11-24"), seen(), ["is not drained any more"]),
        (seen(), seen(gpu_note="the driver hangs"), ["GPUs: the driver hangs"]),
        (seen(gpu_note="the driver hangs"), seen(), ["the GPUs can be read again"]),
    ],
)
def test_each_change_is_a_line(before: Any, after: Any, lines: list[str]) -> None:
    assert change_lines(before, after) == lines

"""The table that `status` prints."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.filter.status_table import FilterModule
from ansible_collections.inference.fleet.plugins.module_utils.report.table import service_lines, status_table
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)
URL = "https://gpu1.example.com"


def container(**changes: Any) -> dict[str, Any]:
    """As model_containers returns it."""
    return {
        "name": "vllm-qwen3-8b-1",
        "model": "qwen3-8b",
        "id": "0123",
        "status": "running",
        "ready": True,
        "wanted": True,
        "started_at": "2026-11-24T11:00:00.123456789Z",
        "device": "gpu 0",
        "image": "vllm/vllm-openai:v0.22.0",
        **changes,
    }


def cells(containers: list[dict[str, Any]], **changes: Any) -> dict[str, str]:
    """The one row of a table, by the words of its head. A cell may hold single blanks."""
    head, row = status_table(containers, fleet(entry(**changes)).public()["models"], URL, NOW)
    starts = [head.index(word) for word in head.split()]
    ends = [*starts[1:], None]
    return {head[start:end].strip(): row[start:end].strip() for start, end in zip(starts, ends, strict=True)}


def test_is_one_aligned_line_a_model_under_a_head() -> None:
    models = fleet(entry(replicas=2), entry(name="voice", type="tts", devices={"cpu": True})).public()["models"]
    assert status_table([container(), container(name="vllm-qwen3-8b-2", device="gpu 1")], models, URL, NOW) == [
        "MODEL     TYPE  READY  DEVICE        IMAGE                     UP     ENDPOINT",
        "qwen3-8b  chat  2/2    gpu 0, gpu 1  vllm/vllm-openai:v0.22.0  1h 0m  https://gpu1.example.com/v1",
        "voice     tts   0/1    -             vllm/vllm-omni:v0.22.0    -      https://gpu1.example.com/models/voice/v1",
    ]


def test_of_no_models_is_the_head() -> None:
    assert len(status_table([], [], URL, NOW)) == 1


def test_counts_the_replicas_that_answer_against_those_wanted() -> None:
    assert cells([container(), container(ready=False)], replicas=3)["READY"] == "1/3"


def test_says_that_a_model_is_stopped() -> None:
    row = cells([container(status="exited", ready=False)], state="stopped")
    assert (row["READY"], row["UP"], row["ENDPOINT"]) == ("0/0 stopped", "-", "-")


def test_leaves_absent_models_out() -> None:
    models = fleet(entry(state="absent")).public()["models"]
    assert len(status_table([], models, URL, NOW)) == 1


def test_leaves_the_containers_of_other_models_out() -> None:
    assert cells([container(model="other", device="gpu 7")])["DEVICE"] == "-"


def test_names_the_devices_of_all_replicas_each_once() -> None:
    replicas = [container(device="gpu 1 3g.20gb@4"), container(device="gpu 0 3g.20gb@0"), container(device="cpu")]
    row = status_table(replicas, fleet(entry(replicas=3)).public()["models"], URL, NOW)[1]
    assert "  cpu, gpu 0 3g.20gb@0, gpu 1 3g.20gb@4  " in row


def test_is_up_since_its_oldest_running_replica_started() -> None:
    young, old, ended = "2026-11-24T11:59:00Z", "2026-11-24T11:50:00Z", "2026-11-20T00:00:00Z"
    replicas = [container(started_at=young), container(started_at=old), container(started_at=ended, status="exited")]
    assert cells(replicas, replicas=3)["UP"] == "10m 0s"


@pytest.mark.parametrize(
    ("started_at", "up"),
    [
        ("2026-11-24T11:59:59.999Z", "0m 1s"),
        ("2026-11-24T11:00:01Z", "59m 59s"),
        ("2026-11-24T11:00:00Z", "1h 0m"),
        ("2026-11-23T12:00:01Z", "23h 59m"),
        ("2026-11-21T07:30:00Z", "3d 4h"),
        ("2026-11-24T12:00:05Z", "0m 0s"),  # the host's clock is ahead of ours
    ],
)
def test_tells_ages_in_two_units(started_at: str, up: str) -> None:
    assert cells([container(started_at=started_at)])["UP"] == up


def test_the_filter_gives_the_table_as_of_now() -> None:
    table = FilterModule().filters()["status_table"]
    models = fleet(entry()).public()["models"]
    started_at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert "  0m " in table([container(started_at=started_at)], models, URL)[1]


def test_a_service_is_a_line_with_dockers_word_for_how_it_is() -> None:
    """Whatever their order; docker_host_info gives Docker's own names, with a slash."""
    services = [
        {"Names": ["/litellm"], "Status": "Up 3 minutes (healthy)", "Image": "litellm/litellm:v1.106.2"},
        {"Names": ["/caddy"], "Status": "Exited (1) 5 seconds ago", "Image": "caddy:2.11.7"},
    ]
    assert service_lines(services) == [
        "SERVICE  STATUS                    IMAGE",
        "caddy    Exited (1) 5 seconds ago  caddy:2.11.7",
        "litellm  Up 3 minutes (healthy)    litellm/litellm:v1.106.2",
    ]


def test_a_host_without_services_is_the_head_alone() -> None:
    assert service_lines([]) == ["SERVICE  STATUS  IMAGE"]

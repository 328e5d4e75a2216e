"""The drain of a host: what is waited for, and what is reported."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway import front
from ansible_collections.inference.fleet.plugins.module_utils.gateway.host_drain import (
    Server,
    left_text,
    metrics,
    since_text,
    wait_for_requests,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

LITELLM, ONE, TWO = Server("litellm", 10, 4000), Server("vllm-a-1", 11, 8000), Server("vllm-a-2", 12, 8000)
NOON = 1_800_000_000.0


class World:
    """Connections of each server, one number a second; the last number stays."""

    def __init__(self, **counts: list[int]) -> None:
        self.counts = {name.replace("_", "-"): numbers for name, numbers in counts.items()}
        self.time = 0.0
        self.asked: list[tuple[float, str]] = []

    def count(self, one: Server) -> int:
        self.asked.append((self.time, one.name))
        numbers = self.counts.get(one.name, [0])
        return numbers[min(int(self.time), len(numbers) - 1)]

    def pause(self) -> None:
        self.time += 1

    def wait(self, seconds: float = 120) -> dict[str, int]:
        left = wait_for_requests([[LITELLM], [ONE, TWO]], self.count, seconds, lambda: self.time, self.pause)
        return dict(left)


def test_a_host_without_requests_is_not_waited_for() -> None:
    world = World()
    assert world.wait() == {}
    assert world.time == 0


def test_waits_until_the_last_request_has_ended() -> None:
    world = World(litellm=[1, 1, 0], vllm_a_1=[1] * 20 + [0])
    assert world.wait() == {}
    assert world.time == 20


def test_a_request_that_litellm_still_holds_is_waited_for_in_the_engine() -> None:
    world = World(litellm=[1, 1, 1, 0], vllm_a_2=[0, 0, 0, 1, 1, 0])
    assert world.wait() == {}
    assert world.time == 5


def test_what_connects_to_a_server_that_had_no_request_is_not_waited_for() -> None:
    """A scrape of Prometheus leaves a connection for some seconds."""
    world = World(vllm_a_1=[1, 0, 1, 1, 1], vllm_a_2=[1, 1, 1, 1, 0])
    assert world.wait() == {}
    assert world.time == 4
    assert (2.0, "vllm-a-1") not in world.asked


def test_returns_what_is_left_of_every_server_when_the_time_is_over() -> None:
    world = World(litellm=[2], vllm_a_1=[0], vllm_a_2=[3])
    assert world.wait(5) == {"litellm": 2, "vllm-a-2": 3}
    assert world.time == 5


def test_with_no_time_each_server_is_looked_at_once() -> None:
    world = World(vllm_a_1=[1])
    assert world.wait(0) == {"vllm-a-1": 1}
    assert world.asked == [(0, "litellm"), (0, "vllm-a-1"), (0, "vllm-a-2")]


def test_reports_in_one_line() -> None:
    assert left_text({}, 120) == "no request of a client is under way"
    assert left_text({"vllm-b-1": 1, "vllm-a-1": 2}, 30) == (
        "requests are still under way after 30 s; connections: vllm-a-1 2, vllm-b-1 1"
    )


def test_prometheus_gets_the_time_of_the_file() -> None:
    assert since_text(NOON) == "2027-01-15T08:00:00Z"
    assert metrics(since_text(NOON), NOON + 99).splitlines()[-1].split() == [
        "inference_fleet_drained_since_timestamp_seconds",
        "1800000000",
    ]


@pytest.mark.parametrize("text", ["", "yesterday", "an unknown time"])
def test_a_file_that_an_admin_made_counts_from_now(text: str) -> None:
    assert metrics(text, NOON).splitlines()[-1].endswith(" 1800000000")


# What runs behind Caddy, and what Caddy answers


def engine(containers: Any) -> Callable[[str], Any]:
    """containers: label -> those that run, name -> process ID."""

    def ask(path: str) -> Any:
        if "filters=" not in path:
            return {"State": {"Pid": int(path.split("/")[2])}}
        for label, found in containers.items():
            if label in path:
                return [{"Id": str(pid), "Names": [f"/{name}"]} for name, pid in found.items()]
        return []

    return ask


def test_the_servers_are_the_running_containers_by_their_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"service%3Dlitellm": {"litellm": 10}, "model-name": {"vllm-a-1": 11, "vllm-ended-1": 0}}
    monkeypatch.setattr(front, "ask", engine(found))
    assert front.servers() == ([LITELLM], [ONE])


def test_a_docker_that_does_not_answer_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "ask", lambda _path: None)
    with pytest.raises(FleetError, match=r"^Docker does not answer"):
        front.servers()


class Caddy:
    """In place of http.client.HTTPSConnection. answer: the body, or what is raised."""

    def __init__(self, answer: bytes | Exception) -> None:
        self.answer = answer
        self.asked: list[Any] = []

    def __call__(self, *place: Any, **_options: Any) -> Caddy:
        self.asked.append(place)
        return self

    def request(self, *request: Any, headers: dict[str, str]) -> None:
        self.asked.append((*request, headers))

    def getresponse(self) -> Caddy:
        return self

    def read(self) -> bytes:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self) -> None:
        pass


@pytest.mark.parametrize(
    ("answer", "refuses"),
    [
        (json.dumps({"error": {"code": "host_drained"}}).encode(), True),
        (json.dumps({"error": {"code": "invalid_api_key"}}).encode(), False),
        (b"<html>", False),
        (b"[]", False),
        (b"", False),
        (ConnectionRefusedError(), None),
    ],
)
def test_asks_caddy_under_its_name_whether_it_refuses(
    answer: bytes | Exception, refuses: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    caddy = Caddy(answer)
    monkeypatch.setattr(front.http.client, "HTTPSConnection", caddy)
    assert front.refuses("gpu1.example.com") is refuses
    assert caddy.asked == [("127.0.0.1", 443), ("GET", "/v1/models", {"Host": "gpu1.example.com"})]

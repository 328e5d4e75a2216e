"""inference.fleet.service_ready: a container that gets ready, one that is slow, and one that never will."""

from __future__ import annotations

from time import strptime
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import service_ready as module
from ansible_collections.inference.fleet.tests.unit.engine.fake_engine import FakeEngine
from ansible_collections.inference.fleet.tests.unit.engine.world import converged, cpu
from ansible_collections.inference.fleet.tests.unit.running import Module

NAME = "vllm-a-1"


class Host:
    """A host with one container, which runs and is not healthy."""

    def __init__(self, main: Module) -> None:
        self.main = main
        self.engine: FakeEngine = converged(cpu("a")).engine

    def run(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        return self.main(check, **{"name": NAME, "timeout": 0, **arguments})


@pytest.fixture
def host(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(Module(module.main, capsys))
    monkeypatch.setattr(module, "Docker", lambda: host.engine)
    return host


def test_is_content_with_a_healthy_container(host: Host) -> None:
    host.engine.change(NAME, health="healthy")
    assert host.run() == {"hopeless": ""}


def test_one_that_is_slow_fails_and_is_not_hopeless(host: Host) -> None:
    host.engine.change(NAME, health="starting")
    for hopeless_fails in (True, False):
        told = host.run(hopeless_fails=hopeless_fails)
        assert told["failed"]
        assert told["msg"].startswith(f"{NAME}: runs, but is not ready after 0 s")
        assert told["hopeless"] == ""


def test_one_that_died_fails_and_says_so(host: Host) -> None:
    host.engine.change(NAME, status="exited", exit_code=2)
    host.engine.logs[NAME] = ["why it died"]
    told = host.run()
    assert told["failed"]
    assert told["msg"] == told["hopeless"]
    assert told["msg"].endswith("why it died")


def test_one_that_died_is_the_caller_s_to_judge_where_he_asks_for_that(host: Host) -> None:
    host.engine.change(NAME, status="restarting", exit_code=2)
    told = host.run(hopeless_fails=False)
    assert "failed" not in told
    assert told["hopeless"].startswith(f"{NAME}: died with exit code 2, is restarting now")


def test_a_container_that_is_missing_is_no_matter_of_starting_it_anew(host: Host) -> None:
    host.engine.containers.clear()
    told = host.run(hopeless_fails=False)
    assert told["failed"]
    assert "there is no such container" in told["msg"]


def test_a_docker_that_does_not_answer_fails(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    def docker() -> FakeEngine:
        raise FleetError("Docker does not answer")

    monkeypatch.setattr(module, "Docker", docker)
    assert host.run(hopeless_fails=False)["msg"] == "Docker does not answer"


def test_check_mode_waits_for_nothing(host: Host) -> None:
    host.engine.containers.clear()
    assert host.run(check=True) == {}


@pytest.mark.parametrize(
    ("waited", "more", "remembered"),
    [(20, {"remember": "litellm"}, {"litellm": 25}), (0.5, {"remember": "litellm"}, {}), (20, {}, {})],
)
def test_a_start_that_was_waited_for_is_remembered(
    host: Host, monkeypatch: pytest.MonkeyPatch, waited: float, more: dict[str, Any], remembered: dict[str, int]
) -> None:
    clock = iter([100.0, 100.0 + waited])
    found: dict[str, float] = {}
    monkeypatch.setattr(module, "wait_until_ready", lambda *_given, **_more: None)
    monkeypatch.setattr(module, "time", Mock(monotonic=clock.__next__, time=lambda: 1_000_000_025.0, strptime=strptime))
    monkeypatch.setattr(module, "write_starts", found.update)
    host.engine.change(NAME, started_at="2001-09-09T01:46:40.123456789Z")
    host.run(**more)
    assert found == remembered


def test_a_start_that_failed_is_not_remembered(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITED_S", -1)
    monkeypatch.setattr(module, "write_starts", lambda _found: pytest.fail("remembered"))
    assert host.run(remember="litellm")["failed"]

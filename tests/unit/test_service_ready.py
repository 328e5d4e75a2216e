"""inference.fleet.service_ready: a container that gets ready, one that is slow, and one that never will."""

from __future__ import annotations

from typing import Any

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

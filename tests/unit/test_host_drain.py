"""inference.fleet.host_drain: a file that Caddy looks up, and the wait for the requests under way."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway.host_drain import Server
from ansible_collections.inference.fleet.plugins.modules import host_drain
from ansible_collections.inference.fleet.tests.unit.running import Module

NOW, SINCE = 1_800_000_000.0, "2027-01-15T08:00:00Z"


class Host:
    """answers: whether Caddy refuses requests while the file exists. left: connections of the engine."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "caddy/drained"
        self.metrics = folder / "metrics/drained.prom"
        self.file.parent.mkdir()
        self.answers: bool | None = True
        self.left = 0
        self.time = NOW
        self.asked: list[str] = []

    def refuses(self, name: str) -> bool | None:
        assert self.file.exists()
        self.asked.append(name)
        return self.answers

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path)
    monkeypatch.setattr(host_drain.front, "refuses", host.refuses)
    monkeypatch.setattr(host_drain.front, "servers", lambda: ([], [Server("vllm-a-1", 7, 8000)]))
    monkeypatch.setattr(
        host_drain, "connections", lambda process, port: host.left if (process, port) == (7, 8000) else 0
    )
    for name, fake in {"time": lambda: host.time, "monotonic": lambda: host.time, "sleep": host.sleep}.items():
        monkeypatch.setattr(host_drain.time, name, fake)
    return host


Run = Callable[..., dict[str, Any]]


@pytest.fixture
def run(host: Host, capsys: pytest.CaptureFixture[str]) -> Run:
    module = Module(host_drain.main, capsys)
    paths = {"path": str(host.file), "metrics": str(host.metrics), "name": "gpu1.example.com"}
    return lambda state, check=False, **more: module(check, state=state, **paths, **more)


def test_drains_and_asks_caddy_whether_it_refuses(host: Host, run: Run) -> None:
    answer = run("drained")
    assert (answer["changed"], answer["since"], answer["left"]) == (True, SINCE, {})
    assert answer["text"] == f"drained since {SINCE}; no request of a client is under way"
    assert host.file.read_text() == f"{SINCE}\n"
    assert stat.S_IMODE(host.metrics.stat().st_mode) == 0o644
    assert host.asked == ["gpu1.example.com"]


def test_a_second_drain_keeps_the_time_and_waits_again(host: Host, run: Run) -> None:
    run("drained")
    host.time += 3600
    host.left = 2
    answer = run("drained", timeout=30)
    assert (answer["changed"], answer["since"], answer["left"]) == (False, SINCE, {"vllm-a-1": 2})
    assert answer["text"].endswith("requests are still under way after 30 s; connections: vllm-a-1 2")
    assert host.time == pytest.approx(NOW + 2 * host_drain.SETTLE_SECONDS + 3600 + 30, abs=host_drain.POLL_SECONDS)


def test_ends_and_can_be_ended_twice(host: Host, run: Run) -> None:
    run("drained")
    first, second = run("serving"), run("serving")
    assert (first["changed"], first["text"]) == (True, f"was drained since {SINCE}; accepts requests")
    assert (second["changed"], second["text"]) == (False, "was not drained")
    assert not host.file.exists() and not host.metrics.exists()


def test_check_mode_writes_nothing_and_waits_for_nothing(host: Host, run: Run) -> None:
    host.left = 1
    assert run("drained", check=True)["changed"]
    assert not host.file.exists() and not host.metrics.exists()
    assert host.time == NOW
    host.left = 0
    run("drained")
    assert run("serving", check=True)["changed"]
    assert host.file.exists() and host.metrics.exists()


def test_a_caddy_of_a_previous_version_is_a_fault_and_the_host_is_not_drained(host: Host, run: Run) -> None:
    host.answers = False
    answer = run("drained")
    assert answer["failed"]
    assert "previous version of the collection; the host is not drained; run install first" in answer["msg"]
    assert not host.file.exists() and not host.metrics.exists()


def test_a_host_whose_caddy_does_not_answer_is_drained_and_this_is_reported(host: Host, run: Run) -> None:
    host.answers = None
    assert run("drained")["text"].startswith(f"drained since {SINCE}; Caddy does not answer; ")
    assert host.file.exists()


def test_a_host_that_was_never_installed_is_a_fault(host: Host, run: Run) -> None:
    host.file.parent.rmdir()
    answer = run("drained")
    assert answer["failed"]
    expected = "expected the folder of Caddy's configuration, found none; run install first"
    assert answer["msg"] == f"{host.file.parent}: {expected}"


def test_an_empty_file_drains_too(host: Host, run: Run) -> None:
    host.file.touch()
    answer = run("drained")
    assert (answer["changed"], answer["since"]) == (False, "an unknown time")
    assert host.file.exists()

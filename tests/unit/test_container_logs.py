"""inference.fleet.container_logs: the module on a FAKE Docker, and the action that prints and follows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.inference.fleet.plugins.action import container_logs as action
from ansible_collections.inference.fleet.plugins.modules import container_logs as module
from ansible_collections.inference.fleet.tests.unit.running import Module


class FakeDocker:
    """log: each container's lines. asked: the calls."""

    def __init__(self) -> None:
        self.log: dict[str, list[str]] = {"vllm-a-1": ["2026-11-24T02:40:01.000000000Z one"], "litellm": []}
        self.asked: list[Any] = []

    def named(self, labels: dict[str, str]) -> list[str]:
        self.asked.append(labels)
        return sorted(self.log)

    def timed_lines(self, name: str, since: int, count: int) -> list[str]:
        self.asked.append((name, since, count))
        return self.log[name]


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> FakeDocker:
    fake = FakeDocker()
    monkeypatch.setattr(module, "Docker", lambda: fake)
    return fake


@pytest.mark.parametrize(
    ("arguments", "labels", "reads"),
    [
        ({}, {}, (0, 100)),
        ({"model": "a"}, {"model-name": "a"}, (0, 100)),
        ({"service": "litellm", "lines": 5}, {"service": "litellm"}, (0, 5)),
        ({"since": "1795488000"}, {}, (1795488000, 0)),
        ({"since": "1795488000", "lines": 7}, {}, (1795488000, 7)),
    ],
)
def test_reads_the_containers_that_were_asked_for(
    arguments: dict[str, Any],
    labels: dict[str, str],
    reads: tuple[int, int],
    docker: FakeDocker,
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = Module(module.main, capsys)(**arguments)
    assert docker.asked == [labels, ("litellm", *reads), ("vllm-a-1", *reads)]
    assert answer["lines"] == [["vllm-a-1", "one"]]
    assert answer["containers"] == ["litellm", "vllm-a-1"]


def test_goes_on_after_the_last_line_of_each_container(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    run = Module(module.main, capsys)
    answer = run(after=run()["after"])
    assert docker.asked[-2:] == [("litellm", 0, 100), ("vllm-a-1", 1795488001, 0)]
    assert answer["lines"] == []


def test_a_wrong_pattern_is_a_fault(docker: FakeDocker, capsys: pytest.CaptureFixture[str]) -> None:
    assert Module(module.main, capsys)(grep="(")["msg"].startswith("grep: expected a regular expression")


def run(
    answers: list[Any], monkeypatch: pytest.MonkeyPatch, **arguments: Any
) -> tuple[dict[str, Any], list[str], list[Any]]:
    """The action's answer, what it printed, and the module's arguments call by call."""
    shown: list[str] = []
    asked: list[Any] = []
    monkeypatch.setattr(action, "Display", lambda: SimpleNamespace(display=shown.append))
    monkeypatch.setattr(action.time, "sleep", lambda _seconds: None)
    plugin = action.ActionModule(SimpleNamespace(args=arguments), *[None] * 5)

    def execute(module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        asked.append(dict(module_args))
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return dict(answer)

    monkeypatch.setattr(plugin, "_execute_module", execute)
    return plugin.run(task_vars={"inventory_hostname": "gpu1"}), shown, asked


READ = {"containers": ["vllm-a-1"], "lines": [["vllm-a-1", "one"], ["vllm-a-1", "two"]], "after": {"vllm-a-1": "t2"}}
FAILED = {"failed": True, "msg": "Docker does not answer"}


def test_each_line_is_printed_with_its_host_and_its_container(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, shown, asked = run([READ], monkeypatch, model="a", since="10m")
    assert shown == ["gpu1 vllm-a-1: one\ngpu1 vllm-a-1: two"]
    assert answer == {"containers": ["vllm-a-1"], "after": {"vllm-a-1": "t2"}, "changed": False}
    assert asked[0].pop("since").isdigit()
    assert asked == [{"model": "a"}]


def test_a_wrong_time_is_a_fault_before_the_host_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    answer, _shown, asked = run([], monkeypatch, since="yesterday")
    assert answer["failed"] and answer["msg"].startswith("since: expected 90s")
    assert asked == []


def test_follows_until_the_log_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    new = {**READ, "lines": [["vllm-a-1", "three"]], "after": {"vllm-a-1": "t3"}}
    none = {**new, "lines": []}
    answers = [READ, AnsibleConnectionFailure("lost"), new, none, FAILED]
    answer, shown, asked = run(answers, monkeypatch, follow="true")
    assert shown == ["gpu1 vllm-a-1: one\ngpu1 vllm-a-1: two", "gpu1 vllm-a-1: three"]
    assert [one.get("after") for one in asked] == [None, *[{"vllm-a-1": "t2"}] * 2, *[{"vllm-a-1": "t3"}] * 2]
    assert answer == FAILED


def test_a_host_that_stays_away_ends_the_following(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AnsibleConnectionFailure):
        run([READ, *[AnsibleConnectionFailure("lost")] * action.LOST_AT_MOST], monkeypatch, follow=True)

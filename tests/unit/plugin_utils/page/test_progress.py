"""The progress of a run. events.jsonl: a run of ansible-runner 2.4.3, shortened to the fields that are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.plugin_utils.page.progress import (
    CHANGED,
    DONE,
    FAILED,
    HIDDEN,
    RUNS,
    Progress,
    followed,
    message,
)
from hypothesis import given
from hypothesis import strategies as st

EVENTS = [json.loads(line) for line in (Path(__file__).parent / "events.jsonl").read_text().splitlines()]


def event(counter: int, kind: str, host: str = "", task: str = "", **data: Any) -> dict[str, Any]:
    return {"counter": counter, "event": kind, "event_data": {"host": host, "task": task, **data}}


def test_a_run_that_is_over() -> None:
    found = followed(Progress(), EVENTS)
    assert (found.ended, found.play, found.tasks) == (True, "First play", 5)
    assert found.seconds > 0
    a, b = found.hosts["a"], found.hosts["b"]
    assert (a.state, a.changed) == (CHANGED, ("Write a file", "A loop"))
    assert (b.state, b.faults) == (FAILED, ("Fails on b: b: expected c\nsecond line",))


def test_a_run_that_goes_on() -> None:
    half = [one for one in EVENTS if one["counter"] <= 15]
    found = followed(Progress(), half)
    assert (found.ended, found.task) == (False, "A secret")
    assert {host.state for host in found.hosts.values()} == {RUNS}
    assert {host.task for host in found.hosts.values()} == {"A secret"}


@given(st.lists(st.integers(0, len(EVENTS)), max_size=4))
def test_events_may_come_in_any_portions_and_again(cuts: list[int]) -> None:
    found = Progress()
    for cut in sorted(cuts):
        found = followed(found, EVENTS[:cut])
    assert followed(found, EVENTS) == followed(Progress(), EVENTS)


def test_what_a_rescue_made_good_is_no_fault_at_the_end() -> None:
    failed = event(1, "runner_on_failed", "a", "Start", res={"msg": "no"})
    running = followed(Progress(), [failed])
    assert running.hosts["a"].state == FAILED
    assert followed(running, [event(2, "playbook_on_stats", failures={}, dark={})]).hosts["a"].state == DONE
    dark = followed(running, [event(2, "playbook_on_stats", failures={}, dark={"a": 1})])
    assert dark.hosts["a"].faults == ("Start: no",)


def test_errors_that_a_task_ignores_are_no_faults() -> None:
    found = followed(Progress(), [event(1, "runner_on_failed", "a", "Look", ignore_errors=True, res={"msg": "no"})])
    assert found.hosts["a"].state == RUNS


@pytest.mark.parametrize(
    ("result", "words"),
    [
        ({"censored": "hidden", "msg": "sk-secret"}, HIDDEN),
        ({"msg": " a fault \n"}, "a fault"),
        ({"stderr": "a word"}, "a word"),
        ({"results": [{"failed": False, "msg": "x"}, {"failed": True, "msg": "y"}], "msg": "one or more failed"}, "y"),
        ({}, "failed"),
        ({"msg": "x" * 1_000_000}, "x" * 2_000),
    ],
)
def test_what_a_failed_task_says(result: dict[str, Any], words: str) -> None:
    assert message(result) == words

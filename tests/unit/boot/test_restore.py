"""The record of a restore: the report of each step, and what to do about it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import (
    ITSELF,
    STEPS,
    Restore,
    Step,
    last_restore,
)
from hypothesis import given
from hypothesis import strategies as st

BEGAN = 1_767_225_600.0  # 2026-01-01 00:00:00 UTC


def restore(*faults: str | None, by: str = "the host itself", ended: bool = True) -> Restore:
    """A restore whose first steps, of ten seconds each, had these results."""
    made = Restore(BEGAN, by)
    for place, fault in enumerate(faults, start=1):
        made = made.after(None, BEGAN + 10 * place, fault)
    return replace(made, ended=BEGAN + 10 * len(faults)) if ended else made


def reported(record: Restore | str, *unit: str) -> list[str]:
    """What the playbook status shows."""
    text = record if isinstance(record, str) else json.dumps(record.plain())
    lines: list[str] = last_restore(text, "\n".join(unit))["text"]
    return lines


# Steps


def test_steps_that_are_not_named_come_in_their_order() -> None:
    assert [step.name for step in restore(*[None] * len(STEPS)).steps] == list(STEPS)


def test_a_step_takes_from_the_end_of_the_one_before_to_its_own() -> None:
    steps = Restore(100.0, "me").after("checks", 103.0).after("foundation", 103.0).after("GPUs", 110.5).steps
    assert [step.seconds for step in steps] == [3.0, 0.0, 7.5]


@given(st.lists(st.floats(0, 1e10), max_size=8), st.floats(0, 1e10))
def test_a_clock_that_is_moved_makes_no_time_negative(clock: list[float], ended: float) -> None:
    made = Restore(BEGAN, "me")
    for now in clock:
        made = made.after(None, now)
    assert all(step.seconds >= 0 for step in made.steps)
    assert " -" not in replace(made, ended=ended).verdict()


def test_what_fails_without_a_name_is_the_step_that_was_under_way() -> None:
    failed = restore(None, None, None).after(None, BEGAN + 40, "no space left on device").steps[-1]
    assert (failed.name, failed.fault) == ("PostgreSQL", "no space left on device")


def test_after_the_last_step_there_is_none_but_the_last_to_blame() -> None:
    assert restore(*[None] * len(STEPS)).next_step() == "models ready"


# Metrics for Prometheus


def metrics(made: Restore) -> dict[str, float]:
    lines = [line.split() for line in made.metrics().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_prometheus_is_reported_whether_it_failed_and_since_when_that_is_known() -> None:
    began = {"inference_fleet_restore_began_timestamp_seconds": BEGAN}
    assert metrics(restore(*[None] * len(STEPS))) == {**began, "inference_fleet_restore_failed": 0}
    assert metrics(restore(None, "no disk")) == {**began, "inference_fleet_restore_failed": 1}
    assert metrics(restore(None, ended=False)) == began


# What is reported of it


def test_a_restore_that_went_well_is_its_steps_with_their_times() -> None:
    done = restore(*[None] * len(STEPS))
    assert done.verdict() == "succeeded after 90.0 s"
    assert done.lines() == [f"  {name:12}    10.0 s" for name in STEPS]


def test_where_it_stopped_it_tells_what_to_do_and_what_was_not_tried() -> None:
    stopped = restore(None, None, None, "postgres is not ready after 300 s")
    assert stopped.verdict() == "ended with faults after 40.0 s"
    assert stopped.lines()[3:] == [
        "  PostgreSQL      10.0 s  FAILED",
        "  not tried: models, LiteLLM, Caddy, monitoring, models ready",
        "PostgreSQL: postgres is not ready after 300 s",
        f"  what to do: {STEPS['PostgreSQL']}",
    ]


def test_models_that_failed_keep_no_other_step_from_being_reported() -> None:
    lines = restore(*[None] * (len(STEPS) - 1), "vllm-a-1: exited with 1").lines()
    assert [line for line in lines if "not tried" in line] == []
    assert lines[len(STEPS) :] == ["models ready: vllm-a-1: exited with 1", f"  what to do: {STEPS['models ready']}"]


def test_each_line_of_a_fault_is_a_line() -> None:
    fault = "vllm-a-1: exited; its log:\n    no weights\nvllm-b-1: exited"
    lines = restore(*[None] * (len(STEPS) - 1), fault).lines()
    assert lines[len(STEPS) : -1] == ["models ready: vllm-a-1: exited; its log:", "    no weights", "vllm-b-1: exited"]


def test_of_one_that_has_not_ended_nothing_is_called_untried() -> None:
    assert restore(None, ended=False).lines() == ["  checks          10.0 s"]
    assert restore(None, ended=False).verdict() == "was interrupted, or is still running"


@given(st.lists(st.none() | st.text("abc ", min_size=1, max_size=20), max_size=len(STEPS)))
def test_every_fault_is_reported_with_what_to_do_about_it(faults: list[str | None]) -> None:
    made = restore(*faults)
    lines = made.lines()
    assert made.verdict().startswith("ended with faults" if any(faults) else "succeeded")
    for name, fault in zip(STEPS, faults, strict=False):
        assert (f"  what to do: {STEPS[name]}" in lines) == (f"{name}: {fault}" in lines) == (fault is not None)


def test_a_step_of_another_version_is_reported_too() -> None:
    lines = Restore(BEGAN, "me", (Step("backups", 1.0, "no disk"),), BEGAN + 1).lines()
    assert lines[-2:] == ["backups: no disk", "  what to do: run reboot_restore again"]


# The record


steps = st.builds(Step, st.text(max_size=9), st.floats(0, 1e9), st.none() | st.text(max_size=9))
restores = st.builds(
    Restore, st.floats(0, 1e11), st.text(max_size=9), st.lists(steps).map(tuple), st.none() | st.floats(0, 1e11)
)


@given(restores)
def test_a_record_is_read_back_as_it_was(made: Restore) -> None:
    assert Restore.parse(json.loads(json.dumps(made.plain()))) == made


NO_RECORD = "the record of the last restore is damaged; the next restore replaces it"


@pytest.mark.parametrize(
    "changes",
    [
        {"began": "yesterday"},
        {"began": None},
        {"began": 1e300},
        {"began": float("nan")},
        {"ended": []},
        {"steps": 7},
        {"steps": ["checks"]},
        {"steps": [{"name": "checks"}]},
        {"steps": [{"name": "checks", "seconds": "long", "fault": None}]},
    ],
)
def test_a_record_that_was_edited_is_called_so(changes: dict[str, Any]) -> None:
    assert reported(json.dumps({**restore(None).plain(), **changes})) == [NO_RECORD]


@given(st.integers(1, 400))
def test_a_record_that_was_cut_off_is_called_so(length: int) -> None:
    whole = json.dumps(restore(None, None, "a GPU fell off").plain())
    assert reported(whole[: min(length, len(whole) - 1)]) == [NO_RECORD]


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
)


@given(st.fixed_dictionaries(dict.fromkeys(("began", "by", "steps", "ended"), json_values)) | json_values)
def test_a_record_of_anything_can_be_shown(data: Any) -> None:
    assert reported(json.dumps(data))


# What the playbook status shows


def test_shows_the_last_restore_with_its_time_and_who_ran_it() -> None:
    lines = reported(
        restore(None, by="root@laptop"), "ActiveState=inactive", "Result=success", "ExecMainExitTimestamp="
    )
    assert lines[0] == "restore of 2026-01-01 00:00:00 UTC by root@laptop: succeeded after 10.0 s"
    assert lines[1] == "  checks          10.0 s"


@pytest.mark.parametrize("record", ["", "\n"])
def test_a_host_without_a_record_is_called_so(record: str) -> None:
    assert reported(record) == ["no restore has been recorded on this host"]


def test_a_unit_that_failed_is_reported_with_where_to_look_even_without_a_record() -> None:
    """For example without ansible-core, so no record was written."""
    unit = ("ActiveState=failed", "Result=exit-code", f"ExecMainExitTimestamp=@{BEGAN + 10:.0f}")
    failed = (
        "inference-fleet-restore.service failed (exit-code, 2026-01-01 00:00:10 UTC); "
        "`journalctl --boot --unit inference-fleet-restore` on the host shows its log"
    )
    for record in ("", "{", restore(None)):
        assert reported(record, *unit)[-1] == failed


def test_a_record_from_before_the_failure_is_called_older() -> None:
    unit = ("ActiveState=failed", "Result=exit-code", f"ExecMainExitTimestamp=@{BEGAN + 3600:.0f}")
    lines = reported(restore(None), *unit)
    assert lines[0].startswith("inference-fleet-restore.service failed (exit-code, 2026-01-01 01:00:00 UTC)")
    assert lines[1] == "the unit failed before it recorded a restore. The last record is older:"
    assert lines[2].startswith("restore of 2026-01-01 00:00:00 UTC")


def test_a_failure_soon_after_a_restore_that_went_well_is_another_one_s() -> None:
    unit = ("ActiveState=failed", "Result=exit-code", f"ExecMainExitTimestamp=@{BEGAN + 15:.0f}")
    assert reported(restore(None), *unit)[0].startswith("inference-fleet-restore.service failed")
    assert reported(restore("no disk"), *unit)[-1].startswith("inference-fleet-restore.service failed")


@pytest.mark.parametrize(
    ("by", "state", "verdict"),
    [
        (ITSELF, "inactive", "was interrupted"),
        (ITSELF, "activating", "was interrupted, or is still running"),
        ("root@laptop", "inactive", "was interrupted, or is still running"),
    ],
)
def test_one_without_an_end_is_called_cut_off_where_that_is_known(by: str, state: str, verdict: str) -> None:
    assert reported(restore(None, ended=False, by=by), f"ActiveState={state}")[0].endswith(f"{by}: {verdict}")


def test_a_unit_that_never_ran_its_command_failed_at_no_known_time() -> None:
    lines = reported("", "ActiveState=failed", "Result=resources", "ExecMainExitTimestamp=")
    assert "(resources, at an unknown time)" in lines[-1]


def test_a_program_gets_the_record_and_the_units_state() -> None:
    made = restore(None, "no disk")
    answer = last_restore(json.dumps(made.plain()), "ActiveState=failed\nResult=exit-code\n")
    assert (answer["record"], answer["unit"]) == (made.plain(), "failed")


@pytest.mark.parametrize("record", ["", "{", "[]", "null", '{"began": 1}'])
def test_a_program_gets_null_for_what_is_not_there_or_not_whole(record: str) -> None:
    answer = last_restore(record, "")
    assert (answer["record"], answer["unit"]) == (None, None)


def test_a_restore_that_is_at_work_is_told() -> None:
    assert reported("", "ActiveState=activating")[-1] == "inference-fleet-restore.service is running now"

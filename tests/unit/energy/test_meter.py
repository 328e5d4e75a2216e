"""Readings become energy, and time not measured becomes a gap; every second is in exactly one row."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy.holders import (
    UNKNOWN,
    Holder,
    Share,
    Shares,
)
from ansible_collections.inference.fleet.plugins.module_utils.energy.meter import (
    NO_LINE,
    NOT_RUN,
    PERIOD_S,
    Meter,
    Moment,
    parse_reading,
)
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import CLOCK, ENERGY, GAP, Row
from hypothesis import given
from hypothesis import strategies as st

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC).timestamp()
ONE, OTHER = "GPU-1", "GPU-2"
CHAT = Holder("chat", "vllm-chat-1", "2026-11-24T03:12:40Z 0123456789ab")
HALVES: Shares = {ONE: (Share(0.75, "3g.20gb", CHAT), Share(0.25, note="unassigned"))}


def at(seconds: float, ahead: float = 0.0) -> Moment:
    return Moment(1000 + seconds, NOON + seconds + ahead)


def run(meter: Meter, watts: dict[float, float], gpu: str = ONE) -> list[Row]:
    """watts: by seconds after noon."""
    return [row for seconds, reported in watts.items() for row in meter.read(at(seconds), {gpu: reported})]


def steady(watts: float, begin: int, end: int, step: int = 1) -> dict[float, float]:
    return {float(second): watts for second in range(begin, end + 1, step)}


def wh(rows: list[Row]) -> float:
    return sum(row.wh for row in rows)


def spans(rows: list[Row], kind: str) -> list[tuple[float, float]]:
    """Seconds after noon."""
    return [(round(row.start - NOON, 3), round(row.end - NOON, 3)) for row in rows if row.kind == kind]


def test_the_trapezoid_between_two_readings() -> None:
    meter = Meter(1)
    run(meter, {0: 100.0, 1: 300.0, 2: 300.0})
    (row,) = meter.close(at(2))
    assert row.wh == pytest.approx((200 + 300) / 3600)
    assert (row.seconds, row.kind, row.gpu, row.note) == (2, ENERGY, ONE, UNKNOWN)


@given(st.lists(st.floats(0.01, 2.9), min_size=1, max_size=40), st.integers(0, 60))
def test_a_straight_line_is_integrated_exactly_however_it_is_sampled(steps: list[float], slope: int) -> None:
    meter, now, rows = Meter(1), 0.0, []
    rows += meter.read(at(0), {ONE: 100.0})
    for step in steps:
        now += step
        rows += meter.read(at(now), {ONE: 100.0 + slope * now})
    rows += meter.close(at(now))
    assert wh(rows) == pytest.approx((100 * now + slope * now**2 / 2) / 3600)
    assert sum(row.seconds for row in rows) == pytest.approx(now)


def test_rows_end_every_five_minutes_and_follow_one_another() -> None:
    meter = Meter(1)
    rows = [*run(meter, steady(360.0, 0, 700)), *meter.close(at(700))]
    assert spans(rows, ENERGY) == [(0, PERIOD_S), (PERIOD_S, 2 * PERIOD_S), (2 * PERIOD_S, 700)]
    assert wh(rows) == pytest.approx(70)


def test_the_parts_of_a_gpu_add_up_to_it() -> None:
    meter = Meter(1)
    meter.hold(HALVES)
    run(meter, steady(3600.0, 0, 4))
    model, free = meter.close(at(4))
    assert (model.wh, free.wh) == (3, 1)
    assert (model.device, model.model, model.container, model.session) == (
        "3g.20gb",
        CHAT.model,
        CHAT.container,
        CHAT.session,
    )
    assert (free.model, free.note) == ("", "unassigned")


def test_another_holder_begins_a_row_of_its_own() -> None:
    meter = Meter(1)
    meter.hold(HALVES)
    run(meter, steady(3600.0, 0, 4))
    before = meter.hold({ONE: (Share(1.0, "", CHAT),)})
    assert wh(before) == 4
    assert not meter.hold({ONE: (Share(1.0, "", CHAT),)}), "the same again is no change"
    run(meter, steady(3600.0, 5, 6))
    (after,) = meter.close(at(6))
    assert (after.wh, after.start - NOON) == (2, 4)


def test_a_holder_that_is_not_known_is_said() -> None:
    meter = Meter(1)
    meter.hold(HALVES)
    run(meter, steady(10.0, 0, 1))
    meter.hold(None)
    run(meter, {2.0: 10.0})
    (row,) = meter.close(at(2))
    assert (row.model, row.note) == ("", UNKNOWN)


def test_two_readings_too_far_apart_are_a_gap_and_nothing_is_guessed() -> None:
    meter = Meter(1)
    rows = [*run(meter, {0: 100.0, 1: 100.0, 9: 900.0, 10: 900.0}), *meter.close(at(10))]
    assert spans(rows, ENERGY) == [(0, 1), (9, 10)]
    assert spans(rows, GAP) == [(1, 9)]
    assert wh(rows) == pytest.approx(1000 / 3600)
    assert [row.note for row in rows if row.kind == GAP] == [NO_LINE]


def test_a_reading_that_is_late_within_three_intervals_is_none() -> None:
    meter = Meter(5)
    rows = [*run(meter, {0: 72.0, 5: 72.0, 20: 72.0}), *meter.close(at(20))]
    assert spans(rows, ENERGY) == [(0, 20)]
    assert wh(rows) == pytest.approx(0.4)


@pytest.mark.parametrize("word", ["[N/A]", "[Not Supported]", "[Unknown Error]", "[GPU is lost]"])
def test_a_gpu_that_tells_no_power_is_a_gap_with_its_word_and_costs_the_others_nothing(word: str) -> None:
    meter, rows = Meter(1), []
    for second in range(8):
        rows += meter.read(at(second), {ONE: 60.0, OTHER: word if second > 2 else 60.0})
    rows += meter.close(at(7))
    assert spans([row for row in rows if row.gpu == ONE], ENERGY) == [(0, 7)]
    assert spans([row for row in rows if row.gpu == OTHER], ENERGY) == [(0, 2)]
    (gap,) = [row for row in rows if row.kind == GAP]
    assert (gap.gpu, gap.note, gap.seconds) == (OTHER, word, 5)


def test_a_gpu_that_never_tells_any_is_a_gap_from_its_first_line() -> None:
    meter = Meter(1)
    rows = [row for second in range(301) for row in meter.read(at(second), {ONE: "[N/A]"})]
    assert spans(rows, GAP) == [(0, 300)]


def test_a_gap_that_goes_on_is_reported_every_five_minutes_with_its_reason() -> None:
    meter = Meter(1)
    rows = run(meter, {298: 50.0, 299: 50.0})
    meter.trouble("nvidia-smi reported no power for 10 s")
    for second in range(300, 901):
        rows += meter.read(at(second), {})
    assert spans(rows, GAP) == [(299, 600), (600, 900)]
    assert {row.note for row in rows if row.kind == GAP} == {"nvidia-smi reported no power for 10 s"}
    rows = [*run(meter, {902: 50.0, 903: 50.0}), *meter.close(at(903))]
    assert (spans(rows, GAP), spans(rows, ENERGY)) == ([(900, 902)], [(902, 903)])


def test_who_goes_on_after_a_stop_counts_nothing_twice_and_marks_the_time_between() -> None:
    first = Meter(1)
    rows = [*run(first, steady(36.0, 0, 10)), *first.close(at(10.4))]
    second = Meter(1, {ONE: max(row.end for row in rows)})
    rows += [*run(second, steady(36.0, 15, 25)), *second.close(at(25))]
    assert spans(rows, ENERGY) == [(0, 10), (15, 25)]
    assert spans(rows, GAP) == [(10, 15)]
    assert [row.note for row in rows if row.kind == GAP] == [NOT_RUN]


def test_trouble_before_the_first_reading_is_what_the_gap_before_it_is_due_to() -> None:
    meter = Meter(1, {ONE: NOON - 10, OTHER: NOON - 10})
    meter.trouble("no nvidia-smi on this host")
    (one, other) = meter.read(at(0), {ONE: 36.0, OTHER: 36.0})
    assert one.note == other.note == "no nvidia-smi on this host"


def test_a_gpu_that_is_new_has_no_gap_before_it() -> None:
    meter = Meter(1, {OTHER: NOON - 1000})
    assert not spans(run(meter, steady(36.0, 0, 3)), GAP)


@pytest.mark.parametrize("step", [3600.0, -3600.0, 40_000_000.0])
def test_a_clock_that_is_set_changes_no_energy(step: float) -> None:
    meter, rows = Meter(1), []
    for second in range(41):
        rows += meter.read(at(second, step if second > 20 else 0.0), {ONE: 90.0})
    rows += meter.close(at(40, step))
    assert wh(rows) == pytest.approx(1)
    assert sum(row.seconds for row in rows) == 40
    assert not spans(rows, GAP)
    before, *after = spans(rows, ENERGY)
    assert before == (0, 20)
    assert (after[0][0], after[-1][1]) == (20 + step, 40 + step)
    (reported,) = [row for row in rows if row.kind == CLOCK]
    assert (reported.note, reported.gpu) == (f"the clock was set by {step:+.1f} s", "")
    assert (reported.start - NOON, reported.end - NOON) == (21, 21 + step)


def test_a_clock_behind_what_was_written_makes_no_gap() -> None:
    meter = Meter(1, {ONE: NOON + 5000})
    assert not spans([*run(meter, steady(36.0, 0, 3)), *meter.close(at(3))], GAP)


def test_a_clock_that_is_corrected_gently_sets_nothing() -> None:
    meter = Meter(1)
    rows = [row for second in range(1000) for row in meter.read(at(second, second * 0.0005), {ONE: 90.0})]
    assert {row.kind for row in rows} == {ENERGY}


readings = st.lists(
    st.tuples(
        st.floats(0.1, 20),
        st.dictionaries(st.sampled_from([ONE, OTHER]), st.floats(0, 700) | st.just("[N/A]"), max_size=2),
        st.sampled_from([0.0, 0.0, 0.0, 3600.0, -500.0]),
    ),
    min_size=1,
    max_size=30,
)


@given(readings)
def test_every_second_since_a_gpus_first_line_is_in_one_row(
    reported: list[tuple[float, dict[str, object], float]],
) -> None:
    meter, now, ahead, first, rows = Meter(1), 0.0, 0.0, {}, []
    for step, watts, clock in reported:
        now, ahead = now + step, ahead + clock
        rows += meter.read(at(now, ahead), watts)
        first.update({gpu: now for gpu in watts if gpu not in first})
    rows += meter.close(at(now + 10, ahead))
    for gpu, begun in first.items():
        own = [row for row in rows if row.gpu == gpu]
        assert sum(row.seconds for row in own) == pytest.approx(now + 10 - begun)
        assert all(row.seconds == pytest.approx(row.end - row.start, abs=1e-3) for row in own)


@pytest.mark.parametrize(
    ("line", "reading"),
    [
        ("GPU-14ac2834-0d81, 43.21", ("GPU-14ac2834-0d81", 43.21)),
        ("GPU-14ac2834-0d81, 700", ("GPU-14ac2834-0d81", 700.0)),
        ("GPU-14ac2834-0d81, [N/A]\r", ("GPU-14ac2834-0d81", "[N/A]")),
        ("GPU-14ac2834-0d81, [GPU requires reset]", ("GPU-14ac2834-0d81", "[GPU requires reset]")),
        ("[GPU is lost], [GPU is lost]", None),
        ("GPU-14ac2834-0d81, 43.21 W", None),
        ("GPU-14ac2834-0d81, 4\x003.21", None),
        ("GPU-14ac2834-0d81, nan", None),
        ("GPU-14ac2834-0d81, -5", None),
        ("GPU-14ac2834-0d81, 1e9", None),
        ("GPU-14ac2834-0d81", None),
        ("Unable to determine the device handle for GPU0000:0F:00.0: GPU is lost.", None),
        ("", None),
    ],
)
def test_a_line_is_a_reading_or_nothing(line: str, reading: object) -> None:
    assert parse_reading(line) == reading

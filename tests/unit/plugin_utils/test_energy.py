"""Reports of energy: which days, the sums of a host, tables and charts."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import CLOCK, ENERGY, GAP, HEADING, Row
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.energy import (
    UNMEASURED,
    Period,
    price_of,
    tables,
    usage,
)
from ansible_collections.inference.fleet.plugins.plugin_utils.energy_chart import _amount, draw
from ansible_collections.inference.fleet.tests.lab import energy_month

TODAY = date(2026, 11, 25)
HOUR, DAY = 3600, 86400
MIDNIGHT = datetime(2026, 11, 23, tzinfo=UTC).timestamp()
PERIOD = Period(date(2026, 11, 23), date(2026, 11, 24))
SVG = "{http://www.w3.org/2000/svg}"


def lines(*rows: Row) -> list[str]:
    return [HEADING.strip(), *(row.line().strip() for row in rows)]


def row(
    start: float, wh: float = 1000.0, model: str = "chat", kind: str = ENERGY, gpu: str = "GPU-1", note: str = ""
) -> Row:
    session = "2026-11-23T01:00:00Z 5f3c1d2e4a6b" if model else ""
    begin = MIDNIGHT + start
    return Row(
        begin, begin + HOUR, kind, gpu, "", model, f"vllm-{model}-1" if model else "", session, HOUR, wh, note=note
    )


# Which days


@pytest.mark.parametrize(
    ("unit", "first", "last", "period"),
    [
        ("day", None, None, (date(2026, 10, 27), TODAY)),
        ("week", None, None, (date(2026, 9, 3), TODAY)),
        ("month", None, None, (date(2025, 11, 26), TODAY)),
        ("day", "2026-11-01", "2026-11-30", (date(2026, 11, 1), date(2026, 11, 30))),
        ("day", date(2026, 11, 1), "2026-11-01", (date(2026, 11, 1), date(2026, 11, 1))),
    ],
)
def test_a_period_ends_today_unless_it_is_said(unit: str, first: Any, last: Any, period: tuple[date, date]) -> None:
    assert Period.parse(unit, first, last, TODAY) == Period(*period, unit)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (("mont", None, None), "period: expected one of day, week, month, got 'mont'; did you mean 'month'?"),
        (("day", "1.11.2026", None), "first: expected a day such as 2026-11-30, got '1.11.2026'"),
        (("day", None, "2026-02-30"), "last: expected a day such as 2026-11-30, got '2026-02-30'"),
        (("day", "2026-11-02", "2026-11-01"), "first: 2026-11-02 is after last, 2026-11-01"),
    ],
)
def test_a_period_that_is_none_is_reported(given: tuple[Any, Any, Any], fault: str) -> None:
    with pytest.raises(FleetError) as reported:
        Period.parse(*given, TODAY)
    assert reported.value.faults == (fault,)


@pytest.mark.parametrize("price", ["dear", -1, "nan", "inf", [1]])
def test_a_price_that_is_none_is_reported(price: Any) -> None:
    with pytest.raises(FleetError, match=r"^price: expected what a kWh costs, such as 0.31, got "):
        price_of(price)


def test_bars_are_cut_at_the_ends_of_the_period() -> None:
    weeks = Period(date(2026, 11, 4), date(2026, 11, 17), "week")
    assert [(str(day), str(weeks.ends(day))) for day in weeks.bars()] == [
        ("2026-11-04", "2026-11-08"),
        ("2026-11-09", "2026-11-15"),
        ("2026-11-16", "2026-11-17"),
    ]
    months = Period(date(2026, 12, 30), date(2027, 2, 2), "month")
    assert [(str(day), str(months.ends(day))) for day in months.bars()] == [
        ("2026-12-30", "2026-12-31"),
        ("2027-01-01", "2027-01-31"),
        ("2027-02-01", "2027-02-02"),
    ]
    assert weeks.files() == ("energy-2026-11-04.csv", "energy-2026-11-17.csv")


# The sums of a host


def test_a_host_is_summed_up_by_day_model_and_session() -> None:
    free = row(0, 30.0, "", note="unassigned")
    found = usage(lines(row(0), row(HOUR, 500.0), free, row(DAY), row(0, kind=CLOCK)), PERIOD, MIDNIGHT + DAY)
    assert [(day, kind, model, seconds, wh) for day, kind, model, _, _, seconds, wh in found.sums] == [
        ("2026-11-23", ENERGY, "(unassigned)", HOUR, 30),
        ("2026-11-23", ENERGY, "chat", 2 * HOUR, 1500),
        ("2026-11-24", ENERGY, "chat", HOUR, 1000),
    ]
    assert found.note == ""


def test_what_was_not_measured_is_reported_separately_and_a_broken_line_is_passed_by() -> None:
    reported = [*lines(row(0), row(HOUR, 0.0, "", GAP, note="[N/A]")), "2026-11-23T0", "\0\0"]
    found = usage(reported, PERIOD, MIDNIGHT + 2 * HOUR)
    assert found.sums[1] == ("2026-11-23", GAP, UNMEASURED, "", "", HOUR, 0)


def test_a_host_that_went_silent_is_a_gap_up_to_now_or_to_the_end_of_the_period() -> None:
    rows = lines(row(0), row(0, gpu="GPU-2"))
    found = usage(rows, PERIOD, MIDNIGHT + DAY + HOUR)
    assert [(day, round(seconds)) for day, kind, *_, seconds, _ in found.sums if kind == GAP] == [
        ("2026-11-23", 2 * 23 * HOUR),
        ("2026-11-24", 2 * HOUR),
    ]
    assert found.note.startswith("nothing since 2026-11-23 01:00 UTC; systemctl status inference-fleet-energy")
    assert not usage(rows, PERIOD, MIDNIGHT + HOUR + 300).note
    late = usage(rows, PERIOD, MIDNIGHT + 30 * DAY)
    assert round(sum(one[5] for one in late.sums if one[1] == GAP)) == 2 * 47 * HOUR


def test_a_host_without_rows_says_so() -> None:
    assert usage([], PERIOD, MIDNIGHT).note == "nothing was measured in this period"


# Tables and charts


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Host -> its sums, of a month measured by the real meter."""
    folder = tmp_path_factory.mktemp("month")
    read = {}
    for host in ("gpu1", "gpu2"):
        (folder / host).mkdir()
        energy_month.write(host, folder / host)
        reported = [line for path in sorted((folder / host).iterdir()) for line in path.read_text().splitlines()]
        read[host] = usage(reported, OCTOBER, energy_month.BEGIN + 31 * DAY).sums
    return read


OCTOBER = Period(date(2026, 10, 1), date(2026, 10, 31))


@pytest.mark.parametrize(("unit", "bars"), [("day", 31), ("week", 5), ("month", 1)])
def test_the_tables_have_all_the_energy_whatever_a_bar_is(month: dict[str, Any], unit: str, bars: int) -> None:
    found = tables(month, Period(OCTOBER.first, OCTOBER.last, unit), 0.5, "EUR").periods
    whole = sum(one[6] for sums in month.values() for one in sums) / 1000
    assert found["kwh"].sum() == pytest.approx(whole)
    assert found["cost_EUR"].sum() == pytest.approx(whole / 2, rel=1e-3)
    assert found["from"].nunique() == bars
    gaps = found[found["model"] == UNMEASURED]
    assert gaps["hours"].sum() == pytest.approx(2 * 17, abs=0.1)
    assert gaps["kwh"].isna().all()


def test_a_session_is_a_container_from_its_start_to_its_stop(month: dict[str, Any]) -> None:
    found = tables(month, OCTOBER, None, "").sessions
    chat = found[found["model"] == "qwen3-8b"]
    assert chat["started"].tolist() == ["2026-10-01T00:00:00Z", "2026-10-24T00:00:00Z"]
    assert chat["last_day"].tolist() == ["2026-10-19", "2026-10-31"]
    assert chat["container_id"].nunique() == 2
    assert "cost" not in found


def test_a_period_without_any_model_has_no_sessions() -> None:
    sums = usage(lines(row(0, 30.0, "", note="unassigned")), PERIOD, MIDNIGHT + HOUR).sums
    found = tables({"gpu1": sums}, PERIOD, None, "")
    assert found.sessions.empty
    assert found.periods[["host", "model", "kwh"]].to_numpy().tolist() == [["gpu1", "(unassigned)", 0.03]]


def words(path: Path) -> list[str]:
    return ["".join(text.itertext()).strip() for text in ET.parse(path).iter(f"{SVG}text")]


def test_the_chart_says_what_it_shows(month: dict[str, Any], tmp_path: Path) -> None:
    found = tables(month, OCTOBER, 0.31, "EUR").periods
    draw(found, OCTOBER, 0.31, "EUR", tmp_path / "chart.svg")
    reported = words(tmp_path / "chart.svg")
    total = found["kwh"].sum()
    assert "Energy of the GPUs, 1 to 31 October 2026" in reported
    assert f"{total:.0f} kWh in all, {total * 0.31:.0f} EUR at 0.31 a kWh" in reported
    assert {"kWh", "EUR", "GPU hours", "day (UTC)", "1 Oct"} <= set(reported)
    legend = [text.split()[0] for text in reported if text.endswith(" kWh")][1:]
    assert legend == ["(unassigned)", "bge-m3", "whisper-large", "flux-dev", "qwen3-8b", "qwen3-32b"]
    assert any(text.startswith("not measured  34 GPU hours") for text in reported)


def test_the_same_data_is_the_same_chart(month: dict[str, Any], tmp_path: Path) -> None:
    found = tables(month, OCTOBER, None, "").periods
    for kind in ("svg", "png"):
        for name in ("one", "other"):
            draw(found, OCTOBER, None, "", tmp_path / f"{name}.{kind}")
        assert (tmp_path / f"one.{kind}").read_bytes() == (tmp_path / f"other.{kind}").read_bytes()


def test_a_chart_of_many_models_and_no_gap_is_drawn_too(tmp_path: Path) -> None:
    reported = lines(*(row(0, 10.0 + number, f"model-{number}") for number in range(30)))
    found = tables({"gpu1": usage(reported, PERIOD, MIDNIGHT + HOUR).sums}, PERIOD, 0, "")
    draw(found.periods, PERIOD, 0, "", tmp_path / "chart.svg")
    reported = words(tmp_path / "chart.svg")
    assert any(text.startswith("(other models)") for text in reported)
    assert "GPU hours" not in reported


@pytest.mark.parametrize(
    ("value", "text"),
    [(1234.5, "1,234"), (118.2, "118"), (43.05, "43"), (0.0123, "0.0123"), (0.00002, "0.00002"), (0, "0")],
)
def test_amounts_are_short_and_never_in_powers_of_ten(value: float, text: str) -> None:
    assert _amount(value) == text

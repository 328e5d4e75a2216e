# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A period of a fleet's energy: the sums of each host, and the tables of all hosts. Pure except for pandas.

Days are in UTC, as in the hosts' files.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import ENERGY, GAP, Row, file_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show

UNITS = ("day", "week", "month")
DAYS_BACK = {"day": 29, "week": 7 * 12 - 1, "month": 364}  # from `last` to `first`, if `first` is not given
# In place of a model; a model name cannot contain these characters.
UNMEASURED = "(not measured)"
SILENT_S = 900  # since a host's last row: three times the longest row
HOST_COLUMNS = ("day", "kind", "model", "container", "session", "seconds", "wh")


@dataclass(frozen=True)
class Period:
    """first, last: days. unit: the time that one bar covers."""

    first: date
    last: date
    unit: str = "day"

    @classmethod
    def parse(cls, unit: Any, first: Any, last: Any, today: date) -> Period:
        """Raises FleetError for wrong variables of the playbook. None: not given."""
        if unit not in UNITS:
            raise FleetError(f"period: expected one of {', '.join(UNITS)}, got {show(unit)}{nearest(str(unit), UNITS)}")
        end = _day("last", last) or today
        begin = _day("first", first) or end - timedelta(days=DAYS_BACK[unit])
        if begin > end:
            raise FleetError(f"first: {begin} is after last, {end}")
        return cls(begin, end, unit)

    @property
    def name(self) -> str:
        return f"{self.first}--{self.last}-by-{self.unit}"

    def files(self) -> tuple[str, str]:
        """The names of the first and the last file of the period."""
        first, last = (datetime(day.year, day.month, day.day, tzinfo=timezone.utc) for day in (self.first, self.last))
        return file_of(first.timestamp()), file_of(last.timestamp())

    def begins(self, day: date) -> date:
        """The first day of the bar that contains a day."""
        first = {"day": day, "week": day - timedelta(days=day.weekday()), "month": day.replace(day=1)}[self.unit]
        return max(first, self.first)

    def ends(self, begin: date) -> date:
        """The last day of the bar that begins then."""
        if self.unit == "day":
            return begin
        week = begin + timedelta(days=6 - begin.weekday())
        month = (begin.replace(day=1) + timedelta(days=31)).replace(day=1) - timedelta(days=1)
        return min(week if self.unit == "week" else month, self.last)

    def bars(self) -> list[date]:
        """The first days of all bars."""
        days = (self.first + timedelta(days=number) for number in range((self.last - self.first).days + 1))
        return list(dict.fromkeys(map(self.begins, days)))


def _day(name: str, given: Any) -> Optional[date]:
    try:
        return None if given is None else date.fromisoformat(str(given))
    except ValueError:
        raise FleetError(f"{name}: expected a day such as 2026-11-30, got {show(given)}") from None


def price_of(given: Any) -> Optional[float]:
    """The price of a kWh. Raises FleetError if it is not a price."""
    try:
        price = None if given is None else float(given)
    except (TypeError, ValueError):
        price = math.nan
    if price is not None and not 0 <= price < math.inf:
        raise FleetError(f"price: expected what a kWh costs, such as 0.31, got {show(given)}")
    return price


@dataclass(frozen=True)
class Usage:
    """A host's energy in a period. sums: lists in the order of HOST_COLUMNS. note: a note about the host, or empty."""

    sums: tuple[tuple[Any, ...], ...]
    note: str = ""


def usage(lines: Iterable[str], period: Period, now: float) -> Usage:
    """lines: of the host's files. now: the host's clock, to detect missing rows at the end."""
    sums: dict[tuple[str, ...], list[float]] = {}
    last: dict[str, float] = {}
    for row in filter(None, map(Row.parse, lines)):
        if row.kind in (ENERGY, GAP):
            key = (_day_of(row.start), row.kind, row.model or f"({row.note})", row.container, row.session)
            _add(sums, key if row.kind == ENERGY else (*key[:2], UNMEASURED, "", ""), row.seconds, row.wh)
            last[row.gpu] = max(row.end, last.get(row.gpu, 0.0))
    until = datetime(period.last.year, period.last.month, period.last.day, tzinfo=timezone.utc) + timedelta(days=1)
    note = ""
    for gpu, end in last.items() if min(now, until.timestamp()) - max(last.values(), default=0) > SILENT_S else ():
        for part in Row(end, min(now, until.timestamp()) - 1e-3, GAP, gpu).by_day():
            _add(sums, (_day_of(part.start), GAP, UNMEASURED, "", ""), part.end - part.start, 0.0)
        when = datetime.fromtimestamp(max(last.values()), timezone.utc)
        note = f"nothing since {when:%Y-%m-%d %H:%M} UTC; systemctl status inference-fleet-energy on the host shows why"
    if not last:
        note = "nothing was measured in this period"
    return Usage(tuple((*key, *values) for key, values in sorted(sums.items())), note)


def _day_of(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}"


def _add(sums: dict[tuple[str, ...], list[float]], key: tuple[str, ...], seconds: float, wh: float) -> None:
    both = sums.setdefault(key, [0.0, 0.0])
    both[0] += seconds
    both[1] += wh


@dataclass(frozen=True)
class Tables:
    """periods: a row for each bar, host and model; rows of time not measured have no energy. sessions: a row for each
    container from start to stop, within the period. Both are pandas DataFrames."""

    periods: Any
    sessions: Any


def prices(
    hosts: Mapping[str, Sequence[Sequence[Any]]], tokens: Iterable[Mapping[str, Any]], price: float
) -> list[str]:
    """What the energy of a million tokens cost, for each model with energy and tokens. tokens: of all hosts."""
    kwh: dict[str, float] = {}
    for _day, kind, model, _container, _session, _seconds, wh in (one for sums in hosts.values() for one in sums):
        if kind == ENERGY:
            kwh[model] = kwh.get(model, 0.0) + wh / 1000
    count: dict[str, float] = {}
    for one in tokens:
        model = str(one.get("model"))
        count[model] = count.get(model, 0.0) + sum(float(one.get(part) or 0) for part in ("input", "output"))
    found = []
    for model in sorted(model for model in kwh if count.get(model)):
        each = float(f"{kwh[model] * price / count[model] * 1e6:.3g}")
        used = f"({kwh[model]:.1f} kWh, {count[model] / 1e6:.1f} million tokens)"
        found.append(f"{model}: price: {{input: {each:g}, output: {each:g}}} {used}")
    return found


def tables(
    hosts: Mapping[str, Sequence[Sequence[Any]]], period: Period, price: Optional[float], currency: str
) -> Tables:
    """hosts: the sums of each."""
    import pandas

    rows = [(host, *one) for host, sums in hosts.items() for one in sums]
    frame = pandas.DataFrame(rows, columns=["host", *HOST_COLUMNS])
    frame["from"] = [period.begins(date.fromisoformat(day)) for day in frame["day"]]
    frame["kwh"] = (frame["wh"] / 1000).where(frame["kind"] == ENERGY)
    frame["hours"] = frame["seconds"] / 3600

    def summed(of: Any, keys: list[str], more: Mapping[str, tuple[str, str]]) -> Any:
        found = of.groupby(keys, sort=False, as_index=False).agg(
            **more, hours=("hours", "sum"), kwh=("kwh", lambda values: values.sum(min_count=1))
        )
        if price is not None:
            found[f"cost_{currency}" if currency else "cost"] = (found["kwh"] * price).round(4)
        return found.round({"kwh": 6, "hours": 3})

    periods = summed(frame, ["from", "host", "model"], {})
    periods.insert(1, "to", [period.ends(day) for day in periods["from"]])
    sessions = summed(
        frame[frame["session"] != ""],
        ["host", "model", "container", "session"],
        {"first_day": ("day", "min"), "last_day": ("day", "max")},
    )
    started = sessions["session"].str.split(" ", n=1, expand=True) if len(sessions) else None
    sessions.insert(3, "started", started[0] if started is not None else [])
    sessions["session"] = started[1] if started is not None else []
    return Tables(
        periods.sort_values(["from", "kwh"], ascending=[True, False], na_position="last"),
        sessions.rename(columns={"session": "container_id"}).sort_values(["started", "host", "container"]),
    )

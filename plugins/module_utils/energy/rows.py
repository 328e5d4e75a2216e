# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a host's energy, and their files, one per day. Pure.

Files are read line by line, so a line damaged by a power cut affects no other line.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from typing import Optional

# The kinds of a row. A clock row has the times before and after the clock was set, and no GPU.
ENERGY, GAP, CLOCK = "energy", "gap", "clock"

_FILE = re.compile(r"energy-\d{4}-\d\d-\d\d\.csv")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Row:
    """The energy that one GPU, or one holder's part of it, used from `start` to `end`, or a gap in the measurement.

    start, end: wall clock, seconds since 1970. device: name of the MIG device; empty for a whole GPU.
    session: the container's start time and the first 12 digits of its ID. seconds: measured, or in a gap
    not measured. model, container, session: empty where no model holds the device; `note` says why.
    """

    start: float
    end: float
    kind: str
    gpu: str = ""
    device: str = ""
    model: str = ""
    container: str = ""
    session: str = ""
    seconds: float = 0.0
    wh: float = 0.0
    note: str = ""

    @property
    def file(self) -> str:
        return file_of(self.start)

    def line(self) -> str:
        """The row as one line of ASCII, with its line end, whatever the note contains."""
        text = io.StringIO()
        start, end, *words, seconds, wh, note = astuple(self)
        cells = (stamp(start), stamp(end), *words, f"{seconds:.3f}", f"{wh:.6f}", _UNPRINTABLE.sub(" ", note))
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue()

    @classmethod
    def parse(cls, line: str) -> Optional[Row]:
        """None for a line that is not a row: the heading, or a truncated line."""
        try:
            (cells,) = csv.reader([line], strict=True)
            start, end, kind, gpu, device, model, container, session, seconds, wh, note = cells
            who = (kind, gpu, device, model, container, session)
            row = cls(_seconds(start), _seconds(end), *who, float(seconds), float(wh), note)
        except (ValueError, csv.Error):
            return None
        return row if row.kind in (ENERGY, GAP, CLOCK) else None

    def by_day(self) -> Iterator[Row]:
        """Splits the row at midnight, so that each file covers its whole day. Needed for gaps, which may be long."""
        row = self
        while row.file != file_of(row.end):
            midnight = _midnight_after(row.start)
            if midnight >= row.end:
                break
            yield replace(row, end=midnight, seconds=midnight - row.start)
            row = replace(row, start=midnight, seconds=row.end - midnight)
        yield row


HEADING = ",".join(field.name for field in fields(Row)) + "\n"


def stamp(seconds: float) -> str:
    """UTC, to the millisecond: 2026-11-24T03:12:40.125Z."""
    text = datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _midnight_after(seconds: float) -> float:
    day = datetime.fromtimestamp(seconds, timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
    return (day + timedelta(days=1)).timestamp()


def file_of(seconds: float) -> str:
    """The name of the file of this day."""
    return f"energy-{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}.csv"


def day_files(names: Iterable[str]) -> list[str]:
    """The names that are day files, oldest first."""
    return sorted(name for name in names if _FILE.fullmatch(name))


def outdated(names: Iterable[str], keep_days: int) -> list[str]:
    """The oldest files beyond keep_days. Counts files, not days: a clock briefly years ahead must not remove all."""
    return day_files(names)[:-keep_days]


def whole_lines(data: bytes) -> int:
    """How many bytes of a file's end are complete lines; the rest is a truncated line."""
    return data.rfind(b"\n") + 1


def merged(rows: Iterable[Row]) -> list[Row]:
    """Fewer rows with the same energy, each the sum of a day: for rows that cannot be written yet."""
    sums: dict[tuple[str, ...], Row] = {}
    for row in rows:
        alone = str(row.start) if row.kind == CLOCK else ""
        key = (row.file, row.kind, row.gpu, row.device, row.model, row.container, row.session, row.note, alone)
        before = sums.get(key, replace(row, seconds=0.0, wh=0.0))
        sums[key] = replace(
            before,
            start=min(before.start, row.start),
            end=max(before.end, row.end),
            seconds=before.seconds + row.seconds,
            wh=before.wh + row.wh,
        )
    return list(sums.values())

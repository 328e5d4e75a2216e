# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The rows of a host's energy, and the files of a day that they are in. Pure.

A file is read line by line, so whatever a power cut has made of a line costs that line alone.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass, fields, replace
from datetime import datetime, timedelta, timezone
from typing import Optional

# What a row tells of. A clock's row has its time before and after it was set, and no GPU.
ENERGY, GAP, CLOCK = "energy", "gap", "clock"

_FILE = re.compile(r"energy-\d{4}-\d\d-\d\d\.csv")
_UNPRINTABLE = re.compile(r"[^\x20-\x7e]+")


@dataclass(frozen=True)
class Row:
    """What one GPU, or one holder's part of it, took from `start` to `end`, or that this was not measured.

    start, end: the wall clock's seconds since 1970. device: the MIG device, by its name; empty for a whole GPU.
    session: when the container was started, before the first 12 digits of its ID. seconds: that were
    measured, or in a gap that were not. model, container, session: empty where no model holds it; `note` says why.
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
        """With its end of line. Whatever the note holds, it is one line of ASCII."""
        text = io.StringIO()
        start, end, *words, seconds, wh, note = astuple(self)
        cells = (stamp(start), stamp(end), *words, f"{seconds:.3f}", f"{wh:.6f}", _UNPRINTABLE.sub(" ", note))
        csv.writer(text, lineterminator="\n").writerow(cells)
        return text.getvalue()

    @classmethod
    def parse(cls, line: str) -> Optional[Row]:
        """None for what is no row: the heading, or what is left of a line that was cut off."""
        try:
            (cells,) = csv.reader([line], strict=True)
            start, end, kind, gpu, device, model, container, session, seconds, wh, note = cells
            who = (kind, gpu, device, model, container, session)
            row = cls(_seconds(start), _seconds(end), *who, float(seconds), float(wh), note)
        except (ValueError, csv.Error):
            return None
        return row if row.kind in (ENERGY, GAP, CLOCK) else None

    def by_day(self) -> Iterator[Row]:
        """The same in rows of one day each, so that each file has all of its day: for gaps, which may be long."""
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
    """The name of its day's file."""
    return f"energy-{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d}.csv"


def day_files(names: Iterable[str]) -> list[str]:
    """Those of a folder that are ours, oldest first."""
    return sorted(name for name in names if _FILE.fullmatch(name))


def outdated(names: Iterable[str], keep_days: int) -> list[str]:
    """Files are counted, not days: a clock that is years ahead for a moment must not cost them all."""
    return day_files(names)[:-keep_days]


def whole_lines(data: bytes) -> int:
    """How many bytes of a file's end are whole lines; what is after them was cut off."""
    return data.rfind(b"\n") + 1


def merged(rows: Iterable[Row]) -> list[Row]:
    """Fewer rows of the same energy, each the sum of a day: for when they cannot be written."""
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

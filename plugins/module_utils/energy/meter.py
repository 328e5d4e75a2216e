# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Turns power readings into energy rows: trapezoids between readings, and gaps without readings. Pure.

Durations come from a monotonic clock; the wall clock only gives the time of a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.energy.holders import NOT_KNOWN, Share, Shares
from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import CLOCK, ENERGY, GAP, Row

PERIOD_S = 300  # the longest row; rows end at multiples of it on the wall clock
GAP_INTERVALS = 3  # readings further apart than this are not interpolated
STEP_S = 2.0  # more than the clocks differ because of separate reads or a time server's slewing
_LINE = re.compile(r"(GPU-[0-9a-f-]+), *(\[[^\]]{1,40}\]|\d{1,5}(?:\.\d+)?)")
NOT_RUN = "the sampler did not run or got no reading"
NO_LINE = "nvidia-smi reported nothing for this GPU"


@dataclass(frozen=True)
class Moment:
    """steady: a clock that never steps and continues in a suspend. wall: since 1970. Both in seconds."""

    steady: float
    wall: float


def parse_reading(line: str) -> Optional[tuple[str, object]]:
    """The GPU's UUID and its watts, or nvidia-smi's reason in place of watts. None for any other line.

    Reasons are [N/A], [Not Supported], [Unknown Error], [GPU is lost] and others.
    """
    found = _LINE.fullmatch(line.strip())
    if not found:
        return None
    return found[1], found[2] if found[2].startswith("[") else float(found[2])


@dataclass
class _Gpu:
    """read: steady time up to which all is counted. watts: the reading then; None after a gap. opened: wall time at
    which the current rows began. joules: by share. why: reason of the next gap."""

    read: float
    opened: float
    watts: Optional[float] = None
    shares: tuple[Share, ...] = NOT_KNOWN
    joules: float = 0.0
    seconds: float = 0.0
    why: str = ""


@dataclass
class Meter:
    """interval: seconds between two readings. ends: by UUID, the end of the last row written earlier.

    The methods return the complete rows; together these cover all the time of every GPU since its
    first line, each second once.
    """

    interval: float
    ends: Mapping[str, float] = field(default_factory=dict)
    _gpus: dict[str, _Gpu] = field(default_factory=dict)
    _shares: Optional[Shares] = None
    _ahead: Optional[float] = None  # wall clock minus steady clock
    _period: int = 0
    _why: str = NOT_RUN  # of the gap before a GPU's first line

    def read(self, now: Moment, readings: Mapping[str, object]) -> list[Row]:
        """readings: from `parse_reading`; empty if only time passed."""
        rows = [*self._clock(now)]
        for uuid, reading in readings.items():
            if uuid not in self._gpus:
                rows += self._first(uuid, now)
            if isinstance(reading, float):
                rows += self._count(uuid, self._gpus[uuid], now, reading)
            else:
                self._gpus[uuid].why = str(reading)
        if readings:
            self._why = NOT_RUN
        if int(now.wall // PERIOD_S) != self._period:
            self._period = int(now.wall // PERIOD_S)
            rows += self.close(now)
        return rows

    def hold(self, shares: Optional[Shares]) -> list[Row]:
        """Sets the shares from the last reading on. None: the holders are not known."""
        self._shares = shares
        rows: list[Row] = []
        for uuid, gpu in self._gpus.items():
            if gpu.shares != self._shares_of(uuid):
                rows += self._rows(uuid, gpu)
                gpu.shares = self._shares_of(uuid)
        return rows

    def trouble(self, why: str) -> None:
        """Sets the reason of gaps that begin or continue now."""
        self._why = why
        for gpu in self._gpus.values():
            gpu.why = why

    def close(self, now: Moment) -> list[Row]:
        """All rows up to now; the next sampler continues after them."""
        rows: list[Row] = []
        for uuid, gpu in self._gpus.items():
            if now.steady - gpu.read > self._limit:
                rows += self._gap(uuid, gpu, now)
            else:
                rows += self._rows(uuid, gpu)
        return rows

    @property
    def _limit(self) -> float:
        return self.interval * GAP_INTERVALS

    def _shares_of(self, uuid: str) -> tuple[Share, ...]:
        return (self._shares or {}).get(uuid, NOT_KNOWN)

    def _wall(self, steady: float) -> float:
        return steady + (self._ahead or 0.0)

    def _clock(self, now: Moment) -> Iterator[Row]:
        """If the wall clock was set, ends all rows and begins new ones at its new time."""
        ahead, before = now.wall - now.steady, self._ahead
        if before is None:
            self._period = int(now.wall // PERIOD_S)
        elif abs(ahead - before) > STEP_S:
            for uuid, gpu in self._gpus.items():
                yield from self._rows(uuid, gpu)
                gpu.opened = gpu.read + ahead
            note = f"the clock was set by {ahead - before:+.1f} s"
            yield Row(self._wall(now.steady), now.wall, CLOCK, note=note)
        self._ahead = ahead

    def _first(self, uuid: str, now: Moment) -> list[Row]:
        self._gpus[uuid] = _Gpu(now.steady, now.wall, shares=self._shares_of(uuid))
        end = self.ends.get(uuid, now.wall)
        gap = Row(end, now.wall, GAP, uuid, seconds=now.wall - end, note=self._why)
        return list(gap.by_day()) if now.wall - end > 0.0005 else []

    def _count(self, uuid: str, gpu: _Gpu, now: Moment, watts: float) -> list[Row]:
        passed = now.steady - gpu.read
        rows: list[Row] = []
        if gpu.watts is not None and passed <= self._limit:
            gpu.joules += (gpu.watts + watts) / 2 * passed
            gpu.seconds += passed
            gpu.read = now.steady
        elif passed > 0:
            rows = self._gap(uuid, gpu, now)
        gpu.watts, gpu.why = watts, ""
        return rows

    def _gap(self, uuid: str, gpu: _Gpu, now: Moment) -> list[Row]:
        """The rows measured before the gap, and the gap's row."""
        rows = self._rows(uuid, gpu)
        seconds = now.steady - gpu.read
        gap = Row(gpu.opened, now.wall, GAP, uuid, seconds=seconds, note=gpu.why or NO_LINE)
        gpu.read, gpu.opened, gpu.watts = now.steady, now.wall, None
        return [*rows, *gap.by_day()]

    def _rows(self, uuid: str, gpu: _Gpu) -> list[Row]:
        """The rows measured since the last rows, up to the last reading."""
        if not gpu.seconds:
            return []
        end = max(gpu.opened, self._wall(gpu.read))
        whole = Row(gpu.opened, end, ENERGY, uuid, seconds=gpu.seconds)
        rows = [_row_of(share, whole, gpu.joules / 3600) for share in gpu.shares]
        gpu.opened, gpu.joules, gpu.seconds = end, 0.0, 0.0
        return rows


def _row_of(share: Share, whole: Row, wh: float) -> Row:
    row = replace(whole, device=share.device, wh=wh * share.part, note=share.note)
    who = share.holder
    return replace(row, model=who.model, container=who.container, session=who.session) if who else row

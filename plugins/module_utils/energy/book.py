# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a host's energy rows, one per day."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.energy.rows import (
    HEADING,
    Row,
    day_files,
    merged,
    outdated,
    whole_lines,
)

MOST_ROWS = 2000  # kept in memory while they cannot be written: about a megabyte
_TAIL = 65536  # bytes; much more than the longest line


class Book:
    """keep_days: number of files to keep. say: writes to the journal."""

    def __init__(self, folder: Path, keep_days: int, say: Callable[[str], None]) -> None:
        self._folder, self._keep_days, self._say = folder, keep_days, say
        self._waiting: list[Row] = []
        self._failing = False

    def ends(self) -> dict[str, float]:
        """By GPU, the end of its last row. Reads the two newest days: the newest may have just begun."""
        found: dict[str, float] = {}
        for name in day_files(path.name for path in self._folder.glob("*"))[-2:]:
            try:
                with open(self._folder / name, encoding="ascii", errors="replace") as lines:
                    for row in filter(None, (Row.parse(line.rstrip("\n")) for line in lines)):
                        found[row.gpu] = max(row.end, found.get(row.gpu, 0.0))
            except OSError as error:
                self._say(f"{self._folder / name}: {error.strerror}; no gap is recorded for the time before this start")
        return found

    def close(self, rows: Iterable[Row]) -> None:
        """Writes the last rows. Reports rows that still cannot be written as lost."""
        self.write(rows)
        if self._waiting:
            self._say(f"{self._folder}: {len(self._waiting)} rows could not be written and are lost")

    def write(self, rows: Iterable[Row]) -> None:
        """Writes these rows and those that could not be written before. Reports a full disk once, and its end."""
        self._waiting += rows
        files = list(dict.fromkeys(row.file for row in self._waiting))
        try:
            for name in files:
                self._append(name, [row for row in self._waiting if row.file == name])
                self._waiting = [row for row in self._waiting if row.file != name]
        except OSError as error:
            if not self._failing:
                self._say(f"{self._folder}: {error.strerror}; rows are kept in memory until there is space")
            self._failing = True
            self._keep_few()
            return
        if self._failing:
            self._say(f"{self._folder}: can be written again; no rows are lost")
        self._failing = False

    def _keep_few(self) -> None:
        if len(self._waiting) > MOST_ROWS:
            self._waiting = merged(self._waiting)
        if len(self._waiting) > MOST_ROWS:
            lost = len(self._waiting) - MOST_ROWS
            self._say(f"{self._folder}: no space for a long time; the oldest {lost} of the rows in memory are lost")
            self._waiting = self._waiting[-MOST_ROWS:]

    def _append(self, name: str, rows: Sequence[Row]) -> None:
        """Appends all rows, or raises OSError and leaves the file unchanged. Removes a truncated last line."""
        file = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            size = os.fstat(file).st_size
            begin = max(0, size - _TAIL)
            whole = begin + whole_lines(os.pread(file, _TAIL, begin))
            if whole < size:
                os.ftruncate(file, whole)
            if not whole:
                self._prune()
            data = ("" if whole else HEADING).encode() + "".join(row.line() for row in rows).encode()
            try:
                while data:
                    data = data[os.pwrite(file, data, os.lseek(file, 0, os.SEEK_END)) :]
            except OSError:
                os.ftruncate(file, whole)
                raise
        finally:
            os.close(file)

    def _prune(self) -> None:
        for name in outdated((path.name for path in self._folder.glob("*")), self._keep_days):
            with suppress(OSError):
                (self._folder / name).unlink()

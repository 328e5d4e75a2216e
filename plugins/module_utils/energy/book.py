# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that a host's energy is kept in, a day each."""

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

MOST_ROWS = 2000  # kept in memory while they cannot be written, about a megabyte
_TAIL = 65536  # bytes; many times the longest line


class Book:
    """keep_days: files that are kept. say: tells whoever reads the journal."""

    def __init__(self, folder: Path, keep_days: int, say: Callable[[str], None]) -> None:
        self._folder, self._keep_days, self._say = folder, keep_days, say
        self._waiting: list[Row] = []
        self._told = False

    def ends(self) -> dict[str, float]:
        """By GPU, when its last row ended. The two newest days are looked at: the newest may have only just begun."""
        found: dict[str, float] = {}
        for name in day_files(path.name for path in self._folder.glob("*"))[-2:]:
            try:
                with open(self._folder / name, encoding="ascii", errors="replace") as lines:
                    for row in filter(None, (Row.parse(line.rstrip("\n")) for line in lines)):
                        found[row.gpu] = max(row.end, found.get(row.gpu, 0.0))
            except OSError as error:
                self._say(f"{self._folder / name}: {error.strerror}; the time before this start is told as no gap")
        return found

    def close(self, rows: Iterable[Row]) -> None:
        """The last rows. What still cannot be written is lost, and that is told."""
        self.write(rows)
        if self._waiting:
            self._say(f"{self._folder}: {len(self._waiting)} rows could not be written and are lost")

    def write(self, rows: Iterable[Row]) -> None:
        """These, and those that could not be written before. A full disk is told once, and again when it is not."""
        self._waiting += rows
        files = list(dict.fromkeys(row.file for row in self._waiting))
        try:
            for name in files:
                self._append(name, [row for row in self._waiting if row.file == name])
                self._waiting = [row for row in self._waiting if row.file != name]
        except OSError as error:
            if not self._told:
                self._say(f"{self._folder}: {error.strerror}; what is counted is kept in memory until there is room")
            self._told = True
            self._keep_few()
            return
        if self._told:
            self._say(f"{self._folder}: can be written again; nothing that was counted is lost")
        self._told = False

    def _keep_few(self) -> None:
        if len(self._waiting) > MOST_ROWS:
            self._waiting = merged(self._waiting)
        if len(self._waiting) > MOST_ROWS:
            lost = len(self._waiting) - MOST_ROWS
            self._say(f"{self._folder}: no room for long; the oldest {lost} of the rows kept in memory are lost")
            self._waiting = self._waiting[-MOST_ROWS:]

    def _append(self, name: str, rows: Sequence[Row]) -> None:
        """All of them, or an OSError and the file as it was. A line that a power cut left unfinished is taken away."""
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

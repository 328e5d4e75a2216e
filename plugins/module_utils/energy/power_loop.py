# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One nvidia-smi that reports the power of every GPU, restarted when it ends or stops reporting."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.energy.meter import parse_reading

QUERY = ("--query-gpu=uuid,power.draw", "--format=csv,noheader,nounits")
SILENT_S = 10.0  # and at least this many intervals:
SILENT_INTERVALS = 5
WAIT_S = (1.0, 60.0)  # before a restart: the first wait, and the longest after doubling
REAP_S = 1.0
STATUS = "an unknown status"
_LONGEST_LINE = 1000


class PowerLoop:
    """interval: seconds. say: writes each trouble to the journal once."""

    def __init__(self, interval: int, say: Callable[[str], None]) -> None:
        self._interval, self._say = interval, say
        self._process: Optional[subprocess.Popen[bytes]] = None
        self._ended: Optional[subprocess.Popen[bytes]] = None
        self._rest = b""
        self._words = ""  # the last line that was not a reading
        self._heard = self._start_at = time.monotonic()
        self._wait = WAIT_S[0]
        self.trouble = ""  # why there are no readings; empty while there are

    def read(self, seconds: float, also: int) -> Mapping[str, object]:
        """The next readings, or none after `seconds`. also: a file descriptor that ends the wait."""
        now = time.monotonic()
        if self._process is None:
            # An nvidia-smi that waits inside the driver cannot be killed, and another one would hang as well.
            if now < self._start_at or (self._ended and self._ended.poll() is None):
                select.select([also], [], [], min(seconds, max(0.1, self._start_at - now)))
                return {}
            self._start()
        if self._process is None or self._process.stdout is None:
            return {}
        output = self._process.stdout.fileno()
        ready, _written, _failed = select.select([output, also], [], [], seconds)
        readings: dict[str, object] = {}
        if output in ready:
            data = os.read(output, 65536)
            if not data:
                self._end(f"nvidia-smi ended with {STATUS}: {self._words or 'no output'}")
                return {}
            readings = self._parse(data)
        if readings:
            self._heard, self._wait = time.monotonic(), WAIT_S[0]
            if self.trouble:
                self._say("nvidia-smi reports the power again")
            self.trouble = ""
        elif time.monotonic() - self._heard > max(SILENT_S, SILENT_INTERVALS * self._interval):
            self.stop()
            silent = f"nvidia-smi reported no power for {time.monotonic() - self._heard:.0f} s"
            self._end(f"{silent}; its last output: {self._words}" if self._words else silent)
        return readings

    def stop(self) -> None:
        if self._process:
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait(timeout=REAP_S)

    def _start(self) -> None:
        program = shutil.which("nvidia-smi")
        if not program:
            self._end("no nvidia-smi on this host")
            return
        self._rest, self._words, self._heard = b"", "", time.monotonic()
        try:
            self._process = subprocess.Popen(
                [program, *QUERY, f"--loop-ms={self._interval * 1000}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, "LC_ALL": "C"},
                start_new_session=True,
            )
        except OSError as error:  # not for this machine, or no memory for a process
            self._end(f"{program} cannot be started: {error.strerror}")

    def _parse(self, data: bytes) -> dict[str, object]:
        """The last reading of each GPU in these bytes; keeps an incomplete line for the next call."""
        *lines, rest = (self._rest + data).split(b"\n")
        self._rest = rest[-_LONGEST_LINE:]
        readings: dict[str, object] = {}
        for line in (one.decode("ascii", "replace").strip() for one in lines):
            reading = parse_reading(line)
            if reading:
                readings[reading[0]] = reading[1]
            elif line:
                self._words = line[:200]
        return readings

    def _end(self, why: str) -> None:
        """why: with STATUS in place of its exit status."""
        if self._process and self._process.stdout:
            self._process.stdout.close()
            with suppress(subprocess.TimeoutExpired):
                why = why.replace(STATUS, str(self._process.wait(timeout=REAP_S)))
        self._ended, self._process = self._process, None
        if why != self.trouble:
            self._say(f"{why}; nvidia-smi is restarted, and the time without readings is recorded as a gap")
        self.trouble = why
        self._start_at = time.monotonic() + self._wait
        self._wait = min(2 * self._wait, WAIT_S[1])

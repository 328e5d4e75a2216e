"""Faults on purpose: faults.json in the state folder, read again by every run.

  {"hang": true | ["-q -x", ...],        sleeps, and leaves the lock alone
   "garbage": true | ["-L", ...],        prints half of the answer and noise
   "lost": [1],                          GPUs that fell off the bus
   "inforom": ["0000:07:00.0"],          corrupt infoROMs: a warning for each, and the status 14
   "banner": "...",                      a line before every answer
   "fail": [{"match": "mig -i 0 -cgi", "after": 1, "times": 2, "code": 23, "message": "..."}],
   "driver": "mismatch" | "not loaded"}

Texts are looked for in the arguments joined by blanks. after: so many such calls go well
first. times: so many fail then; without, all later ones do.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from simulated_nvidia.answer import Code, Refused
from simulated_nvidia.state import write

HANG_SECONDS = 3600
MISMATCH = ("Failed to initialize NVML: Driver/library version mismatch", "NVML library version: 535.183")
NOT_LOADED = (
    "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure that the latest NVIDIA "
    "driver is installed and running.",
    "",
)


class Faults:
    def __init__(self, folder: Path, call: str) -> None:
        path = folder / "faults.json"
        self._data: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        self._counts = folder / "fault-counts.json"
        self._call = call

    @property
    def lost(self) -> frozenset[int]:
        return frozenset(self._data.get("lost", ()))

    @property
    def inforom(self) -> str:
        """The warnings at the end of an answer."""
        return "".join(f"WARNING: infoROM is corrupted at gpu {gpu}\n" for gpu in self._data.get("inforom", ()))

    @property
    def banner(self) -> str:
        line = self._data.get("banner", "")
        return f"{line}\n" if line else ""

    @property
    def garbage(self) -> bool:
        return self._concerns(self._data.get("garbage", False))

    def hang(self) -> None:
        if self._concerns(self._data.get("hang", False)):
            time.sleep(HANG_SECONDS)

    def driver(self) -> None:
        match self._data.get("driver"):
            case "mismatch":
                raise Refused(Code.LIBRARY_MISMATCH, *MISMATCH)
            case "not loaded":
                raise Refused(Code.DRIVER_NOT_LOADED, *NOT_LOADED)

    def fail(self) -> None:
        """Counts the call, and refuses one that shall fail."""
        matching = [fault for fault in self._data.get("fail", ()) if fault["match"] in self._call]
        counts = json.loads(self._counts.read_text()) if matching and self._counts.exists() else {}
        due = None
        for fault in matching:
            key = json.dumps(fault, sort_keys=True)
            counts[key] = counts.get(key, 0) + 1
            first = fault.get("after", 0)
            if first < counts[key] <= first + fault.get("times", counts[key]):
                due = due or fault
        if matching:
            write(self._counts, counts)
        if due is not None:
            raise Refused(due.get("code", Code.OTHER), due.get("message", "Unknown Error"))

    def _concerns(self, calls: bool | list[str]) -> bool:
        return calls if isinstance(calls, bool) else any(text in self._call for text in calls)


def spoil(text: str) -> str:
    return text[: len(text) // 2] + "\x00\x1b[?1049h\ufffd|||NVRM: Xid"

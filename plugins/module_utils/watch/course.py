# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host is asked next, so that a quiet host costs little and a change is known at once. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.watch.observation import (
    NOTHING,
    observation,
    without_observation,
)

WAIT_S = 10.0  # the longest wait in one call; figures of GPUs and rates are as old
QUIET_S = 30.0  # the same for a host without GPUs and monitoring, which has neither
DETAILS_S = 60.0  # a GPU may be partitioned without an event of Docker
SOON_S = 5.0  # between two readings of the details while containers change
LONGEST_S = 30.0  # between two tries to reach a host
REFUSED_S = 300.0  # after a refused login or password: a host may lock a user out who fails too often
_REFUSED = re.compile(r"password|permission denied|authentication|too many", re.IGNORECASE)


class Course:
    """The observations of one host. Times are of a clock that is never set."""

    def __init__(self, host: str, wait: float = WAIT_S) -> None:
        self._host = host
        self._wait = wait
        self._digest = ""
        self._details: Mapping[str, Any] = NOTHING
        self._details_at: Optional[float] = None
        self._changed = False  # since the details were read
        self._figures = False
        self._metrics = False
        self._with_figures: Optional[set[str]] = None  # the UUIDs of the last figures
        self._note = ""
        self._faults = 0

    def request(self, now: float) -> dict[str, Any]:
        """The options of inference.fleet.host_state."""
        if not self._digest:  # something is to be shown soon
            return {"seconds": 0.0, "seen": "", "details": False, "figures": False}
        due = self._due(now)
        longest = self._wait if self._figures or self._metrics else max(self._wait, QUIET_S)
        wait = 0.0 if due <= 0 else min(longest, due)
        return {"seconds": round(wait, 3), "seen": self._digest, "details": due <= 0, "figures": self._figures}

    def take(self, answer: Mapping[str, Any], now: float, time: float) -> dict[str, Any]:
        """The observation. answer: of the module. time: seconds since 1970."""
        has_gpus = bool(self._details["gpus"])
        self._changed = self._changed or (has_gpus and bool(self._digest) and answer["digest"] != self._digest)
        self._digest = answer["digest"]
        self._faults, self._metrics = 0, answer["metrics"] is not None
        if answer["details"]:
            self._details, self._details_at, self._changed = answer["details"], now, False
            self._figures, self._note = bool(self._details["gpus"]), ""
        if answer["gpu_note"]:  # a driver that hangs is asked again with the details
            self._figures, self._note = False, answer["gpu_note"]
        if answer["figures"]:
            uuids = {one["uuid"] for one in answer["figures"]}
            self._changed = self._changed or self._with_figures not in (None, uuids)
            self._with_figures = uuids
        return observation(self._host, time, {**answer, "gpu_note": self._note}, self._details)

    def fail(self, fault: str, time: float) -> tuple[dict[str, Any], float]:
        """The observation of a host that could not be read, and the seconds until the next try."""
        self._faults += 1
        self._digest, self._details_at = "", None
        pause = REFUSED_S if _REFUSED.search(fault) else min(2.0 ** min(self._faults, 10), LONGEST_S)
        return without_observation(self._host, time, fault), pause

    def _due(self, now: float) -> float:
        """Seconds until the details are to be read."""
        if self._details_at is None:
            return 0.0
        return self._details_at + (SOON_S if self._changed else DETAILS_S) - now

"""How much power each GPU takes: power.json in the state folder, read again for every answer.

  {"0": 250,                                         watts
   "1": {"watts": 300, "swing": 100, "period": 20},  watts + swing * sin(2 pi t / period), t in seconds since 1970
   "2": "[N/A]"}                                     or any other word that nvidia-smi has for no number

A GPU that is not there takes what an idle one takes.
"""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

IDLE_WATTS = 43.21


class Power:
    def __init__(self, state: Path) -> None:
        path = state / "power.json"
        self._curves = json.loads(path.read_text()) if path.exists() else {}

    def draw(self, index: int) -> str:
        """With two decimals, as nvidia-smi has it; or the word in its place."""
        curve = self._curves.get(str(index), IDLE_WATTS)
        return curve if isinstance(curve, str) else f"{watts(curve, time.time()):.2f}"


def watts(curve: float | dict[str, float], at: float) -> float:
    if isinstance(curve, dict):
        return curve["watts"] + curve["swing"] * math.sin(2 * math.pi * at / curve["period"])
    return curve


def joules(curve: dict[str, float], start: float, end: float) -> float:
    """The integral."""
    turn = 2 * math.pi / curve["period"]
    swung = math.cos(turn * start) - math.cos(turn * end)
    return curve["watts"] * (end - start) + curve["swing"] / turn * swung

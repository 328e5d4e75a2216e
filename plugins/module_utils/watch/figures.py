# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What each GPU does now: the answer of `nvidia-smi --query-gpu`. Pure."""

from __future__ import annotations

import csv
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import number, text

# nvidia-smi's field -> key of an observation.
_FIELDS = {
    "index": "index",
    "uuid": "uuid",
    "utilization.gpu": "utilization",
    "memory.used": "memory_used_mib",
    "memory.total": "memory_mib",
    "temperature.gpu": "temperature",
    "power.draw": "power",
    "power.limit": "power_limit",
}
QUERY = (f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits")
FIGURES = tuple(key for key in _FIELDS.values() if key not in ("index", "uuid"))
_WHOLE = ("utilization", "memory_used_mib", "memory_mib", "temperature")


def parse_figures(answer: str) -> list[dict[str, Any]]:
    """One entry for each GPU. A figure is None where the driver has none, such as the utilization in MIG mode
    (`[N/A]`), and for a lost GPU. Other lines are warnings and are left out."""
    found = []
    for cells in csv.reader(answer.splitlines(), skipinitialspace=True):
        if len(cells) != len(_FIELDS) or not cells[0].strip().isdigit():
            continue
        entry: dict[str, Any] = {
            key: _figure(key, cell.strip()) for key, cell in zip(_FIELDS.values(), cells) if key in FIGURES
        }
        found.append({"index": int(cells[0]), "uuid": text(cells[1].strip()), **entry})
    return found


def _figure(key: str, cell: str) -> Optional[float]:
    value = number(cell)
    return int(value) if value is not None and key in _WHOLE else value

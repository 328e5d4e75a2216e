# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The physical CPU cores of this host, from sysfs."""

from __future__ import annotations

import os
from pathlib import Path

SYSFS = Path("/sys/devices/system/cpu")


def host_cores() -> tuple[tuple[int, ...], ...]:
    """The CPUs of each physical core that this process may use, by the lowest number."""
    allowed = os.sched_getaffinity(0)
    cores: dict[str, list[int]] = {}
    for cpu in sorted(allowed):
        try:
            siblings = (SYSFS / f"cpu{cpu}" / "topology" / "thread_siblings_list").read_text().strip()
        except OSError:  # not every kernel reports its topology
            siblings = str(cpu)
        cores.setdefault(siblings, []).append(cpu)
    return tuple(map(tuple, cores.values()))

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The memory of this host."""

from __future__ import annotations

from pathlib import Path

MEMORY = Path("/proc/meminfo")


def available() -> int:
    """Bytes that programs can get without swap (MemAvailable of the kernel)."""
    found = dict(line.partition(":")[::2] for line in MEMORY.read_text().splitlines())
    return 1024 * int(found["MemAvailable"].split()[0])

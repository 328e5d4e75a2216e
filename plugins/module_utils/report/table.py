# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Tables and blocks of plain text for a terminal. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_FAULT = "fault"


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, in columns. The first row is the head."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def check_lines(checks: Sequence[Mapping[str, str]]) -> list[str]:
    """A line for each check, in columns. FAULT is in capitals, so that faults are easy to find.

    checks: from the result of inference.fleet.host_check.
    """
    width = max((len(check["name"]) for check in checks), default=0)
    lines = []
    for check in checks:
        state = check["state"].upper() if check["state"] == _FAULT else check["state"]
        found = "; ".join(filter(None, (check["found"], check["remedy"])))
        lines.append(f"{state:7}  {check['name']:{width}}  {found}")
    return lines


def headed(head: str, lines: Sequence[str]) -> str:
    """`head: line` for one line. For several lines, the head and below it the lines, indented."""
    lines = [part for line in lines for part in line.splitlines() or [""]]
    if len(lines) == 1:
        return f"{head}: {lines[0]}"
    return "\n".join([head, *(f"  {line}".rstrip() for line in lines)])

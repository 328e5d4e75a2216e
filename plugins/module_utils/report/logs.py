# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Logs of containers: lines in the order of their time, for a person. Pure."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timezone

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
# A time of Docker with nine decimals, so that times can be compared as text.
_LINE = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9})Z (.*)", re.DOTALL)


def since_seconds(text: str, now: float) -> int:
    """Seconds since 1970 for `90s`, `10m`, `2h` or `3d` before now, or for a time in RFC 3339, UTC without a zone."""
    if found := re.fullmatch(r"(\d{1,9})([smhd])", text):
        return max(1, int(now) - int(found[1]) * _UNITS[found[2]])
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        raise FleetError(
            f"since: expected 90s, 10m, 2h, 3d or a time such as 2026-11-24T02:40:00Z, got {show(text)}"
        ) from None
    return max(1, int((moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()))


def merged(
    logs: Mapping[str, Iterable[str]], after: Mapping[str, str], pattern: str = ""
) -> tuple[list[list[str]], dict[str, str]]:
    """The lines of several containers as `[container, text]` in the order of time, and the last time of each container.

    logs: container -> lines that begin with Docker's time. after: container -> the last time that was returned before;
    lines up to that time are left out. pattern: a regular expression that a line must contain. Raises FleetError if the
    pattern is none.
    """
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise FleetError(f"grep: expected a regular expression, got {show(pattern)}: {error}") from error
    last = dict(after)
    found = []
    for name, lines in logs.items():
        for line in lines:
            # A line longer than Docker's buffer continues in parts, each with a time.
            parsed = _LINE.fullmatch(line)
            if not parsed or parsed[1] <= after.get(name, ""):
                continue
            last[name] = max(last.get(name, ""), parsed[1])
            if wanted.search(parsed[2]):
                found.append((parsed[1], name, _printable(parsed[2])))
    return [[name, text] for _time, name, text in sorted(found, key=lambda one: one[0])], last


def seconds_of(time: str) -> int:
    """Whole seconds since 1970 of a time in `merged`."""
    return calendar.timegm(datetime.strptime(time[:19], "%Y-%m-%dT%H:%M:%S").timetuple())


def _printable(text: str) -> str:
    """Without characters that control a terminal: any client or model can write to a log. Of a line that was
    overwritten, such as a progress bar, only the last state."""
    text = text.rstrip("\r").rpartition("\r")[2]
    return "".join(character if character.isprintable() or character == "\t" else "?" for character in text)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Values that containers, drivers and Prometheus name, as short plain data. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Optional

LONGEST = 200  # characters of a text; a label of a container may have a megabyte
MOST = 500  # entries of a list or mapping
_DEEPEST = 8


def text(value: object, longest: int = LONGEST) -> str:
    """At most `longest` characters, with `?` for each that controls a terminal or breaks a line. Empty for what is no
    text."""
    if not isinstance(value, str):
        return ""
    cut = value if len(value) <= longest else f"{value[: longest - 1]}…"
    return "".join(character if character.isprintable() else "?" for character in cut)


def number(value: object) -> Optional[float]:
    """None for what is no number, and for a number that JSON does not have."""
    try:
        found = float(value)  # type: ignore[arg-type]  # anything else raises
    except (TypeError, ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def bounded(value: Any, longest: int = 2000, depth: int = _DEEPEST) -> Any:
    """The same data with each text, list and mapping cut to a bound; None for what is nested too deeply."""
    if isinstance(value, str):
        return text(value, longest)
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return number(value)
    if depth and isinstance(value, Mapping):
        return {text(str(key)): bounded(one, longest, depth - 1) for key, one in list(value.items())[:MOST]}
    if depth and isinstance(value, (list, tuple)):
        return [bounded(one, longest, depth - 1) for one in value[:MOST]]
    return None


def as_mapping(value: object) -> Mapping[str, Any]:
    """Empty for what is no mapping."""
    return value if isinstance(value, Mapping) else {}


def as_list(value: object) -> list[Any]:
    """The first `MOST` entries; empty for what is no list."""
    return list(value[:MOST]) if isinstance(value, (list, tuple)) else []

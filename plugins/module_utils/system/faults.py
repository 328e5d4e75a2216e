# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The error that carries faults, and the form of values in messages. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping


class FleetError(Exception):
    """One or more faults, each one line with a path, what was found and what is expected."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def printable(text: str) -> str:
    """The text without line breaks and characters that control a terminal."""
    return "".join(filter(str.isprintable, text))


def show(value: object, secret: bool = False) -> str:
    """A value as shown in a message: short, and without line breaks.

    A value that may hold a secret is shown only by its type: any value if `secret`, and always
    lists and mappings of more than numbers.
    """
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)) and not all(isinstance(item, (int, float)) for item in value):
        return "a list"
    if secret and isinstance(value, (str, bytes)):
        return "text that is not shown"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def unquoted(value: object, pattern: str) -> str:
    """`, which is text: leave the quotes out` for a number or a truth value that is written as text, or empty."""
    is_text = isinstance(value, str) and re.fullmatch(pattern, value, re.IGNORECASE)
    return ", which is text: leave the quotes out" if is_text else ""


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the nearest known word, or empty."""
    matches = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.65)
    return f"; did you mean {matches[0]!r}?" if matches else ""

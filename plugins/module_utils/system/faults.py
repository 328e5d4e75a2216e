# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What is wrong, as a message: the error that carries faults, and how values stand in them. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class FleetError(Exception):
    """One or more faults, each a line of its own that names a path, what was found and what is right."""

    def __init__(self, *faults: str) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def show(value: object, secret: bool = False) -> str:
    """A value as it stands in a message: short, and without line breaks.

    What may hold a secret is called by its kind: anything where one is expected (`secret`),
    and lists and mappings of more than numbers anywhere.
    """
    if isinstance(value, Mapping):
        return "a mapping" if value else "an empty mapping"
    if isinstance(value, (list, tuple)) and not all(isinstance(item, (int, float)) for item in value):
        return "a list"
    if secret and isinstance(value, (str, bytes)):
        return "text that is not shown"
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def nearest(word: str, known: Iterable[str]) -> str:
    """`; did you mean 'x'?` for the known word nearest to this one, or nothing."""
    matches = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.65)
    return f"; did you mean {matches[0]!r}?" if matches else ""

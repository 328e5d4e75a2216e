# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""JSON that a container or a hub wrote. The caller limits its bytes. Pure."""

from __future__ import annotations

import json
from typing import Any, Union

# Three bytes of text are a list or mapping of 70 to 240 bytes of memory.
MOST_PARTS = 100_000
_DIGITS = 18  # to convert a number with millions of digits takes minutes; one with 400 is too large for a float


def parse(content: bytes) -> Any:
    """Raises ValueError unless it is JSON in UTF-8 with at most MOST_PARTS lists and mappings, in fewer levels than
    Python nests calls. A whole number of more than 18 digits stays text."""
    text = content.decode()
    if text.count("[") + text.count("{") > MOST_PARTS:
        raise ValueError(f"expected at most {MOST_PARTS} lists and mappings, found more")
    try:
        return json.loads(text, parse_int=_number)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _number(text: str) -> Union[int, str]:
    return int(text) if len(text) <= _DIGITS else text

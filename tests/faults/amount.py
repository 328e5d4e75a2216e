"""How many of a test's cases are tried: a sample, some in ./run-tests extended, all in ./run-tests faults."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

from lab.fixtures import EXTENDED

T = TypeVar("T")
EVERY_FAULT = os.environ.get("EVERY_FAULT") == "yes"
"""Set by ./run-tests faults."""
ONE_IN = 4


def some(everything: Iterable[T], sample: Iterable[T] = ()) -> list[T]:
    """The sample, which may be empty; in ./run-tests extended one case in four as well, the first among them."""
    cases = list(everything)
    if EVERY_FAULT:
        return cases
    chosen = list(sample)
    return [case for index, case in enumerate(cases) if case in chosen or (EXTENDED and index % ONE_IN == 0)]

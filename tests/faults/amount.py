"""The number of tries: a sample, or everything with FAULTS=all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TypeVar

T = TypeVar("T")

ALL = os.environ.get("FAULTS", "sample") == "all"


def some(everything: Iterable[T], sample: Iterable[T]) -> list[T]:
    return list(everything if ALL else sample)

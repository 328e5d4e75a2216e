"""How much is tried: a sample, or in ./run-tests extended everything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from lab.fixtures import EXTENDED

T = TypeVar("T")


def some(everything: Iterable[T], sample: Iterable[T]) -> list[T]:
    return list(everything if EXTENDED else sample)

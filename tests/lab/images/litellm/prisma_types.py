"""Stands in for 32,000 generated classes: type checkers need them, a start takes 5 s longer."""

from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("__"):
        raise AttributeError(name)
    return Any

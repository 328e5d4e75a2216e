# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A host's secrets: planned from the inventory, the stored secrets, and the secrets to rotate. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Optional

_PERMANENT = (
    "{name}: the inventory gives another value than this host has, and the data here is encrypted with that one; "
    "remove the value from the inventory, or give the host's value"
)
_ROTATES_NO_MORE = "{name}: is never rotated, since the data here is encrypted with it and cannot be read without it"
_GIVEN = (
    "{name}: is not generated, since the inventory gives it and would override a generated value; "
    "change it there, and run install to apply it"
)


@dataclass(frozen=True)
class Previous:
    """A previous value that is still accepted. until: seconds since the epoch."""

    value: str
    until: int


@dataclass(frozen=True)
class Wanted:
    """The request of one run.

    given: name -> value, or None for a value that the host generates. rotate: names of values to generate
    again. overlap: seconds for which the previous value of a name in `overlapping` stays accepted. With 0, a
    changed name loses all previous values, and if nothing is rotated, so does every name.
    permanent: names whose value can never change.
    """

    given: Mapping[str, Optional[str]]
    rotate: Collection[str] = ()
    overlap: int = 0
    overlapping: Collection[str] = ()
    permanent: Collection[str] = ()


@dataclass(frozen=True)
class Outcome:
    """The value of every name in `given`, and its previous values still accepted, newest first; unchanged on faults."""

    values: Mapping[str, str]
    previous: Mapping[str, tuple[Previous, ...]] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def plan_secrets(
    wanted: Wanted,
    kept: Mapping[str, str],
    previous: Mapping[str, tuple[Previous, ...]],
    now: float,
    generate: Callable[[str], str],
) -> Outcome:
    """kept, previous: the host's values, by name. generate: returns a new value for a name."""
    faults = tuple(_faults(wanted, kept))
    if faults:
        return Outcome({name: kept.get(name, "") for name in wanted.given}, previous, faults)
    values = {
        name: given or (kept.get(name) if name not in wanted.rotate else None) or generate(name)
        for name, given in wanted.given.items()
    }
    accepted = {
        name: tuple(
            one
            for one in _before(wanted, kept.get(name, ""), values[name], previous.get(name, ()), now)
            if one.until > now and one.value != values[name]
        )
        for name in wanted.overlapping
        if name in values
    }
    return Outcome(values, {name: still for name, still in accepted.items() if still})


def _before(wanted: Wanted, was: str, value: str, earlier: tuple[Previous, ...], now: float) -> tuple[Previous, ...]:
    """The previous values of a name, newest first. was: its value until this run, or empty."""
    changes = was != value
    if not wanted.overlap and (changes or not wanted.rotate):
        return ()
    if not changes or not was:
        return earlier
    return (Previous(was, int(now) + wanted.overlap), *(one for one in earlier if one.value != was))


def _faults(wanted: Wanted, kept: Mapping[str, str]) -> list[str]:
    faults = []
    for name in wanted.rotate:
        if name not in wanted.given:
            faults.append(f"{name}: there is no such secret on this host; it has {', '.join(sorted(wanted.given))}")
        elif name in wanted.permanent:
            faults.append(_ROTATES_NO_MORE.format(name=name))
        elif wanted.given[name]:
            faults.append(_GIVEN.format(name=name))
    for name in wanted.permanent:
        if kept.get(name) and (wanted.given.get(name) or kept[name]) != kept[name]:
            faults.append(_PERMANENT.format(name=name))
    return faults

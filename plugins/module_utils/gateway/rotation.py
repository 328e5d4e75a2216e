# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host's secrets should be, after the inventory, what the host has kept, and what is to be rotated. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Optional

_PERMANENT = (
    "{name}: the inventory gives another one than this host has, which the data here was encrypted with; "
    "take it out of the inventory, or give the one that the host has"
)
_ROTATES_NO_MORE = "{name}: is never rotated, since the data here was encrypted with it and cannot be read without it"
_GIVEN = (
    "{name}: is not generated, since the inventory gives it and would put it back; "
    "change it there, and run install to take it into use"
)


@dataclass(frozen=True)
class Previous:
    """A value that goes on being accepted. until: seconds since the epoch."""

    value: str
    until: int


@dataclass(frozen=True)
class Wanted:
    """What one run is asked for.

    given: name -> value, or None for one that the host makes. rotate: names of those to be made
    anew. overlap: seconds for which what a name of `overlapping` was before goes on being accepted; 0 ends
    all that a name was before which changes in this run, and in a run that rotates nothing that of every name.
    permanent: names of those that can never change.
    """

    given: Mapping[str, Optional[str]]
    rotate: Collection[str] = ()
    overlap: int = 0
    overlapping: Collection[str] = ()
    permanent: Collection[str] = ()


@dataclass(frozen=True)
class Outcome:
    """Every secret of `given`, and what is still accepted beside it, newest first; with faults, as they are kept."""

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
    """kept, previous: what the host has, by name. generate: a new value for a name."""
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
    """What a name was before, newest first. was: what it was until this run, or nothing."""
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

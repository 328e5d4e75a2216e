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
    anew. overlap: seconds for which what a name of `overlapping` was before goes on being accepted; 0 in
    a run that rotates nothing ends it for changes of earlier runs too.
    permanent: names of those that can never change.
    """

    given: Mapping[str, Optional[str]]
    rotate: Collection[str] = ()
    overlap: int = 0
    overlapping: Collection[str] = ()
    permanent: Collection[str] = ()


@dataclass(frozen=True)
class Outcome:
    """Every secret of `given`, and what is still accepted beside it; with faults, as they are kept."""

    values: Mapping[str, str]
    previous: Mapping[str, Previous] = field(default_factory=dict)
    faults: tuple[str, ...] = ()


def plan_secrets(
    wanted: Wanted,
    kept: Mapping[str, str],
    previous: Mapping[str, Previous],
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
    accepted: dict[str, Previous] = {}
    earlier = previous if wanted.overlap or wanted.rotate else {}
    for name in wanted.overlapping:
        if name not in values:
            continue
        was = kept.get(name)
        if was and was != values[name]:
            still = Previous(was, int(now) + wanted.overlap)
        else:
            still = earlier.get(name, Previous("", 0))
        if still.until > now and still.value != values[name]:
            accepted[name] = still
    return Outcome(values, accepted)


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

"""Where instances go: which placements are free, which one the driver takes, what ID follows. Pure.

The driver's choice, as captures show it: it halves the memory and takes the half with the
least room that still has a place, then halves that. On seven slices single ones therefore
go to 6, 4, 5, 0, 1, 2, 3, and two 1g and a 2g leave no place for a 3g (MIG User Guide,
"Instance Geometry", example 2). An ID is the number of the node in that tree of halves.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from simulated_nvidia.hardware import Kind, Profile


@dataclass(frozen=True)
class Span:
    """[start, start + size), in slices."""

    start: int
    size: int

    def overlaps(self, other: Span) -> bool:
        return self.start < other.start + other.size and other.start < self.start + self.size

    def within(self, other: Span) -> bool:
        return other.start <= self.start and self.start + self.size <= other.start + other.size


def free(spans: Iterable[Span], taken: Collection[Span]) -> list[Span]:
    return [span for span in spans if not any(span.overlaps(other) for other in taken)]


def choose(candidates: Sequence[Span], room: Sequence[Span], whole: Span, unit: int) -> Span:
    """The candidate that the driver takes. room: the smallest places, those that are free; unit: their size."""
    if len(candidates) == 1 or whole.size <= unit:
        return candidates[0]
    half = whole.size // 2
    halves = (Span(whole.start, half), Span(whole.start + half, whole.size - half))
    options = []
    for part in halves:
        inside = [span for span in candidates if span.within(part)]
        if inside:
            options.append((sum(place.within(part) for place in room), part.start, part, inside))
    if not options:
        return candidates[0]
    _, _, part, inside = min(options, key=lambda option: option[:2])
    return choose(inside, room, part, unit)


@dataclass(frozen=True)
class Placed:
    """A GPU instance as far as room is concerned."""

    profile: Profile
    span: Span


class Gpu:
    """The room on one GPU."""

    def __init__(self, kind: Kind, placed: Collection[Placed], *, mixes_3g_and_4g: bool = True) -> None:
        self._kind = kind
        self._placed = list(placed)
        self._mixes = mixes_3g_and_4g
        self._whole = Span(0, max(profile.size for profile in kind.profiles))
        self._unit = min(profile.size for profile in kind.profiles)

    def admits(self, profile: Profile) -> bool:
        """Whether anything but the placement is in the way: number, compute slices, media engines."""
        same = sum(other.profile.id == profile.id for other in self._placed)
        slices = sum(other.profile.slices for other in self._placed)
        if same >= profile.total or slices + profile.slices > self._kind.slices:
            return False
        if not self._mixes and {3, 4} <= {profile.slices} | {other.profile.slices for other in self._placed}:
            return False
        limits = max(other.engines.media() for other in self._kind.profiles if other.slices == self._kind.slices)
        used = [other.profile.engines.media() for other in self._placed] + [profile.engines.media()]
        return all(sum(column) <= limit for *column, limit in zip(*used, limits, strict=True))

    def places(self, profile: Profile) -> list[Span]:
        spans = [Span(start, profile.size) for start in profile.starts]
        return free(spans, [other.span for other in self._placed]) if self.admits(profile) else []

    def choose(self, profile: Profile) -> Span | None:
        """Where the driver would put one; None: no room."""
        places = self.places(profile)
        preferred = [span for span in places if span.start not in profile.last_starts] or places
        if not preferred:
            return None
        single = next(other for other in self._kind.profiles if other.size == self._unit)
        taken = [other.span for other in self._placed]
        room = free([Span(start, self._unit) for start in single.starts], taken)
        return choose(preferred, room, self._whole, self._unit)

    def capacity(self, profile: Profile) -> int:
        """How many more of this profile could be created: the Free of `-lgip`."""
        gpu, count = Gpu(self._kind, self._placed, mixes_3g_and_4g=self._mixes), 0
        while span := next(iter(gpu.places(profile)), None):
            gpu._placed.append(Placed(profile, span))
            count += 1
        return count

    def instance_id(self, span: Span, *, flipped: bool) -> int:
        level = self._whole.size // span.size
        half = self._whole.size // 2
        start = (span.start + half) % self._whole.size if flipped and level > 1 else span.start
        return level - 1 + start // span.size


COMPUTE_STARTS = {1: range(7), 2: (0, 2, 4), 3: (0, 4), 4: (0,), 7: (0,)}


def compute_places(slices: int, within: int, taken: Collection[Span]) -> list[Span]:
    """Of a compute instance in a GPU instance of so many compute slices."""
    spans = (Span(start, slices) for start in COMPUTE_STARTS[slices])
    return free([span for span in spans if span.start + span.size <= within], taken)


def choose_compute(slices: int, within: int, taken: Collection[Span]) -> Span | None:
    places = compute_places(slices, within, taken)
    if not places:
        return None
    room = free([Span(start, 1) for start in range(within)], taken)
    return choose(places, room, Span(0, 1 << (within - 1).bit_length()), 1)


def compute_capacity(slices: int, within: int, taken: Collection[Span]) -> int:
    filled, count = list(taken), 0
    while places := compute_places(slices, within, filled):
        filled.append(places[0])
        count += 1
    return count

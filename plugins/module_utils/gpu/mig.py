# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""One GPU's instances: which to keep, which to destroy, and where to place new ones. Pure.

Destroys are the fewest possible: every choice of instances to keep is tried, largest
choice first; a GPU has few instances. Creates have explicit placements, so that a valid set does
not fail because of the order of creation or the driver's choice of placement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import (
    ComputeInstance,
    GpuInstance,
    Profile,
    compute_slices,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Instance
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

# (GPU instance ID, compute instance ID) -> its holder, for display.
Holders = Mapping[tuple[int, int], Sequence[str]]
Places = tuple[tuple[str, int], ...]  # profile and start of new instances
Pairs = dict[int, Instance]  # by GPU instance ID: the desired instance


@dataclass(frozen=True)
class Step:
    """One change of a GPU.

    verb: enable, disable or reset (MIG mode), destroy, divide or create (GPU instances).
    destroys: IDs of compute instances to destroy. computes: slices of compute instances to
    create, largest first; in a create, empty means one that fills the GPU instance. start:
    None in a create whose placement is unknown until MIG is on.
    """

    verb: str
    gpu: int
    instance: Optional[int] = None
    profile: str = ""
    profile_id: Optional[int] = None
    start: Optional[int] = None
    destroys: tuple[int, ...] = ()
    computes: tuple[int, ...] = ()

    def __str__(self) -> str:
        if not self.profile:
            return f"GPU {self.gpu}: {self.verb}" + ("" if self.verb == "reset" else " MIG")
        place = f" at {self.start}" if self.start is not None else ""
        parts = f" as {', '.join(f'{one}c' for one in self.computes)}" if self.computes else ""
        return f"GPU {self.gpu}: {self.verb} {self.profile}{place}{parts}"


class Shape:
    """What fits on one kind of GPU, from the profiles that it offers."""

    def __init__(self, profiles: Sequence[Profile]) -> None:
        self.profiles = {profile.name: profile for profile in profiles}
        self.memory_slices = max(max(profile.starts) + profile.size for profile in profiles)
        self.compute_slices = max(profile.slices for profile in profiles)
        self._masks = {
            profile.name: {start: ((1 << profile.size) - 1) << start for start in profile.starts}
            for profile in profiles
        }
        self._all_masks = [mask for masks in self._masks.values() for mask in masks.values()]
        self._choices = {
            name: sorted(masks.items(), key=lambda place: (self.harm(place[1]), place[0]))
            for name, masks in self._masks.items()
        }
        self._placed: dict[tuple[int, tuple[str, ...]], Optional[Places]] = {}

    def size(self, name: str) -> tuple[int, int]:
        return self.profiles[name].size, self.profiles[name].slices

    def mask(self, name: str, start: Optional[int]) -> int:
        """The memory slices of an instance as bits."""
        return self._masks[name].get(start or 0) or ((1 << self.profiles[name].size) - 1) << (start or 0)

    def harm(self, mask: int) -> int:
        """How many placements of any profile overlap the mask."""
        return sum(1 for other in self._all_masks if other & mask)

    def faults(self, wanted: Mapping[str, int]) -> list[str]:
        """Why this multiset of profiles fits in no placement; empty if it may fit."""
        faults = []
        has = ", ".join(sorted(self.profiles, key=lambda name: (*self.size(name), name)))
        unknown = [name for name in wanted if name not in self.profiles]
        if unknown:
            return [f'"{name}" is not a profile of this GPU; it has {has}' for name in unknown]
        for what, capacity, of in (("compute", self.compute_slices, 1), ("memory", self.memory_slices, 0)):
            asked = sum(self.size(name)[of] * count for name, count in wanted.items())
            if asked > capacity:
                faults.append(f"asks for {asked} {what} slices; the GPU has {capacity}")
        extended = {name: count for name, count in wanted.items() if "+me" in name and count}
        if sum(extended.values()) > 1:
            faults.append(f"asks for the media extensions {sum(extended.values())} times (+me); the GPU has them once")
        for name, count in wanted.items():
            if count > self.profiles[name].total and name not in extended:
                faults.append(f"asks for {count} of {name}; the GPU has at most {self.profiles[name].total}")
        others = [
            name for name, count in wanted.items() if name not in extended and self.profiles[name].engines and count
        ]
        if any(name.endswith("+me.all") for name in extended) and others:
            faults.append(f"{next(iter(extended))} takes all media engines, and {', '.join(others)} need some too")
        return faults

    def place(self, taken: int, names: Iterable[str]) -> Optional[Places]:
        """A start for each name around the taken memory slices, or None if there is none.

        Of several, the placements that leave the most room for others.
        """
        ordered = tuple(sorted(sorted(names), key=self.size, reverse=True))  # equal ones as `instances` has them
        if (taken, ordered) not in self._placed:
            self._placed[taken, ordered] = self._search(taken, ordered)
        return self._placed[taken, ordered]

    def _search(self, taken: int, ordered: tuple[str, ...]) -> Optional[Places]:
        dead_ends: set[tuple[int, int, int]] = set()

        def search(position: int, taken: int, first: int) -> Optional[Places]:
            if position == len(ordered):
                return ()
            if (position, taken, first) in dead_ends:
                return None
            name = ordered[position]
            for choice in range(first, len(self._choices[name])):
                start, mask = self._choices[name][choice]
                if not mask & taken:
                    # Equal instances are interchangeable: the next one starts after this one.
                    equal = position + 1 < len(ordered) and ordered[position + 1] == name
                    rest = search(position + 1, taken | mask, choice + 1 if equal else 0)
                    if rest is not None:
                        return ((name, start), *rest)
            dead_ends.add((position, taken, first))
            return None

        return search(0, taken, 0)

    def fits(self, wanted: Mapping[str, int]) -> bool:
        """Whether all of them fit on an empty GPU at once."""
        return not self.faults(wanted) and self.place(0, Counter(wanted).elements()) is not None

    def sets(self) -> Iterator[Counter[str]]:
        """Every multiset of profiles that fits, including the empty one."""
        names = sorted(self.profiles)

        def more(chosen: Counter[str], first: int) -> Iterator[Counter[str]]:
            yield chosen
            for index in range(first, len(names)):
                larger = chosen + Counter([names[index]])
                if self.fits(larger):
                    yield from more(larger, index)

        yield from more(Counter(), 0)

    def nearest(self, wanted: Mapping[str, int]) -> Counter[str]:
        """The multiset that fits and differs least: first the most of the requested profiles, by
        number and by size; then the nearest number and size of instances. A profile of another
        GPU is replaced by the one with as many compute slices."""
        asked: Counter[str] = Counter()
        for name, count in wanted.items():
            alike = [known for known in sorted(self.profiles) if compute_slices(known) == compute_slices(name)]
            for known in [name] if name in self.profiles else alike[:1]:
                asked[known] += count

        def slices(some: Mapping[str, int]) -> int:
            return sum(sum(self.size(name)) * count for name, count in some.items())

        def distance(one: Counter[str]) -> tuple[int, ...]:
            kept = one & asked
            more = sum(one.values()) - sum(wanted.values())
            return -sum(kept.values()), -slices(kept), abs(more), abs(slices(one) - slices(asked))

        return min(self.sets(), key=distance)


def plan_instances(
    gpu: int,
    profiles: Sequence[Profile],
    present: Sequence[GpuInstance],
    asked: Sequence[Instance],
    holders: Holders,
    liked: frozenset[int] = frozenset(),
) -> tuple[Step, ...]:
    """The destroys and creates, in order, that turn the present instances into the requested ones.

    holders: of instances that must not be destroyed. liked: IDs of GPU instances to keep in preference.
    Raises FleetError when the requested instances do not fit, or when an instance that is in use
    would have to be destroyed; the error names the instances and their holders.
    """
    if not profiles:
        raise FleetError(f"GPU {gpu}: nvidia-smi mig -lgip and -lgipp list no profile with a placement")
    shape = _shape(tuple(profiles))
    wanted = Counter(instance.profile for instance in asked)
    faults = shape.faults(wanted)
    if not faults and shape.place(0, wanted.elements()) is None:
        faults = ["there is no placement for all of them"]
    if faults:
        nearest = _listed(shape.nearest(wanted)) or "nothing"
        raise FleetError(f"GPU {gpu}: {_listed(wanted)}: {'; '.join(faults)}. The nearest that fits: {nearest}")
    held = {instance.id for instance in present if any((instance.id, part.id) in holders for part in instance.compute)}
    found = _arrange(shape, present, asked, holders, held, liked)
    if found is None:
        raise FleetError(_in_the_way(gpu, shape, present, asked, holders, liked))
    return tuple(_steps(gpu, shape, present, holders, *found))


@lru_cache(maxsize=32)
def _shape(profiles: tuple[Profile, ...]) -> Shape:
    return Shape(profiles)


def _arrange(
    shape: Shape,
    present: Sequence[GpuInstance],
    asked: Sequence[Instance],
    holders: Holders,
    fixed: set[Optional[int]],
    liked: frozenset[int],
) -> Optional[tuple[Pairs, Places, list[Instance]]]:
    """The instances to keep with their desired form, the placements of new ones, and the desired new ones.

    None if not all fixed instances can be kept. Tries every choice of instances to keep, largest choice first.
    """
    wanted = Counter(instance.profile for instance in asked)
    staying = [one for one in present if one.id in fixed]
    if Counter(one.profile for one in staying) - wanted:
        return None
    free = [one for one in present if one.id not in fixed and wanted[one.profile] and one.profile in shape.profiles]
    free.sort(key=lambda one: (one.id not in liked, shape.harm(shape.mask(one.profile, one.start)), one.start))
    for count in range(min(len(free), len(asked) - len(staying)), -1, -1):
        best = None
        for chosen in combinations(free, count):
            score = sum(1 for one in chosen if one.id in liked)
            if best and score <= best[0]:
                continue
            kept = [*staying, *chosen]
            rest = wanted.copy()
            rest.subtract(one.profile for one in kept)
            if min(rest.values(), default=0) < 0:
                continue
            taken = sum(shape.mask(one.profile, one.start) for one in kept)
            places = shape.place(taken, rest.elements())
            pairs = _pair(kept, asked, holders) if places is not None else None
            if places is not None and pairs is not None:
                best = (score, pairs, places)
            if best and best[0] == min(count, len(liked)):
                break
        if best:
            _score, pairs, places = best
            left = Counter(asked)
            left.subtract(pairs.values())
            return pairs, places, sorted(left.elements(), key=lambda one: one.computes)
    return None


def _pair(kept: Sequence[GpuInstance], asked: Sequence[Instance], holders: Holders) -> Optional[Pairs]:
    """Which requested instance each kept instance becomes: one with the same compute instances
    if possible, and never one that lacks a compute instance in use."""
    left = Counter(asked)
    # Instances with most in use first: they have the least choice.
    ordered = sorted(kept, key=lambda one: -len(_held(one, holders)))

    def pair(position: int) -> Optional[Pairs]:
        if position == len(ordered):
            return {}
        one = ordered[position]
        in_use = [part for part in one.compute if part.id in _held(one, holders)]
        choices = [
            ask
            for ask, count in left.items()
            if count > 0 and ask.profile == one.profile and _has_room(one, in_use, _asked_computes(ask))
        ]
        for ask in sorted(choices, key=lambda ask: (_asked_computes(ask) != _computes(one), ask.computes)):
            left[ask] -= 1
            rest = pair(position + 1)
            if rest is not None:
                return {one.id or 0: ask, **rest}
            left[ask] += 1
        return None

    return pair(0)


def _steps(
    gpu: int,
    shape: Shape,
    present: Sequence[GpuInstance],
    holders: Holders,
    pairs: Pairs,
    places: Places,
    left: list[Instance],
) -> Iterator[Step]:
    for one in present:
        if one.id not in pairs:
            gone = tuple(part.id for part in one.compute)
            yield Step("destroy", gpu, one.id, one.profile, start=one.start, destroys=gone)
    for one in present:
        if one.id in pairs:
            wanted = _asked_computes(pairs[one.id or 0])
            gone, made = _divide(one, wanted, _held(one, holders))
            if gone or made:
                yield Step("divide", gpu, one.id, one.profile, start=one.start, destroys=gone, computes=made)
    for name, start in places:
        computes = left.pop([ask.profile for ask in left].index(name)).computes
        yield Step("create", gpu, None, name, profile_id=shape.profiles[name].id, start=start, computes=computes)


def _divide(one: GpuInstance, wanted: Sequence[int], held: set[int]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """IDs of the compute instances to destroy, and the slices of those to create, largest first.

    Requested instances are kept, unless they leave no gap for the missing ones.
    """
    missing = Counter(wanted)
    staying = []
    for part in sorted(one.compute, key=lambda part: part.id not in held):
        if missing[part.slices] > 0:
            missing[part.slices] -= 1
            staying.append(part)
    some_missing = len(staying) < len(wanted)
    if some_missing and (not _has_room(one, staying, wanted) or any(part.start is None for part in staying)):
        staying = [part for part in staying if part.id in held]
    made = sorted((Counter(wanted) - Counter(part.slices for part in staying)).elements(), reverse=True)
    return tuple(part.id for part in one.compute if part not in staying), tuple(made)


def _has_room(one: GpuInstance, staying: Sequence[ComputeInstance], wanted: Sequence[int]) -> bool:
    """Whether all that stay are wanted, and leave a gap for each of the rest; assumed where the driver
    does not report their placement."""
    rest = Counter(wanted)
    rest.subtract(part.slices for part in staying)
    if min(rest.values()) < 0:
        return False
    if any(part.start is None for part in staying):
        return True
    taken = frozenset(slot for part in staying for slot in range(part.start or 0, (part.start or 0) + part.slices))
    return _has_gaps(compute_slices(one.profile), taken, sorted(rest.elements(), reverse=True))


def _has_gaps(slices: int, taken: frozenset[int], sizes: Sequence[int]) -> bool:
    """Whether parts of these sizes fit in the free slices. Like GPU instances, larger parts start at
    every second or every fourth slice."""
    if not sizes:
        return True
    size, *others = sizes
    places = (range(at, at + size) for at in range(0, slices - size + 1, min(4, 1 << (size - 1).bit_length())))
    return any(not taken & set(place) and _has_gaps(slices, taken | set(place), others) for place in places)


def _in_the_way(
    gpu: int,
    shape: Shape,
    present: Sequence[GpuInstance],
    asked: Sequence[Instance],
    holders: Holders,
    liked: frozenset[int],
) -> str:
    """The fault that names the fewest instances in use without which the request could be met."""
    held = [one for one in present if _held(one, holders)]
    for count in range(1, len(held) + 1):
        for gone in combinations(held, count):
            fixed = {one.id for one in held if one not in gone}
            still = {key: who for key, who in holders.items() if key[0] in fixed}
            if _arrange(shape, present, asked, still, fixed, liked) is not None:
                blocking = [f"{one} ({', '.join(_who(one, holders))})" for one in gone]
                return (
                    f"GPU {gpu}: {_listed(Counter(one.profile for one in asked)) or 'no instances'}: "
                    f"in the way and in use: {'; '.join(blocking)}. "
                    f"Stop or move what holds them, or ask for a layout that keeps them"
                )
    raise AssertionError("a layout that fits an empty GPU is blocked, and no instance is in use")


def _who(one: GpuInstance, holders: Holders) -> list[str]:
    return list(dict.fromkeys(who for part in one.compute for who in holders.get((one.id or 0, part.id), ())))


def _held(one: GpuInstance, holders: Holders) -> set[int]:
    return {part.id for part in one.compute if (one.id, part.id) in holders}


def _computes(one: GpuInstance) -> tuple[int, ...]:
    return tuple(sorted((part.slices for part in one.compute), reverse=True))


def _asked_computes(ask: Instance) -> tuple[int, ...]:
    return ask.computes or (compute_slices(ask.profile),)


def _listed(profiles: Mapping[str, int]) -> str:
    """`3g.20gb, 2 x 1g.5gb`, larger ones first."""
    names = sorted(profiles, key=lambda name: (-compute_slices(name), name))
    return ", ".join(name if profiles[name] == 1 else f"{profiles[name]} x {name}" for name in names if profiles[name])

"""How NVIDIA's mig-parted makes a set of GPU instances, on a driver that is simulated.

It gives no placements, so the driver chooses them, and a set that fits may fail in the order in
which it is created. mig-parted then clears the GPU and tries the next order (NVIDIA/mig-parted,
SetMigConfig in pkg/mig/config/config.go at 0197e69, Flatten in pkg/types/mig_config.go at
f5e1171). It is retold here from that source, not run. The driver's choice is the rule of the
lab's simulator, which yields what published captures show: NVIDIA does not document it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.gpu.mig import Step
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Device

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "lab/nvidia"))

from simulated_nvidia.allocation import Gpu, Placed, Span
from simulated_nvidia.hardware import KINDS, Profile

Offer = Mapping[str, Profile]
KIND = KINDS["A100-SXM4-40GB"]
OFFER: Offer = {profile.name: profile for profile in KIND.profiles}
# A driver that has no placement which it takes only when no other is free. One capture (three
# 1g.20gb on an H100) is all that says it has: what hangs on it is to be seen.
WITHOUT_LAST: Offer = {name: replace(profile, last_starts=()) for name, profile in OFFER.items()}


@dataclass(frozen=True)
class Search:
    """orders: those tried. torn_down: instances that were created in those that failed."""

    orders: int
    torn_down: int
    found: bool


def try_orders(names: Sequence[str], offer: Offer) -> Search:
    """One by one until one works. mig-parted sorts 1g.5gb and 1g.10gb as equal, so either may come
    first: of the two searches this is the longer."""
    searches = [_try(start, offer) for start in _largest_first(names)]
    return max(searches, key=lambda search: (not search.found, search.orders))


def accepts(steps: Sequence[Step]) -> bool:
    """Whether an empty GPU has room for each create, one after the other, where the step says."""
    placed: list[Placed] = []
    for step in steps:
        profile = OFFER[step.profile]
        span = Span(step.start or 0, profile.size)
        if span not in Gpu(KIND, placed).places(profile):
            return False
        placed.append(Placed(profile, span))
    return True


def _try(start: tuple[str, ...], offer: Offer) -> Search:
    torn_down = tried = 0
    for order in _orders(list(start)):
        tried += 1
        created = _create(order, offer)
        if created == len(order):
            return Search(tried, torn_down, True)
        torn_down += created
    return Search(tried, torn_down, False)


def _largest_first(names: Sequence[str]) -> set[tuple[str, ...]]:
    """By compute slices, media extensions before none; both ways round where that does not decide."""

    def rank(name: str, sign: int) -> tuple[int, bool, int]:
        device = Device.parse(name, name)
        return -device.slices, "+" not in name, sign * device.gigabytes

    return {tuple(sorted(names, key=lambda name, sign=sign: rank(name, sign))) for sign in (1, -1)}


def _orders(names: list[str], at: int = 0) -> Iterator[tuple[str, ...]]:
    """Every different order, by swapping each later name to the front in turn."""
    if at == len(names):
        yield tuple(names)
    for other in range(at, len(names)):
        if names[other] not in names[at:other]:
            names[at], names[other] = names[other], names[at]
            yield from _orders(names, at + 1)
            names[at], names[other] = names[other], names[at]


def _create(order: Sequence[str], offer: Offer) -> int:
    """How many instances an empty GPU takes, at places of the driver's own choice, before it refuses one."""
    placed: list[Placed] = []
    for name in order:
        span = Gpu(KIND, placed).choose(offer[name])
        if span is None:
            break
        placed.append(Placed(offer[name], span))
    return len(placed)

"""GPUs with the shapes of real ones (MIG User Guide, "Supported MIG Profiles"), and every state they can be in."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from functools import cache
from typing import TypeVar

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import (
    ComputeInstance,
    Gpu,
    GpuInstance,
    Profile,
    compute_slices,
)

MEDIA = 3  # engines of a +me profile: one of NVDEC, JPEG and OFA each


def _profile(name: str, profile_id: int, size: int, starts: Sequence[int], total: int) -> Profile:
    media = 0 if compute_slices(name) == 1 else compute_slices(name) // 2
    return Profile(name, profile_id, size, tuple(starts), total, 5.0 * size, MEDIA if "+me" in name else media)


A30 = (
    _profile("1g.6gb", 14, 1, range(4), 4),
    _profile("1g.6gb+me", 21, 1, range(4), 1),
    _profile("2g.12gb", 5, 2, (0, 2), 2),
    _profile("2g.12gb+me", 6, 2, (0, 2), 1),
    _profile("4g.24gb", 0, 4, (0,), 1),
)
A100 = (
    _profile("1g.5gb", 19, 1, range(7), 7),
    _profile("1g.5gb+me", 20, 1, range(7), 1),
    _profile("1g.10gb", 15, 2, (0, 2, 4, 6), 4),
    _profile("2g.10gb", 14, 2, (0, 2, 4), 3),
    _profile("3g.20gb", 9, 4, (0, 4), 2),
    _profile("4g.20gb", 5, 4, (0,), 1),
    _profile("7g.40gb", 0, 8, (0,), 1),
)

State = tuple[tuple[str, int], ...]  # (profile, start), ascending
T = TypeVar("T")

SAMPLE_SEED = 20261128
WHOLE = os.environ.get("PROOFS") == "whole"
"""Set by ./run-tests proofs: the proofs by exhaustion take every case."""


def one_in(share: int, cases: Sequence[T]) -> Sequence[T]:
    """As many of a proof's cases as an ordinary test run has time for: always the same ones, the first and last of
    them included; every case in ./run-tests proofs."""
    if WHOLE or len(cases) <= 2:
        return cases
    drawn = random.Random(SAMPLE_SEED).sample(cases[1:-1], (len(cases) - 2) // share)
    return [cases[0], *drawn, cases[-1]]


@cache
def states(profiles: tuple[Profile, ...]) -> tuple[State, ...]:
    """Every set of instances that such a GPU can have, found without the planner: all that do not
    overlap, with at most one +me, and within the compute slices."""
    places = [(start, profile) for profile in profiles for start in profile.starts]
    places.sort(key=lambda place: (place[0], place[1].name))
    most = max(profile.slices for profile in profiles)

    def more(first: int, end: int, slices: int, media: int) -> Iterator[State]:
        yield ()
        for index in range(first, len(places)):
            start, profile = places[index]
            extended = media + ("+me" in profile.name)
            if start >= end and slices + profile.slices <= most and extended <= 1:
                for rest in more(index + 1, start + profile.size, slices + profile.slices, extended):
                    yield ((profile.name, start), *rest)

    return tuple(more(0, 0, 0, 0))


def multisets(profiles: tuple[Profile, ...]) -> tuple[tuple[str, ...], ...]:
    """Every multiset of profiles that some state has."""
    return tuple(sorted({tuple(sorted(name for name, _start in state)) for state in states(profiles)}))


def instance(
    profiles: Sequence[Profile], name: str, start: int, number: int, computes: Sequence[int] = ()
) -> GpuInstance:
    """With compute instances of these slices; without any given, the one that fills it."""
    size = next(profile.size for profile in profiles if profile.name == name)
    parts = []
    at = 0
    for index, slices in enumerate(computes or (compute_slices(name),)):
        parts.append(ComputeInstance(index, slices, at, f"MIG-{number}-{index}"))
        at += slices
    return GpuInstance(number, name, start, size, tuple(parts))


def present(profiles: Sequence[Profile], state: State) -> tuple[GpuInstance, ...]:
    return tuple(instance(profiles, name, start, number) for number, (name, start) in enumerate(state, 1))


def gpu(index: int = 0, profiles: tuple[Profile, ...] = A100, state: State = (), **changes: object) -> Gpu:
    """In MIG mode unless `mig` says otherwise; the UUIDs of its MIG devices begin with its own number."""
    mig = changes.pop("mig", True)
    given = {
        "index": index,
        "uuid": f"GPU-{index}",
        "name": "NVIDIA A100-SXM4-40GB",
        "bus_id": f"00000000:0{index}:00.0",
        "minor": index,
        "memory": 40960,
        "driver": "550.90.07",
        "architecture": "Ampere",
        "mig": mig,
        "mig_pending": mig,
        "profiles": profiles if mig else (),
        "instances": tuple(
            GpuInstance(
                one.id,
                one.profile,
                one.start,
                one.size,
                tuple(
                    ComputeInstance(part.id, part.slices, part.start, f"MIG-{index}-{one.id}") for part in one.compute
                ),
            )
            for one in present(profiles, state)
        ),
    }
    return Gpu(**{**given, **changes})  # type: ignore[arg-type]  # tests know what they change

"""The kinds of GPU that can be simulated, and their MIG profiles.

Sources: NVIDIA MIG User Guide, "Supported MIG Profiles"; what `nvidia-smi mig -lgip` and
`-lgipp` print on the hardware, for the memory, the engines and the placements. Guessed: of
the B200 the memory and the SMs of profiles 9, 5 and 0, which no capture that was found has.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

MIB_PER_GIB = 1024
# The order in which NVML knows profiles (nvml.h, NVML_GPU_INSTANCE_PROFILE_*) is the order of
# `-lgi`; the table of `-lgip` is in the order of the profiles here.
ORDER_ME, ORDER_ME_2, ORDER_WIDE, ORDER_GFX, ORDER_NO_ME, ORDER_ALL_ME = 7, 8, 9, 10, 13, 15


@dataclass(frozen=True)
class Engines:
    """Copy engines, decoders, encoders, JPEG decoders, optical flow accelerators."""

    ce: int
    dec: int = 0
    enc: int = 0
    jpeg: int = 0
    ofa: int = 0

    def media(self) -> tuple[int, int, int, int]:
        return self.dec, self.enc, self.jpeg, self.ofa


@dataclass(frozen=True)
class Profile:
    """A GPU instance profile.

    slices: compute slices. size, starts: in memory slices. last_starts: placements that the
    driver takes only when no other is free. mib: memory. since: the first driver that has it.
    compute_id: of the compute instance profile that fills it.
    """

    name: str
    id: int
    slices: int
    size: int
    starts: tuple[int, ...]
    total: int
    order: int
    mib: int
    sm: int
    engines: Engines
    compute_id: int
    since: int = 450
    last_starts: tuple[int, ...] = ()

    @property
    def compute_name(self) -> str:
        """A compute instance is named without +me (seen on an H100 under driver 580)."""
        return self.name.removesuffix("+me")


@dataclass(frozen=True)
class Kind:
    """mib: of the whole GPU, as `memory.total` reports; 0 where that is N/A. mode_resets: whether MIG mode changes
    by a reset and outlives a reboot, as on Ampere. watts: its power limit; 0 where that is N/A."""

    key: str
    name: str
    architecture: str
    capability: str
    mib: int
    watts: int
    slices: int = 0
    profiles: tuple[Profile, ...] = ()
    since: int = 450
    brand: str = "NVIDIA"

    @property
    def mig(self) -> bool:
        return bool(self.profiles)

    @property
    def mode_resets(self) -> bool:
        return self.architecture == "Ampere"

    def profiles_under(self, driver: int) -> tuple[Profile, ...]:
        return tuple(profile for profile in self.profiles if profile.since <= driver)


COMPUTE_IDS = {1: 0, 2: 1, 3: 2, 4: 3, 7: 4}
WIDE_COMPUTE_ID = 7
Row = tuple[str, float, int, Engines]


def _profile(
    row: Row, id: int, slices: int, size: int, starts: Iterable[int], total: int, order: int, since: int = 450
) -> Profile:
    name, gib, sm, engines = row
    mib, compute_id = int(gib * MIB_PER_GIB), COMPUTE_IDS[slices]
    return Profile(name, id, slices, size, tuple(starts), total, order, mib, sm, engines, compute_id, since)


def _seven_slices(
    rows: list[Row], *, wide_since: int = 450, wide_compute_id: int = WIDE_COMPUTE_ID
) -> tuple[Profile, ...]:
    """rows: 1g, 1g+me, 1g with twice the memory, 2g, 3g, 4g, 7g."""
    me_since = 470
    wide = _profile(rows[2], 15, 1, 2, (0, 2, 4, 6), 4, ORDER_WIDE, wide_since)
    return (
        _profile(rows[0], 19, 1, 1, range(7), 7, 0),
        _profile(rows[1], 20, 1, 1, range(7), 1, ORDER_ME, me_since),
        replace(wide, compute_id=wide_compute_id, last_starts=(6,)),
        _profile(rows[3], 14, 2, 2, (0, 2, 4), 3, 1),
        _profile(rows[4], 9, 3, 4, (0, 4), 2, 2),
        _profile(rows[5], 5, 4, 4, (0,), 1, 3),
        _profile(rows[6], 0, 7, 8, (0,), 1, 4),
    )


def _a100(names: tuple[str, ...], gib: tuple[float, ...]) -> tuple[Profile, ...]:
    engines = (
        (14, Engines(1)),
        (14, Engines(1, dec=1, jpeg=1, ofa=1)),
        (14, Engines(1, dec=1)),
        (28, Engines(2, dec=1)),
        (42, Engines(3, dec=2)),
        (56, Engines(4, dec=2)),
        (98, Engines(7, dec=5, jpeg=1, ofa=1)),
    )
    rows: list[Row] = [(name, size, *has) for name, size, has in zip(names, gib, engines, strict=True)]
    return _seven_slices(rows, wide_since=525, wide_compute_id=0)


def _hopper(
    names: tuple[str, ...],
    gib: tuple[float, ...],
    sm: tuple[int, ...] = (16, 16, 26, 32, 60, 64, 132),
    ce: tuple[int, ...] = (1, 1, 1, 2, 3, 4, 8),
) -> tuple[Profile, ...]:
    """Hopper and the B200: a decoder and a JPEG decoder for every compute slice."""
    rows: list[Row] = []
    for index, name in enumerate(names):
        per_slice = int(name[0])
        ofa = int(name.endswith("+me") or per_slice == 7)
        rows.append((name, gib[index], sm[index], Engines(ce[index], dec=per_slice, jpeg=per_slice, ofa=ofa)))
    return _seven_slices(rows)


def _a30() -> tuple[Profile, ...]:
    return (
        _profile(("1g.6gb", 5.8125, 14, Engines(1, dec=1)), 14, 1, 1, range(4), 4, 0),
        _profile(("1g.6gb+me", 5.8125, 14, Engines(1, dec=1, jpeg=1, ofa=1)), 21, 1, 1, range(4), 1, ORDER_ME, 470),
        _profile(("2g.12gb", 11.6875, 28, Engines(2, dec=2)), 5, 2, 2, (0, 2), 2, 1),
        _profile(("2g.12gb+me", 11.6875, 28, Engines(2, dec=2, jpeg=1, ofa=1)), 6, 2, 2, (0, 2), 1, ORDER_ME_2, 525),
        _profile(("4g.24gb", 23.4375, 56, Engines(4, dec=4, jpeg=1, ofa=1)), 0, 4, 4, (0,), 1, 3),
    )


def _rtx_pro_6000() -> tuple[Profile, ...]:
    """Four compute slices over twelve memory slices, and media engines, all at once, or not at all."""
    quarter, half, whole = (0, 3, 6, 9), (0, 6), (0,)
    one, two = Engines(1, 1, 1, 1), Engines(2, 2, 2, 2)
    everything = Engines(4, 4, 4, 4, 1)
    small, large = (23.625, 46), (47.375, 94)
    return (
        _profile(("1g.24gb", *small, one), 14, 1, 3, quarter, 4, 0),
        _profile(("1g.24gb+me", *small, replace(one, ofa=1)), 21, 1, 3, quarter, 1, ORDER_ME),
        _profile(("1g.24gb+gfx", *small, one), 47, 1, 3, quarter, 4, ORDER_GFX),
        _profile(("1g.24gb+me.all", *small, replace(everything, ce=1)), 65, 1, 3, quarter, 1, ORDER_ALL_ME),
        _profile(("1g.24gb-me", *small, Engines(1)), 67, 1, 3, quarter, 4, ORDER_NO_ME),
        _profile(("2g.48gb", *large, two), 5, 2, 6, half, 2, 1),
        _profile(("2g.48gb+gfx", *large, two), 35, 2, 6, half, 2, ORDER_GFX + 1),
        _profile(("2g.48gb+me.all", *large, replace(everything, ce=2)), 64, 2, 6, half, 1, ORDER_ALL_ME + 1),
        _profile(("2g.48gb-me", *large, Engines(2)), 66, 2, 6, half, 2, ORDER_NO_ME + 1),
        _profile(("4g.96gb", 95.125, 188, everything), 0, 4, 12, whole, 1, 3),
        _profile(("4g.96gb+gfx", 95.125, 188, everything), 32, 4, 12, whole, 1, ORDER_GFX + 2),
    )


_A100_40 = _a100(
    ("1g.5gb", "1g.5gb+me", "1g.10gb", "2g.10gb", "3g.20gb", "4g.20gb", "7g.40gb"),
    (4.75, 4.75, 9.75, 9.75, 19.625, 19.625, 39.5),
)
_A100_80 = _a100(
    ("1g.10gb", "1g.10gb+me", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    (9.5, 9.5, 19.5, 19.5, 39.25, 39.25, 79.0),
)
_H100_80 = _hopper(
    ("1g.10gb", "1g.10gb+me", "1g.20gb", "2g.20gb", "3g.40gb", "4g.40gb", "7g.80gb"),
    (9.75, 9.75, 19.625, 19.625, 39.5, 39.5, 79.25),
)
_H200 = _hopper(
    ("1g.18gb", "1g.18gb+me", "1g.35gb", "2g.35gb", "3g.71gb", "4g.71gb", "7g.141gb"),
    (16.0, 16.0, 32.5, 32.5, 69.75, 69.75, 140.0),
)
_B200 = _hopper(
    ("1g.23gb", "1g.23gb+me", "1g.45gb", "2g.45gb", "3g.90gb", "4g.90gb", "7g.180gb"),
    (22.0, 22.0, 44.25, 44.25, 88.75, 88.75, 178.0),
    sm=(18, 18, 30, 36, 70, 72, 148),
    ce=(2, 2, 2, 4, 6, 8, 16),
)

RTX_NAME = "RTX PRO 6000 Blackwell Server Edition"
KINDS = {
    kind.key: kind
    for kind in (
        Kind("A30", "A30", "Ampere", "8.0", 24576, 165, 4, _a30(), since=460),
        Kind("A100-SXM4-40GB", "A100-SXM4-40GB", "Ampere", "8.0", 40960, 400, 7, _A100_40),
        Kind("A100-PCIE-40GB", "A100-PCIE-40GB", "Ampere", "8.0", 40960, 250, 7, _A100_40),
        Kind("A100-SXM4-80GB", "A100-SXM4-80GB", "Ampere", "8.0", 81920, 400, 7, _A100_80),
        Kind("A100-PCIE-80GB", "A100 80GB PCIe", "Ampere", "8.0", 81920, 300, 7, _A100_80, since=470),
        Kind("H100-SXM5-80GB", "H100 80GB HBM3", "Hopper", "9.0", 81559, 700, 7, _H100_80, since=525),
        Kind("H200-SXM5-141GB", "H200", "Hopper", "9.0", 143771, 700, 7, _H200, since=550),
        Kind("B200-180GB", "B200", "Blackwell", "10.0", 183359, 1000, 7, _B200, since=570),
        Kind(
            "RTX-PRO-6000", RTX_NAME, "Blackwell", "12.0", 97887, 600, 4, _rtx_pro_6000(), since=575, brand="NVIDIA RTX"
        ),
        Kind("L4", "L4", "Ada Lovelace", "8.9", 23034, 72, since=525),
        Kind("L40S", "L40S", "Ada Lovelace", "8.9", 46068, 350, since=525),
        Kind("RTX-4090", "GeForce RTX 4090", "Ada Lovelace", "8.9", 24564, 450, since=525, brand="GeForce"),
        Kind("GB10", "GB10", "Blackwell", "12.1", 0, 0, since=580),
    )
}

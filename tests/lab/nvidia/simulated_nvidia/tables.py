"""The tables of `nvidia-smi mig`, to the byte as the driver's generation prints them."""

from __future__ import annotations

from collections.abc import Iterable

from simulated_nvidia.driver import Driver
from simulated_nvidia.hardware import MIB_PER_GIB, Profile


def _table(title: str, heads: Iterable[str], rows: Iterable[Iterable[str]], width: int) -> str:
    rule = f"+{'-' * width}+"
    lines = [rule, f"| {title}".ljust(width + 1) + "|", *heads, f"|{'=' * width}|"]
    for row in rows:
        lines += [*row, rule]
    return "\n".join(lines) + "\n"


def gpu_instance_profiles(driver: Driver, rows: Iterable[tuple[int, Profile, int]]) -> str:
    """rows: GPU, profile, how many more of it there could be."""
    wide = driver.profile_name_width
    heads = (
        f"| GPU   {'Name':{wide - 1}}ID    Instances   Memory     P2P    SM    DEC   ENC  |",
        f"|{'':{wide + 9}}   Free/Total   GiB              CE    JPEG  OFA  |",
    )
    return _table("GPU instance profiles:", heads, (_profile_row(wide, *row) for row in rows), wide + 59)


def _profile_row(wide: int, gpu: int, profile: Profile, free: int) -> tuple[str, str]:
    has = profile.engines
    memory = f"{profile.mib / MIB_PER_GIB:.2f}"
    return (
        f"| {gpu:3}  {'MIG ' + profile.name:{wide}}{profile.id:2}     {free}/{profile.total}        "
        f"{memory:11}No     {profile.sm:<7}{has.dec:<6}{has.enc}   |",
        f"|{'':{wide + 43}}{has.ce:<6}{has.jpeg:<6}{has.ofa}   |",
    )


def gpu_instances(driver: Driver, rows: Iterable[tuple[int, Profile, int, int]]) -> str:
    """rows: GPU, profile, instance ID, start."""
    wide = driver.profile_name_width
    heads = (
        f"| GPU   {'Name':{wide - 1}}Profile  Instance   Placement  |",
        f"|{'':{wide + 8}}ID       ID       Start:Size |",
    )
    lines = (_instance_row(wide, *row) for row in rows)
    return _table("GPU instances:", heads, lines, wide + 37)


def _instance_row(wide: int, gpu: int, profile: Profile, instance: int, start: int) -> tuple[str]:
    place = f"{start}:{profile.size}"
    return (f"| {gpu:3}  {'MIG ' + profile.name:{wide + 2}}{profile.id:2}       {instance:2}          {place:8}|",)


def compute_instances(driver: Driver, rows: Iterable[tuple[int, int, str, int, int, str]]) -> str:
    """rows: GPU, GPU instance, name, profile ID, instance ID, placement."""
    extra = driver.compute_placement
    heads = (
        f"| GPU     GPU       Name             Profile   Instance{'   Placement  ' if extra else ' '}|",
        f"|       Instance                       ID        ID    {'   Start:Size ' if extra else ' '}|",
        f"|         ID                                           {'              ' if extra else ' '}|",
    )
    lines = (_compute_row(extra, *row) for row in rows)
    return _table("Compute instances:", heads, lines, 68 if extra else 55)


def _compute_row(extra: bool, gpu: int, instance: int, name: str, profile: int, compute: int, place: str) -> tuple[str]:
    tail = f"          {place:8}|" if extra else "     |"
    return (f"| {gpu:3}     {instance:2}       {'MIG ' + name:20}{profile:2}        {compute:2}{tail}",)


def compute_instance_profiles(rows: Iterable[tuple[int, int, str, int, bool, int, int, int, Profile]]) -> str:
    """rows: GPU, GPU instance, name, profile ID, whether it is the whole instance, free, total, SM, whose engines."""
    heads = (
        "| GPU     GPU       Name             Profile  Instances   Exclusive       Shared       |",
        "|       Instance                       ID     Free/Total     SM       DEC   ENC   OFA  |",
        "|         ID                                                          CE    JPEG       |",
    )
    return _table("Compute instance profiles:", heads, (_compute_profile_row(*row) for row in rows), 86)


def _compute_profile_row(
    gpu: int, instance: int, name: str, profile: int, whole: bool, free: int, total: int, sm: int, of: Profile
) -> tuple[str, str]:
    has, mark = of.engines, "*" if whole else " "
    return (
        f"| {gpu:3}     {instance:2}       {'MIG ' + name:20}{profile:2}{mark}     {free}/{total}           "
        f"{sm:<10}{has.dec:<6}{has.enc:<6}{has.ofa}   |",
        f"|{'':70}{has.ce:<6}{has.jpeg:<6}    |",
    )

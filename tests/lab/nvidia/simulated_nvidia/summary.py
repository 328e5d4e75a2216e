"""Plain `nvidia-smi`: the table for people, in the widths of drivers before R535 and of R545 and later."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from simulated_nvidia import listing
from simulated_nvidia.session import Session
from simulated_nvidia.state import Gpu


@dataclass(frozen=True)
class Look:
    """Widths of the GPU table's columns, of the MIG table's memory column, of a PID and a process name."""

    columns: tuple[int, int, int]
    mig_memory: int
    pid: int
    process: int
    head: str
    mig_head: tuple[str, str]

    @property
    def width(self) -> int:
        return sum(self.columns) + 2

    def rule(self, mark: str = "-", joint: str = "+") -> str:
        return joint + "+".join(mark * width for width in self.columns) + joint

    def line(self, *cells: str) -> str:
        return "|" + "|".join(f"{cell:{width}}" for cell, width in zip(cells, self.columns, strict=True)) + "|"

    def across(self, text: str = "", mark: str = " ") -> str:
        return f"|{text:{mark}<{self.width}}|"


NARROW = Look(
    (31, 22, 22),
    22,
    6,
    28,
    " NVIDIA-SMI {version:13}Driver Version: {version:13}CUDA Version: {cuda:9}",
    (
        "         Memory-Usage |        Vol|         Shared        ",
        "           BAR1-Usage | SM     Unc| CE  ENC  DEC  OFA  JPG",
    ),
)
WIDE = Look(
    (41, 24, 22),
    34,
    12,
    34,
    " NVIDIA-SMI {version:23}Driver Version: {version:15}CUDA Version: {cuda:9}",
    (
        "              Shared Memory-Usage |        Vol|        Shared         ",
        "                Shared BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG ",
    ),
)


def show(session: Session, gpus: Sequence[Gpu]) -> None:
    look = WIDE if session.driver.major >= 535 else NARROW
    session.say(time.strftime("%a %b %e %H:%M:%S %Y       "))
    for part in (_gpus, _mig, _processes):
        lines = list(part(session, look, gpus))
        if lines:
            session.say("\n".join([*lines, ""]))


def _gpus(session: Session, look: Look, gpus: Sequence[Gpu]) -> Iterator[str]:
    driver, wide = session.driver, look is WIDE
    yield f"+{'-' * look.width}+"
    yield look.across(look.head.format(version=driver.version, cuda=driver.cuda))
    yield look.rule(joint="+" if wide else "|")
    if wide:
        yield look.line(
            " GPU  Name                 Persistence-M ", " Bus-Id          Disp.A ", " Volatile Uncorr. ECC "
        )
        yield look.line(
            " Fan  Temp   Perf          Pwr:Usage/Cap ", "           Memory-Usage ", " GPU-Util  Compute M. "
        )
    else:
        yield look.line(" GPU  Name        Persistence-M", " Bus-Id        Disp.A ", " Volatile Uncorr. ECC ")
        yield look.line(" Fan  Temp  Perf  Pwr:Usage/Cap", "         Memory-Usage ", " GPU-Util  Compute M. ")
    yield look.line("", "", "               MIG M. ")
    yield look.rule("=", "|")
    for gpu in gpus:
        yield from _gpu(session, look, gpu)
        yield look.rule()


def _gpu(session: Session, look: Look, gpu: Gpu) -> Iterator[str]:
    wide, kind = look is WIDE, gpu.config.kind
    name, on = listing.name(session, gpu), "On" if gpu.persistence else "Off"
    room = 27 if wide else 16
    name = name if len(name) <= room else name[: room - 4] + "..."
    power = f"{listing.IDLE_WATTS:.0f}W / {kind.watts:4}W"
    memory = f"{listing.used_memory(session, gpu):6}MiB / {kind.mib:6}MiB "
    yield look.line(
        f" {gpu.config.index:3}  {name:{room}}{on:>4}  " if wide else f" {gpu.config.index:3}  {name:{room}} {on:4}  ",
        f"{gpu.config.bus_id:>{look.columns[1] - 5}} Off ",
        f"{'On' if gpu.mig else '0':>21} ",
    )
    yield look.line(
        f" N/A   34C    P0           {power:>13} " if wide else f" N/A   34C    P0 {power:>13} ",
        f"{memory:>{look.columns[1]}}",
        f"{'N/A' if gpu.mig else '0%':>8}      Default ",
    )
    pending = "*" if gpu.pending != gpu.mig else ""
    mode = ("Enabled" if gpu.pending else "Disabled") + pending if kind.mig else "N/A"
    yield look.line("", "", f"{mode:>21} ")


def _mig(session: Session, look: Look, gpus: Sequence[Gpu]) -> Iterator[str]:
    if not any(gpu.mig for gpu in gpus):
        return
    rule = f"+{'-' * 18}+{'-' * look.mig_memory}+{'-' * 11}+{'-' * 23}+"
    yield f"+{'-' * look.width}+"
    yield look.across(" MIG devices:")
    yield rule
    yield f"| GPU  GI  CI  MIG |{look.mig_head[0]}|"
    yield f"|      ID  ID  Dev |{look.mig_head[1]}|"
    yield f"|{'':18}|{'':{look.mig_memory}}|        ECC|{'':23}|"
    yield f"|{'=' * 18}+{'=' * look.mig_memory}+{'=' * 11}+{'=' * 23}|"
    rows = [row for gpu in gpus for row in _mig_rows(session, look, gpu)]
    for row in rows:
        yield row
        yield rule
    if not rows:
        yield look.across("  No MIG devices found")
        yield f"+{'-' * look.width}+"


def _mig_rows(session: Session, look: Look, gpu: Gpu) -> Iterator[str]:
    for index, (instance, part) in enumerate(gpu.devices()):
        profile = gpu.profile(instance)
        has, single = profile.engines, next(other.sm for other in gpu.profiles if other.slices == 1)
        sm = profile.sm if part.slices == profile.slices else part.slices * single
        in_it = sum(use.instance == instance.id for _, use in session.clients.of(gpu.config))
        memory = f"{listing.USED_MIB * in_it}MiB / {profile.mib:5}MiB "
        memory += "   " if look is WIDE else ""
        shared = f"{has.ce:3}{has.enc:4}{has.dec:5}{has.ofa:5}{has.jpeg:5} "
        yield (
            f"| {gpu.config.index:2} {instance.id:4} {part.id:3} {index:3}  |{memory:>{look.mig_memory}}|"
            f"{sm:3}      0 |{shared:23}|"
        )


def _processes(session: Session, look: Look, gpus: Sequence[Gpu]) -> Iterator[str]:
    yield f"+{'-' * look.width}+"
    yield look.across(" Processes:")
    name = f"{'Process name':{look.process}}"
    yield look.across(f"  GPU   GI   CI {'PID':>{look.pid + 4}}   Type   {name}GPU Memory ")
    yield look.across(f"        ID   ID {'':{look.pid + 14}}{'':{look.process}}Usage      ")
    yield look.across(mark="=")
    rows = [(gpu, client, use) for gpu in gpus for client, use in session.clients.of(gpu.config)]
    for gpu, client, use in rows:
        ids = " ".join(f"{'N/A' if one is None else one!s:>4}" for one in (use.instance, use.compute))
        process = client.name[-look.process + 2 :]
        yield look.across(
            f"  {gpu.config.index:3}  {ids} {client.pid:{look.pid + 4}}      C   {process:{look.process}}"
            f"{listing.USED_MIB:7}MiB "
        )
    if not rows:
        yield look.across("  No running processes found")
    yield f"+{'-' * look.width}+"

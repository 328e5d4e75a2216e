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
    """Widths: of the GPU table's columns, a GPU's name, the MIG table's memory column, a PID and a process name."""

    columns: tuple[int, int, int]
    name: int
    mig_memory: int
    pid: int
    process: int
    head: str
    gpu_heads: tuple[tuple[str, str], tuple[str, str]]
    mig_heads: tuple[str, str]

    @property
    def width(self) -> int:
        return sum(self.columns) + 2

    def border(self) -> str:
        return f"+{'-' * self.width}+"

    def rule(self, mark: str = "-", ends: str = "++") -> str:
        return ends[0] + "+".join(mark * width for width in self.columns) + ends[1]

    def line(self, *cells: str) -> str:
        return "|" + "|".join(f"{cell:{width}}" for cell, width in zip(cells, self.columns, strict=True)) + "|"

    def across(self, text: str = "", mark: str = " ") -> str:
        return f"|{text:{mark}<{self.width}}|"


NARROW = Look(
    columns=(31, 22, 22),
    name=18,
    mig_memory=22,
    pid=11,
    process=30,
    head=" NVIDIA-SMI {version:13}Driver Version: {version:13}CUDA Version: {cuda:9}",
    gpu_heads=(
        (" GPU  Name        Persistence-M", " Bus-Id        Disp.A "),
        (" Fan  Temp  Perf  Pwr:Usage/Cap", "         Memory-Usage "),
    ),
    mig_heads=(
        "         Memory-Usage |        Vol|         Shared        ",
        "           BAR1-Usage | SM     Unc| CE  ENC  DEC  OFA  JPG",
    ),
)
WIDE = Look(
    columns=(41, 24, 22),
    name=27,
    mig_memory=34,
    pid=17,
    process=36,
    head=" NVIDIA-SMI {version:23}Driver Version: {version:15}CUDA Version: {cuda:9}",
    gpu_heads=(
        (" GPU  Name                 Persistence-M ", " Bus-Id          Disp.A "),
        (" Fan  Temp   Perf          Pwr:Usage/Cap ", "           Memory-Usage "),
    ),
    mig_heads=(
        "              Shared Memory-Usage |        Vol|        Shared         ",
        "                Shared BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG ",
    ),
)


def show(session: Session, gpus: Sequence[Gpu]) -> None:
    look = WIDE if session.driver.major >= 535 else NARROW
    tables = (list(part(session, look, gpus)) for part in (_gpus, _mig, _processes))
    session.say(time.strftime("%a %b %e %H:%M:%S %Y       "))
    session.say("\n\n".join("\n".join(table) for table in tables if table))


def _gpus(session: Session, look: Look, gpus: Sequence[Gpu]) -> Iterator[str]:
    yield look.border()
    yield look.across(look.head.format(version=session.driver.version, cuda=session.driver.cuda))
    yield look.rule(ends="++" if look is WIDE else "|+")
    yield look.line(*look.gpu_heads[0], " Volatile Uncorr. ECC ")
    yield look.line(*look.gpu_heads[1], " GPU-Util  Compute M. ")
    yield look.line("", "", "               MIG M. ")
    yield look.rule("=", "||")
    for gpu in gpus:
        yield from _gpu(session, look, gpu)
        yield look.rule()


def _gpu(session: Session, look: Look, gpu: Gpu) -> Iterator[str]:
    kind, name = gpu.config.kind, listing.name(session, gpu)
    name = name if len(name) <= look.name else name[: look.name - 3] + "..."
    power = session.power.draw(gpu.config.index).partition(".")[0]
    gap, draw, watts = ("    ", 15, 4) if look is WIDE else ("  ", 6, 3)
    used, total = look.columns[1] - 10 - (watts + 2), watts + 2
    yield look.line(
        f" {gpu.config.index:3}  {name:{look.name}}{gap}{'On' if gpu.persistence else 'Off'}",
        f"{gpu.config.bus_id:>{look.columns[1] - 5}} Off ",
        f"{'On' if gpu.mig else '0':>21} ",
    )
    yield look.line(
        f" N/A   34C    P0{power:>{draw}}W / {kind.watts:{watts}}W ",
        f"{listing.used_memory(session, gpu):{used}}MiB / {kind.mib:{total}}MiB ",
        f"{'N/A' if gpu.mig else '0%':>8}      Default ",
    )
    pending = "*" if gpu.pending != gpu.mig else ""
    mode = ("Enabled" if gpu.pending else "Disabled") + pending if kind.mig else "N/A"
    yield look.line("", "", f"{mode:>21} ")


def _mig(session: Session, look: Look, gpus: Sequence[Gpu]) -> Iterator[str]:
    if not any(gpu.mig for gpu in gpus):
        return
    rule = f"+{'-' * 18}+{'-' * look.mig_memory}+{'-' * 11}+{'-' * 23}+"
    yield look.border()
    yield look.across(" MIG devices:")
    yield rule
    yield f"| GPU  GI  CI  MIG |{look.mig_heads[0]}|"
    yield f"|      ID  ID  Dev |{look.mig_heads[1]}|"
    yield f"|{'':18}|{'':{look.mig_memory}}|        ECC|{'':23}|"
    yield f"|{'=' * 18}+{'=' * look.mig_memory}+{'=' * 11}+{'=' * 23}|"
    rows = [row for gpu in gpus for row in _mig_rows(session, look, gpu)]
    for row in rows:
        yield from row
        yield rule
    if not rows:
        yield look.across("  No MIG devices found")
        yield look.border()


def _mig_rows(session: Session, look: Look, gpu: Gpu) -> Iterator[tuple[str, str]]:
    """The memory that two compute instances of one GPU instance share is counted for each, unlike on hardware."""
    for index, (instance, part) in enumerate(gpu.devices()):
        profile = gpu.profile(instance)
        has = profile.engines
        used = listing.USED_MIB * sum(use.instance == instance.id for _, use in session.clients.of(gpu.config))
        room = look.mig_memory - (15 if look is WIDE else 12) - 3
        tail = "    " if look is WIDE else " "
        memory, bar1 = (
            f"{amount:{room}}MiB / {of:5}MiB{tail}" for amount, of in ((used, profile.mib), (0, profile.mib))
        )
        shared = f"{has.ce:3}{has.enc:4}{has.dec:5}{has.ofa:5}{has.jpeg:5} "
        place = f" {gpu.config.index:2} {instance.id:4} {part.id:3} {index:3}  "
        yield (
            f"|{place}|{memory}|{gpu.multiprocessors(instance, part.slices):3}      0 |{shared}|",
            f"|{'':18}|{bar1}|{'':11}|{'':23}|",
        )


def _processes(session: Session, look: Look, gpus: Sequence[Gpu]) -> Iterator[str]:
    yield look.border()
    yield look.across(" Processes:")
    yield look.across(f"  GPU   GI   CI{'PID':>{look.pid}}   Type   {'Process name':{look.process}}GPU Memory ")
    yield look.across(f"        ID   ID{'':{look.pid + 10 + look.process}}Usage      ")
    yield look.across(mark="=")
    rows = [(gpu, client, use) for gpu in gpus for client, use in session.clients.of(gpu.config)]
    for gpu, client, use in rows:
        ids = "".join(f" {'N/A' if one is None else one!s:>4}" for one in (use.instance, use.compute))
        name = client.name if len(client.name) < look.process else f"...{client.name[5 - look.process :]}"
        yield look.across(
            f"  {gpu.config.index:3}{ids}{client.pid:{look.pid}}      C   {name:{look.process}}{listing.USED_MIB:7}MiB "
        )
    if not rows:
        yield look.across("  No running processes found")
    yield look.border()

"""`nvidia-smi mig`: its command line, and the listings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from simulated_nvidia import instances, tables
from simulated_nvidia.allocation import compute_capacity
from simulated_nvidia.answer import INVALID_COMBINATION, Code, Refused
from simulated_nvidia.hardware import COMPUTE_IDS
from simulated_nvidia.session import Session
from simulated_nvidia.state import Gpu, GpuInstance

NO_GPU_INSTANCES = "No GPU instances found: Not Found"
NO_COMPUTE_INSTANCES = "No compute instances found: Not Found"
LONG = {
    "--id": "-i",
    "--list-gpu-instance-profiles": "-lgip",
    "--list-gpu-instance-possible-placements": "-lgipp",
    "--list-gpu-instances": "-lgi",
    "--list-compute-instances": "-lci",
    "--list-compute-instance-profiles": "-lcip",
    "--create-gpu-instance": "-cgi",
    "--create-compute-instance": "-cci",
    "--destroy-gpu-instance": "-dgi",
    "--destroy-compute-instance": "-dci",
    "--gpu-instance-id": "-gi",
    "--compute-instance-id": "-ci",
    "--default-compute-instance": "-C",
}
COMMANDS = ("-lgip", "-lgipp", "-lgi", "-lci", "-lcip", "-cgi", "-cci", "-dci", "-dgi")
WITH_VALUE = ("-i", "-gi", "-ci", "-cgi")


@dataclass(frozen=True)
class Arguments:
    """command: one of COMMANDS. value: what it was given."""

    command: str
    value: str | None = None
    gpus: str | None = None
    instances: frozenset[int] | None = None
    compute: frozenset[int] | None = None
    with_compute: bool = False

    def wants(self, instance: int) -> bool:
        return self.instances is None or instance in self.instances

    def wants_compute(self, compute: int) -> bool:
        return self.compute is None or compute in self.compute


def parse(arguments: Sequence[str]) -> Arguments:
    options = _options(arguments)
    commands = [name for name in options if name in COMMANDS]
    if len(commands) != 1:
        raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION)
    return Arguments(
        commands[0],
        options[commands[0]],
        options.get("-i"),
        _numbers(options.get("-gi")),
        _numbers(options.get("-ci")),
        "-C" in options,
    )


def _options(arguments: Sequence[str]) -> dict[str, str | None]:
    """`-x value`, `--long value` and `--long=value`; -cci alone may go without its value."""
    options: dict[str, str | None] = {}
    waiting = list(arguments)
    while waiting:
        name, _, value = waiting.pop(0).partition("=")
        name = LONG.get(name, name)
        if name not in (*COMMANDS, *WITH_VALUE, "-C"):
            raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION)
        takes = name in WITH_VALUE or (name == "-cci" and waiting and not waiting[0].startswith("-"))
        if takes and not value and not waiting:
            raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION)
        options[name] = value or (waiting.pop(0) if takes else None)
    return options


def _numbers(text: str | None) -> frozenset[int] | None:
    if text is None:
        return None
    try:
        return frozenset(int(item) for item in text.split(","))
    except ValueError:
        raise Refused(Code.INVALID_ARGUMENT, INVALID_COMBINATION) from None


def run(session: Session, arguments: Sequence[str]) -> None:
    parsed = parse(arguments)
    gpus = session.reachable(parsed.gpus)
    if not any(gpu.config.kind.mig for gpu in gpus) and session.driver.lists_profiles_without_mode:
        raise Refused(Code.NOT_FOUND, "No MIG-supported devices found.")
    without_mode = parsed.command in ("-lgip", "-lgipp") and session.driver.lists_profiles_without_mode
    chosen = [gpu for gpu in gpus if gpu.mig or (gpu.config.kind.mig and without_mode)]
    if not chosen:
        raise Refused(Code.NOT_FOUND, "No MIG-enabled devices found.")
    if not session.privileged and parsed.command not in ("-lgip", "-lgipp"):
        raise Refused(Code.NO_PERMISSION, f"{DENIED[parsed.command]}: {Code.NO_PERMISSION.text}")
    HANDLERS[parsed.command](session, parsed, chosen)


DENIED = {
    "-lgi": "Failed to display GPU instances",
    "-lci": "Failed to display compute instances",
    "-lcip": "Failed to display compute instance profiles",
    "-cgi": "Failed to create GPU instances",
    "-cci": "Failed to create compute instances",
    "-dci": "Failed to destroy compute instances",
    "-dgi": "Failed to destroy GPU instances",
}


def matching(arguments: Arguments, gpus: Sequence[Gpu]) -> list[tuple[Gpu, GpuInstance]]:
    """The GPU instances that `-gi` names, of these GPUs, in the order of `-lgi`."""
    found = [(gpu, one) for gpu in gpus for one in gpu.in_order() if arguments.wants(one.id)]
    if not found:
        raise Refused(Code.NOT_FOUND, NO_GPU_INSTANCES)
    return found


def _profiles(session: Session, _arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    mixes = session.driver.mixes_3g_and_4g
    rows = (
        (gpu.config.index, profile, gpu.room(mixes_3g_and_4g=mixes).capacity(profile))
        for gpu in gpus
        for profile in gpu.profiles
    )
    session.say(tables.gpu_instance_profiles(session.driver, rows))


def _placements(session: Session, _arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    for gpu in gpus:
        for profile in gpu.profiles:
            starts = ",".join(map(str, profile.starts))
            word = "Placements: " if len(profile.starts) > 1 else "Placement : "
            session.say(f"GPU {gpu.config.index:2} Profile ID {profile.id:2} {word}{{{starts}}}:{profile.size}")


def _gpu_instances(session: Session, arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    found = matching(arguments, gpus)
    rows = ((gpu.config.index, gpu.profile(one), one.id, one.start) for gpu, one in found)
    session.say(tables.gpu_instances(session.driver, rows))


def _compute_instances(session: Session, arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    rows = []
    for gpu, one in matching(arguments, gpus):
        for part in sorted(one.compute, key=lambda part: part.id):
            if not arguments.wants_compute(part.id):
                continue
            place = f"{part.start}:{part.slices}"
            name, profile = gpu.compute_name(one, part.slices), instances.compute_id(gpu, one, part.slices)
            rows.append((gpu.config.index, one.id, name, profile, part.id, place))
    if not rows:
        raise Refused(Code.NOT_FOUND, NO_COMPUTE_INSTANCES)
    session.say(tables.compute_instances(session.driver, rows))


def _compute_profiles(session: Session, arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    rows = []
    for gpu, one in matching(arguments, gpus):
        whole = gpu.profile(one)
        taken = [part.span for part in one.compute]
        for slices in sorted(COMPUTE_IDS):
            total = compute_capacity(slices, whole.slices, [])
            if not total:
                continue
            filled = slices == whole.slices
            sm, profile = gpu.multiprocessors(one, slices), instances.compute_id(gpu, one, slices)
            free, name = compute_capacity(slices, whole.slices, taken), gpu.compute_name(one, slices)
            rows.append((gpu.config.index, one.id, name, profile, filled, free, total, sm, whole))
    session.say(tables.compute_instance_profiles(rows))


def _create(session: Session, arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    instances.create(session, arguments.value or "", gpus, with_compute=arguments.with_compute)


def _create_compute(session: Session, arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    instances.create_compute(session, arguments.value, matching(arguments, gpus))


def _destroy(session: Session, arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    instances.destroy(session, matching(arguments, gpus), _numbering(session, gpus))


def _destroy_compute(session: Session, arguments: Arguments, gpus: Sequence[Gpu]) -> None:
    found = [
        (gpu, one, part)
        for gpu, one in matching(arguments, gpus)
        for part in sorted(one.compute, key=lambda part: part.id)
        if arguments.wants_compute(part.id)
    ]
    if not found:
        raise Refused(Code.NOT_FOUND, NO_COMPUTE_INSTANCES)
    instances.destroy_compute(session, found, _numbering(session, gpus))


def _numbering(session: Session, gpus: Sequence[Gpu]) -> dict[str, int]:
    """What the messages call each GPU: its index; under R450 its place among those selected."""
    old = session.driver.old_messages
    return {gpu.config.uuid: place if old else gpu.config.index for place, gpu in enumerate(gpus)}


HANDLERS: dict[str, Callable[[Session, Arguments, Sequence[Gpu]], None]] = {
    "-lgip": _profiles,
    "-lgipp": _placements,
    "-lgi": _gpu_instances,
    "-lci": _compute_instances,
    "-lcip": _compute_profiles,
    "-cgi": _create,
    "-cci": _create_compute,
    "-dci": _destroy_compute,
    "-dgi": _destroy,
}

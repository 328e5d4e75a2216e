"""`-L`, `--query-gpu` and `topo -m`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from simulated_nvidia.answer import Code, Refused
from simulated_nvidia.session import Session
from simulated_nvidia.state import Gpu

CPUS_PER_NODE = 32


def name(session: Session, gpu: Gpu) -> str:
    return session.driver.vendor + gpu.config.kind.name


def list_gpus(session: Session, gpus: Sequence[Gpu]) -> None:
    old = session.driver.old_uuids
    for gpu in answering(session, gpus):
        session.say(f"GPU {gpu.config.index}: {name(session, gpu)} (UUID: {gpu.config.uuid})")
        for number, (instance, part) in enumerate(gpu.devices()):
            profile = f"MIG {gpu.compute_name(instance, part.slices)}"
            device = f"{profile} Device {number}" if old else f"{profile:15} Device {number:2}"
            session.say(f"  {device}: (UUID: {session.host.uuid(gpu, instance, part)})")


def answering(session: Session, gpus: Sequence[Gpu]) -> list[Gpu]:
    """The GPUs that are not lost. Later drivers report a lost GPU and list the others; earlier drivers stop there."""
    for gpu in gpus:
        if gpu.config.index in session.lost:
            if session.driver.major < 525:
                session.check(gpu)
            session.err.append(session.lost_message(gpu) + "\n")
    return [gpu for gpu in gpus if gpu.config.index not in session.lost]


def used_memory(session: Session, gpu: Gpu) -> int:
    return USED_MIB * len(session.clients.of(gpu.config))


USED_MIB = 424
"""Of a client: made up."""


def _on(flag: bool) -> str:
    return "Enabled" if flag else "Disabled"


def _mode(gpu: Gpu, mode: bool) -> str:
    return _on(mode) if gpu.config.kind.mig else "[N/A]"


FIELDS: dict[str, tuple[str, Callable[[Session, Gpu], str]]] = {
    "index": ("", lambda _, gpu: str(gpu.config.index)),
    "count": ("", lambda session, _: str(len(session.host.gpus))),
    "uuid": ("", lambda _, gpu: gpu.config.uuid),
    "name": ("", name),
    "pci.bus_id": ("", lambda _, gpu: gpu.config.bus_id),
    "driver_version": ("", lambda session, _: session.driver.version),
    "memory.total": ("MiB", lambda _, gpu: str(gpu.config.kind.mib or "[N/A]")),
    "memory.used": ("MiB", lambda session, gpu: str(used_memory(session, gpu))),
    "memory.free": ("MiB", lambda session, gpu: str(gpu.config.kind.mib - used_memory(session, gpu))),
    "mig.mode.current": ("", lambda _, gpu: _mode(gpu, gpu.mig)),
    "mig.mode.pending": ("", lambda _, gpu: _mode(gpu, gpu.pending)),
    "power.draw": ("W", lambda session, gpu: session.power.draw(gpu.config.index)),
    "power.limit": ("W", lambda _, gpu: f"{gpu.config.kind.watts:.2f}" if gpu.config.kind.watts else "[N/A]"),
    "persistence_mode": ("", lambda _, gpu: _on(gpu.persistence)),
    "compute_cap": ("", lambda _, gpu: gpu.config.kind.capability),
    "utilization.gpu": ("%", lambda _, gpu: "[N/A]" if gpu.mig else "0"),
    "temperature.gpu": ("", lambda _session, _gpu: "34"),
}
SAME = {"gpu_uuid": "uuid", "gpu_name": "name", "gpu_bus_id": "pci.bus_id"}


def query(session: Session, gpus: Sequence[Gpu], fields: str, style: str) -> None:
    """style: csv[,noheader][,nounits]."""
    names = [SAME.get(item.strip(), item.strip()) for item in fields.split(",")]
    for item in names:
        if item not in FIELDS:
            raise Refused(Code.INVALID_ARGUMENT, f'Field "{item}" is not a valid field to query.', "")
    styles = {item.strip() for item in style.split(",")}
    units = "nounits" not in styles
    if "noheader" not in styles:
        heads = (f"{item} [{unit}]" if (unit := FIELDS[item][0]) else item for item in names)
        session.say(", ".join(heads))
    for gpu in gpus if session.again else answering(session, gpus):
        session.say(", ".join(_cell(session, gpu, item, units) for item in names))


def _cell(session: Session, gpu: Gpu, item: str, units: bool) -> str:
    if gpu.config.index in session.lost:
        return "[GPU is lost]"
    unit, value = FIELDS[item][0], FIELDS[item][1](session, gpu)
    return f"{value} {unit}" if unit and units and not value.startswith("[") else value


LEGEND = """
Legend:

  X    = Self
  SYS  = Connection traversing PCIe as well as the SMP interconnect between NUMA nodes (e.g., QPI/UPI)
  NODE = Connection traversing PCIe as well as the interconnect between PCIe Host Bridges within a NUMA node
  PHB  = Connection traversing PCIe as well as a PCIe Host Bridge (typically the CPU)
  PXB  = Connection traversing multiple PCIe bridges (without traversing the PCIe Host Bridge)
  PIX  = Connection traversing at most a single PCIe bridge
  NV#  = Connection traversing a bonded set of # NVLinks
"""


def topology(session: Session) -> None:
    """Columns by tabs; the header in underline, a terminal or not."""
    gpus = session.reachable(None)
    numa_id = session.driver.numa_id_column
    heads = [*(f"GPU{gpu.config.index}" for gpu in gpus), "CPU Affinity", "NUMA Affinity"]
    session.say("\t\x1b[4m" + "\t".join([*heads, "GPU NUMA ID"] if numa_id else heads) + "\x1b[0m")
    for gpu in gpus:
        node = _node(session, gpu)
        cells = [_link(session, gpu, other) for other in gpus]
        cpus = f"{node * CPUS_PER_NODE}-{(node + 1) * CPUS_PER_NODE - 1}"
        tail = [cpus, str(node), "", "N/A"] if numa_id else [cpus, str(node)]
        session.say("\t".join([f"GPU{gpu.config.index}", *cells, *tail]))
    session.say(LEGEND)


def _link(session: Session, gpu: Gpu, other: Gpu) -> str:
    if gpu is other:
        return " X "
    link = session.host.config.links.get(frozenset((gpu.config.index, other.config.index)))
    return link or ("NODE" if _node(session, gpu) == _node(session, other) else "SYS")


def _node(session: Session, gpu: Gpu) -> int:
    """NUMA nodes have the GPUs in equal shares, in their order."""
    return gpu.config.index * session.host.config.numa_nodes // len(session.host.gpus)

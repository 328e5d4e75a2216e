"""Who holds a GPU: containers that the hook allowed, and processes that have a device node open."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from simulated_nvidia.config import GpuConfig, Paths
from simulated_nvidia.state import write

PROC = Path("/proc")


@dataclass(frozen=True)
class Use:
    """What a container may use of a GPU: one MIG device of it, or (None) all of it."""

    gpu: str
    instance: int | None = None
    compute: int | None = None


@dataclass(frozen=True)
class Client:
    """pid: the container's first process. start: its start time, to detect a reused PID."""

    container: str
    pid: int
    start: str
    uses: tuple[Use, ...]

    @property
    def name(self) -> str:
        with suppress(OSError):
            command = (PROC / str(self.pid) / "cmdline").read_bytes().split(b"\0")[0]
            return command.decode(errors="replace") or (PROC / str(self.pid) / "comm").read_text().strip()
        return ""


class Clients:
    def __init__(self, paths: Paths) -> None:
        self._folder = paths.state / "clients"
        self._dev = paths.dev

    def admit(self, client: Client) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        write(self._folder / f"{client.container}.json", asdict(client))

    def containers(self) -> list[Client]:
        """Those that still run; the records of others are thrown away."""
        running = []
        for record in sorted(self._folder.glob("*.json")):
            data = json.loads(record.read_text())
            client = Client(data["container"], data["pid"], data["start"], tuple(Use(**use) for use in data["uses"]))
            if start_of(client.pid) == client.start:
                running.append(client)
            else:
                with suppress(OSError):
                    record.unlink()
        return sorted(running, key=lambda client: client.pid)

    def of(self, gpu: GpuConfig) -> list[tuple[Client, Use]]:
        return [(client, use) for client in self.containers() for use in client.uses if use.gpu == gpu.uuid]

    def held(self, gpu: GpuConfig) -> bool:
        """Whether anything at all holds it, so that neither its mode can change nor a reset happen."""
        return bool(self.of(gpu)) or next(self._openers(gpu), None) is not None

    def uses_instance(self, gpu: GpuConfig, instance: int, compute: int | None = None) -> bool:
        return any(use.instance == instance and (compute is None or use.compute == compute) for _, use in self.of(gpu))

    def uses_whole(self, gpu: GpuConfig) -> bool:
        return any(use.instance is None for _, use in self.of(gpu))

    def _openers(self, gpu: GpuConfig) -> Iterator[int]:
        node = self._dev / f"nvidia{gpu.minor}"
        for process in PROC.iterdir():
            if process.name.isdigit() and _has_open(process, node):
                yield int(process.name)


def _has_open(process: Path, node: Path) -> bool:
    with suppress(OSError):
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):
                # By name first, since a look at every open file takes long; then by identity,
                # since a container may see the node elsewhere.
                if descriptor.readlink().name == node.name and descriptor.samefile(node):
                    return True
    return False


def start_of(pid: int) -> str | None:
    """When the process started, in clock ticks since boot; None where there is none (proc(5), /proc/pid/stat)."""
    try:
        state, *rest = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if state == "Z" else rest[18]

"""A host with simulated GPUs: containers and services hold GPUs while one of their processes lives."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer, OpenDevice
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.preflight import linux
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import mig_partition
from ansible_collections.inference.fleet.tests.unit.gpu.machines import Machine, smi_of


class Host:
    """A FAKE of Docker and systemd. journal: stops and starts, as `verb name`. fails: such an entry
    -> the message of a failure."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.journal: list[str] = []
        self.fails: dict[str, str] = {}
        self._containers: dict[str, HostContainer] = {}
        self._units: dict[str, tuple[int, ...]] = {}
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    # What runs on it

    def run(self, container: HostContainer) -> None:
        self._containers[container.name] = container
        if container.running:
            self._begin(container.name)

    def serve(self, unit: str, *gpus: int) -> None:
        """A service that has the nodes of these GPUs open."""
        self._units[unit] = gpus
        self._begin(unit)

    def running(self) -> set[str]:
        return set(self._processes)

    # As Docker

    def host_containers(self) -> list[HostContainer]:
        return [replace(one, running=name in self._processes) for name, one in self._containers.items()]

    def stop(self, name: str) -> None:
        self._reported("stop", name)
        self._end(name)

    def start(self, name: str) -> None:
        self._reported("start", name)
        self._begin(name)

    # As systemd and the kernel

    def run_command(self, _module: Any, arguments: Sequence[str]) -> tuple[int, str, str]:
        program, verb, unit = arguments
        assert program == "systemctl"
        try:
            self.stop(unit) if verb == "stop" else self.start(unit)
        except FleetError as error:
            return 1, "", f"{error}\n"
        return 0, "", ""

    def open_devices(self, gpus: Iterable[Gpu]) -> list[OpenDevice]:
        gpus = list(gpus)
        return linux.open_devices(gpus) + [
            OpenDevice(
                self._processes[unit].pid, "sleep", self._cgroup(unit), frozenset(gpus[index].uuid for index in held)
            )
            for unit, held in self._units.items()
            if unit in self._processes
        ]

    def cgroup(self, pid: int) -> str:
        return next((self._cgroup(name) for name, process in self._processes.items() if process.pid == pid), "")

    def _cgroup(self, name: str) -> str:
        scope = name if name in self._units else f"docker-{self._containers[name].id}.scope"
        return f"0::/system.slice/{scope}\n"

    def _reported(self, verb: str, name: str) -> None:
        self.journal.append(f"{verb} {name}")
        if f"{verb} {name}" in self.fails:
            raise FleetError(self.fails[f"{verb} {name}"])

    def _begin(self, name: str) -> None:
        node = self.machine.dev / f"nvidia{self._units[name][0]}" if name in self._units else Path("/dev/null")
        with node.open() as held:
            self._processes[name] = subprocess.Popen(["sleep", "600"], stdin=held)
        if name in self._containers:
            devices = ",".join(self._containers[name].devices)
            answer = self.machine.start_container(devices, self._processes[name].pid, name)
            assert answer.code == 0, answer

    def _end(self, name: str) -> None:
        with suppress(KeyError):
            process = self._processes.pop(name)
            process.kill()
            process.wait()

    def down(self) -> None:
        for name in list(self._processes):
            self._end(name)


@contextmanager
def hosting(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    """mig_partition's world is this one."""
    machine.ok("-L")
    host = Host(machine)
    monkeypatch.setattr(mig_partition, "NvidiaSmi", lambda: smi_of(machine))
    monkeypatch.setattr(mig_partition, "Docker", lambda: host)
    monkeypatch.setattr(mig_partition, "open_devices", host.open_devices)
    monkeypatch.setattr(
        mig_partition.AnsibleModule, "run_command", lambda module, command: host.run_command(module, command)
    )
    monkeypatch.setattr(linux, "_cgroup", host.cgroup)
    # Processes of this machine have nothing to do with it, least of all those of lab hosts.
    monkeypatch.setattr(linux, "_processes_with", lambda links: ())
    try:
        yield host
    finally:
        host.down()

"""A lab host from the outside: what befalls it, and what can be seen of it without its network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import testinfra
from lab.fixtures import wait_until
from lab.hosts import PREFIX
from testinfra.host import Host

SHUTDOWN_S = 60
RESTORE_S = 300  # of a machine that has other things to do; docs/operations.md has the time of one that has not


class Machine:
    """host: runs commands through the outer Docker, so that they need neither its network nor its SSH server."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._container = f"{PREFIX}-{name}"
        self._before = ""
        self.host: Host = testinfra.get_host(f"docker://{self._container}")

    @property
    def address(self) -> str:
        return _outside(
            "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", self._container
        )

    def shut_down(self) -> None:
        """systemd ends what runs."""
        self._before = self.address
        _outside("stop", "--time", str(SHUTDOWN_S), self._container)

    def lose_power(self) -> None:
        """Nothing has the time to end."""
        self._before = self.address
        _outside("kill", "--signal", "KILL", self._container)

    def boot(self) -> None:
        """/run is empty, MIG instances are gone."""
        _outside("start", self._container)
        assert self.address == self._before, f"{self.name} had {self._before}, and another lab host has that now"

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Packets between it and its admin are dropped meanwhile, both ways; nobody is told."""
        self._drop("--insert")
        try:
            yield
        finally:
            self._drop("--delete")

    def _drop(self, verb: str) -> None:
        for chain, ports in (("INPUT", "--dports"), ("OUTPUT", "--sports")):
            self.host.check_output(f"iptables {verb} {chain} --protocol tcp --match multiport {ports} 22 --jump DROP")

    def kill(self, pid: int | str) -> None:
        self.host.check_output(f"kill -9 {pid}")

    def main_process(self, container: str) -> int:
        """Of a container that runs: its PID as the host counts."""
        return int(self.host.check_output(f"docker inspect --format '{{{{.State.Pid}}}}' {container}"))

    def wait_for_restore(self) -> None:
        """Until the unit that brings everything back has done so, after a start of Docker."""
        self.wait_for_docker()
        unit = "systemctl show --property ActiveState,ExecMainExitTimestampMonotonic inference-fleet-restore.service"

        def ended() -> bool:
            told = dict(line.split("=") for line in self.host.check_output(unit).splitlines())
            ended_at = int(told["ExecMainExitTimestampMonotonic"])
            return told["ActiveState"] in ("inactive", "failed") and ended_at > self.docker_since()

        wait_until(ended, f"{self.name} has restored itself (journalctl --unit inference-fleet-restore)", RESTORE_S)

    def docker_since(self) -> int:
        """When systemd last had its engine started, in microseconds since boot."""
        return int(self.host.check_output("systemctl show --property ActiveEnterTimestampMonotonic --value docker"))

    def wait_for_docker(self) -> None:
        wait_until(lambda: self.host.run("docker version").rc == 0, f"Docker answers on {self.name}")


def _outside(*command: str) -> str:
    return subprocess.run(["docker", *command], check=True, capture_output=True, text=True).stdout.strip()

"""A lab host from the outside: causes faults, and observes the host without its network."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import testinfra
from lab.fixtures import wait_until
from lab.hosts import PREFIX
from testinfra.host import Host

SHUTDOWN_S = 60
RESTORE_S = 300  # on a busy machine; docs/operations.md has the time of an idle one


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
        """systemd stops all services."""
        self._before = self.address
        _outside("stop", "--time", str(SHUTDOWN_S), self._container)

    def lose_power(self) -> None:
        """No process can end cleanly."""
        self._before = self.address
        _outside("kill", "--signal", "KILL", self._container)

    def boot(self) -> None:
        """/run is empty, MIG instances are gone."""
        _outside("start", self._container)
        assert self.address == self._before, f"{self.name} had {self._before}, and another lab host has that now"

    @contextmanager
    def cut_off(self) -> Iterator[None]:
        """Drops packets between the host and the admin meanwhile, in both directions, without notice."""
        self._drop("--insert")
        try:
            yield
        finally:
            self._drop("--delete")

    def process(self, *command: str) -> subprocess.Popen[str]:
        """A command on the host that runs meanwhile."""
        whole = ["docker", "exec", self._container, *command]
        return subprocess.Popen(whole, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def _drop(self, verb: str) -> None:
        for chain, ports in (("INPUT", "--dports"), ("OUTPUT", "--sports")):
            self.host.check_output(f"iptables {verb} {chain} --protocol tcp --match multiport {ports} 22 --jump DROP")

    def kill(self, pid: int | str) -> None:
        self.host.check_output(f"kill -9 {pid}")

    def main_process(self, container: str) -> int:
        """The PID of a running container's main process, on the host."""
        return int(self.host.check_output(f"docker inspect --format '{{{{.State.Pid}}}}' {container}"))

    def wait_for_restore(self) -> None:
        """Waits until the restore unit has ended after a start of Docker."""
        self.wait_for_docker()
        unit = "systemctl show --property ActiveState,ExecMainExitTimestampMonotonic inference-fleet-restore.service"

        def ended() -> bool:
            reported = dict(line.split("=") for line in self.host.check_output(unit).splitlines())
            ended_at = int(reported["ExecMainExitTimestampMonotonic"])
            return reported["ActiveState"] in ("inactive", "failed") and ended_at > self.docker_since()

        wait_until(ended, f"{self.name} has restored itself (journalctl --unit inference-fleet-restore)", RESTORE_S)

    def docker_since(self) -> int:
        """When systemd last started Docker, in microseconds since boot."""
        return int(self.host.check_output("systemctl show --property ActiveEnterTimestampMonotonic --value docker"))

    def wait_for_docker(self) -> None:
        wait_until(lambda: self.host.run("docker version").rc == 0, f"Docker answers on {self.name}")


def _outside(*command: str) -> str:
    return subprocess.run(["docker", *command], check=True, capture_output=True, text=True).stdout.strip()

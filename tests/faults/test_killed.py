"""Killed processes: every service restarts by itself."""

from __future__ import annotations

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import Promise
from lab.fixtures import wait_until

CONTAINERS = (
    "postgres",
    "litellm",
    "caddy",
    "vllm-half-1",
    "vllm-small-1",
    "vllm-small-2",
    "vllm-whole-1",
    "vllm-plain-1",
    "vllm-voice-1",
)


@pytest.mark.fault("kill -9 of a container's main process")
@pytest.mark.parametrize("container", some(CONTAINERS))
def test_a_container_whose_process_is_killed_comes_back(promise: Promise, machine: Machine, container: str) -> None:
    killed = machine.main_process(container)
    machine.kill(killed)
    wait_until(lambda: machine.main_process(container) not in (0, killed), f"Docker has started {container} again")
    promise.holds()
    assert promise.install().changed() == {machine.name: 0}


@pytest.mark.fault("kill -9 of dockerd or containerd")
@pytest.mark.parametrize("daemon", some(["docker", "containerd"]))
def test_a_daemon_that_is_killed_takes_nothing_with_it(promise: Promise, machine: Machine, daemon: str) -> None:
    killed, docker_since = main_process_of_unit(machine, daemon), machine.docker_since()
    assert killed != "0"
    machine.kill(killed)
    wait_until(
        lambda: main_process_of_unit(machine, daemon) not in ("0", killed), f"systemd has started {daemon} again"
    )
    machine.wait_for_docker()
    if daemon == "docker" or machine.docker_since() != docker_since:
        machine.wait_for_restore()
    promise.settles()
    promise.holds()


def main_process_of_unit(machine: Machine, unit: str) -> str:
    return machine.host.check_output(f"systemctl show --property MainPID --value {unit}.service")

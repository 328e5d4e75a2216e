"""The network between the admin and the host fails during a run, and recovers."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import Promise
from lab.fixtures import Admin, inspect, wait_until

STARTUP_S = 8
# With these an SSH client detects a lost server within seconds. The run tries 30 times to reach the host again.
IMPATIENT = "-o ServerAliveInterval=1 -o ServerAliveCountMax=3"
CONNECT_S = 1
GIVES_UP_S = 300


@contextmanager
def under_way(admin: Admin, promise: Promise, machine: Machine, turn: int, ssh: str = "") -> Iterator[Any]:
    """An install that has just created the container of a slow model. It uses its own connection to the
    host, so that the options of `ssh` apply."""
    with tempfile.TemporaryDirectory() as sockets:
        environment = {**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": sockets, "ANSIBLE_SSH_EXTRA_ARGS": ssh}
        if ssh:
            environment["ANSIBLE_TIMEOUT"] = str(CONNECT_S)
        command = admin.command("install", "--limit", machine.name, variables=slow(promise, turn))
        with subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        ) as process:
            try:
                wait_until(
                    lambda: "vllm-slow-1" in inspect(machine.host) or process.poll() is not None,
                    "the run has made a container",
                )
                assert process.poll() is None, process.communicate()[0].decode()
                yield process
            finally:
                process.kill()


def slow(promise: Promise, turn: int) -> Mapping[str, Any]:
    model = {"name": "slow", "type": "chat", "source": f"example/{turn}", "devices": {"cpu": True}}
    return {"fleet_models": [*promise.door.models, {**model, "env": {"STANDIN_STARTUP_SECONDS": STARTUP_S}}]}


@pytest.fixture(autouse=True)
def without_the_slow_model(promise: Promise) -> Iterator[None]:
    yield
    promise.settles()
    promise.holds()


@pytest.mark.fault("network cut for a while; the run waits")
@pytest.mark.parametrize("turn", some(range(3)))
def test_a_run_goes_on_where_the_network_comes_back_in_time(
    promise: Promise, machine: Machine, admin: Admin, turn: int
) -> None:
    with under_way(admin, promise, machine, turn) as process:
        with machine.cut_off():
            assert modules(machine)
            wait_until(lambda: not modules(machine), "what the run does on the host has ended")
            assert process.poll() is None
        output, _none = process.communicate()
    assert process.returncode == 0, output
    models = slow(promise, turn)["fleet_models"]
    promise.holds(models)
    assert promise.install(slow(promise, turn)).changed() == {machine.name: 0}


@pytest.mark.fault("network cut until the run gives up")
@pytest.mark.parametrize("turn", some(range(3, 6)))
def test_a_run_that_was_cut_off_for_good_is_finished_by_the_next(
    promise: Promise, machine: Machine, admin: Admin, turn: int
) -> None:
    with under_way(admin, promise, machine, turn, IMPATIENT) as process:
        with machine.cut_off():
            output, _none = process.communicate(timeout=GIVES_UP_S)
        assert process.returncode != 0
        assert "UNREACHABLE" in output or '"unreachable": true' in output, output
    run = promise.settles(slow(promise, turn))
    assert "which has ended without releasing it" in run.output
    promise.holds(slow(promise, turn)["fleet_models"])


def modules(machine: Machine) -> Sequence[str]:
    """Ansible's modules that run on the host: a Python that has its program from standard input, or, in the background,
    from a file."""
    background = " /.*/(AnsiballZ_|async_wrapper).*"
    search = rf"pgrep --full --exact '/usr/bin/python3(\.[0-9]+)?({background})?'"
    found: Sequence[str] = machine.host.run(search).stdout.split()
    return found

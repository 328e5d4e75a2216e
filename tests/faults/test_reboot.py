"""Reboots and restarts of Docker: the host restores everything by itself, and `install` finds nothing to do."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from faults.amount import some
from faults.machine import RESTORE_S, Machine
from faults.promise import Promise
from faults.record import measures
from lab.fixtures import wait_until

HARDWARE = "/etc/simulated-nvidia.json"
FIRST_ANSWER = "from boot to the first answered chat"


def comes_back(promise: Promise, machine: Machine) -> None:
    """Without a playbook run: the host restores everything by itself."""
    machine.wait_for_restore()
    promise.holds()
    assert promise.install().changed() == {machine.name: 0}


@pytest.mark.fault("reboot")
@pytest.mark.parametrize("_turn", some(range(10)))
def test_a_host_that_is_rebooted_comes_back(promise: Promise, machine: Machine, _turn: int) -> None:
    machine.shut_down()
    booted = time.monotonic()
    machine.boot()
    wait_until(promise.first_answer, "one model answers", RESTORE_S)
    measures.setdefault(FIRST_ANSWER, []).append(time.monotonic() - booted)
    comes_back(promise, machine)


@pytest.mark.fault("reboot that gives the MIG instances other UUIDs")
@pytest.mark.parametrize("_turn", some(range(2), [0]))
def test_other_mig_uuids_after_a_reboot_are_taken_up(promise: Promise, machine: Machine, _turn: int) -> None:
    before = mig_uuids(machine)
    change_hardware(machine, new_uuids_at_boot=True)
    machine.shut_down()
    booted = time.monotonic()
    machine.boot()
    wait_until(promise.first_answer, "one model answers", RESTORE_S)
    measures.setdefault(FIRST_ANSWER, []).append(time.monotonic() - booted)
    comes_back(promise, machine)
    assert mig_uuids(machine).isdisjoint(before)


@pytest.mark.fault("power cut: everything is killed at once, then a boot")
@pytest.mark.parametrize("_turn", some(range(5)))
def test_a_host_that_loses_power_comes_back(promise: Promise, machine: Machine, _turn: int) -> None:
    machine.lose_power()
    machine.boot()
    comes_back(promise, machine)


@pytest.mark.fault("systemctl restart docker")
@pytest.mark.parametrize("_turn", some(range(3)))
def test_a_restart_of_docker_brings_everything_back(promise: Promise, machine: Machine, _turn: int) -> None:
    machine.host.check_output("systemctl restart docker")
    comes_back(promise, machine)


@pytest.mark.fault("a GPU that is gone after a reboot")
@pytest.mark.parametrize("new_uuids", some([False, True]))
def test_a_gpu_that_is_gone_takes_nothing_with_it_but_its_own_models(
    promise: Promise, machine: Machine, new_uuids: bool
) -> None:
    hardware = json.loads(machine.host.check_output(f"cat {HARDWARE}"))
    try:
        change_hardware(machine, gpus=hardware["gpus"][:1], nvlink=[], new_uuids_at_boot=new_uuids)
        machine.shut_down()
        machine.boot()
        machine.wait_for_restore()
        others = [model for model in promise.door.models if model["name"] != "whole"]
        wait_until(lambda: promise.unanswered(others) == [], "all but the model of that GPU answer", RESTORE_S)
        reported = machine.host.check_output("journalctl --boot --unit inference-fleet-restore.service --output cat")
        assert "fleet_mig.1: no such GPU on this host" in reported
        assert machine.host.run("systemctl is-failed inference-fleet-restore.service").rc == 0
    finally:
        change_hardware(machine, **hardware)
        machine.shut_down()
        machine.boot()
        machine.wait_for_restore()
    comes_back(promise, machine)


def mig_uuids(machine: Machine) -> set[str]:
    found = set(re.findall(r"\(UUID: (MIG-[^)]+)\)", machine.host.check_output("nvidia-smi -L")))
    assert found
    return found


def change_hardware(machine: Machine, **settings: Any) -> None:
    """Of the simulated GPUs: tests/lab/nvidia/README.md has the settings."""
    hardware = {**json.loads(machine.host.check_output(f"cat {HARDWARE}")), **settings}
    machine.host.check_output(f"cat > {HARDWARE} <<'END'\n{json.dumps(hardware)}\nEND")

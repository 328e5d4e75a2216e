"""`install` killed at any point: the next run completes it.

The host alternates between two inventories that differ in everything that install can change on a serving host,
so that every run executes nearly every task, and no run needs a fresh host.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import cycle
from typing import Any

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import LOCK, Promise
from lab.fixtures import Admin
from unit.authority import issue

Variables = Mapping[str, Any]
OTHER_LAYOUT = ("3g.20gb", "1g.5gb", "1g.5gb", "1g.5gb", "1g.5gb")
NAME = "fleet.test"


@pytest.fixture(scope="module")
def other(promise: Promise) -> Variables:
    """Another inventory: one model added, one removed, two recreated, another layout, another HTTPS mode, a new key.

    A client that trusts the host's previous certificate trusts the new one as well.
    """
    models = {model["name"]: model for model in promise.door.models}
    del models["asleep"]
    models["half"] = {**models["half"], "env": {"TURN": "other"}}
    models["plain"] = {**models["plain"], "args": {"max-model-len": 256}}
    models["extra"] = {"name": "extra", "type": "chat", "source": "example/extra", "devices": {"cpu": True}}
    start = datetime.now(UTC) - timedelta(days=1)
    pair = issue(NAME, promise.door.address, start=start)
    with promise.door.certificate.open("a") as trusted:
        trusted.write(f"\n{pair.cert}")
    return {
        "fleet_models": [*models.values()],
        "fleet_mig": {0: [*OTHER_LAYOUT], 1: "off"},
        "fleet_https": {"mode": "files", "names": [NAME, promise.door.address], "cert": pair.cert, "key": pair.key},
        "fleet_direct_keys": [{"name": "made"}, {"name": "second"}],
        "fleet_caddy": {"max_body_mb": 7},
        "fleet_litellm": {"restart_wait": 1},
    }


THERE_AND_BACK = cycle((True, False))
"""Whether the run to be killed converges to the other inventory."""


@pytest.mark.fault("kill -9 of ansible-playbook install after its n-th task")
@pytest.mark.parametrize("point", some(range(1, 51)))
def test_an_install_that_is_killed_is_finished_by_the_next(
    promise: Promise, machine: Machine, admin: Admin, other: Variables, point: int
) -> None:
    there = next(THERE_AND_BACK)
    variables = other if there else None
    wear_down(machine)
    pid = kill_after(machine, admin, point, variables, everything=point % 2 == 0)
    held = f'"pid": {pid},' in machine.host.run(f"cat {LOCK}").stdout
    run = promise.settles(variables)
    assert ("which has ended without releasing it" in run.output) == held
    if there:
        promise.holds(other["fleet_models"], OTHER_LAYOUT)
    else:
        promise.holds()


@pytest.mark.extended
def test_the_host_is_back_at_the_scenarios_inventory(promise: Promise) -> None:
    promise.settles()
    promise.holds()


def wear_down(machine: Machine) -> None:
    """Undoes steps that only the first setup of a host needs, so that their tasks have something to do."""
    machine.host.check_output("systemctl stop nvidia-persistenced.service")
    machine.host.check_output("rm -f /etc/udev/rules.d/72-inference-fleet-nvidia.rules")
    machine.host.check_output("rm -rf /dev/char")
    machine.host.check_output("docker stop postgres")


def kill_after(machine: Machine, admin: Admin, point: int, variables: Variables | None, everything: bool) -> int:
    """Runs an install until its `point`-th task has ended, and kills the process, or with `everything` its
    process group. What its last task does on the host continues, as in reality. Returns the process ID."""
    environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.jsonl"}
    command = admin.command("install", "--limit", machine.name, variables=variables)
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        done, reported = 0, ""
        for line in process.stdout:
            reported += line
            event = json.loads(line) if line.startswith("{") else {}
            done += event.get("_event") == "v2_runner_on_ok"
            if done == point:
                break
        else:
            assert process.wait() == 0 and done, reported
            pytest.skip(f"install has only {done} tasks to carry out")
        os.killpg(process.pid, signal.SIGKILL) if everything else process.kill()
    return process.pid

"""GPUs in trouble: what an admin is told, and that nothing else suffers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from lab.fixtures import Admin, identities
from testinfra.host import Host

testinfra_hosts = ["ansible://ampere"]
FAULTS = "/run/simulated-nvidia/faults.json"
NEW_LAYOUT = {"fleet_mig": {0: ["3g.20gb", "1g.5gb", "1g.5gb", "1g.5gb", "1g.5gb"], 1: "off"}}


@pytest.fixture
def fault(host: Host) -> Iterator[Callable[..., None]]:
    """The driver's troubles; gone after the test."""

    def cause(**faults: Any) -> None:
        host.check_output(f"printf %s '{json.dumps(faults)}' > {FAULTS}")

    yield cause
    host.check_output(f"rm -f {FAULTS} /run/simulated-nvidia/fault-counts.json")


@pytest.mark.parametrize(
    ("faults", "told"),
    [
        ({"lost": [1]}, "has fallen off the bus: reboot the host"),
        ({"driver": "mismatch"}, "the driver was updated while an older one is loaded: reboot the host"),
        ({"garbage": ["-q -x"]}, "nvidia-smi -q -x: expected XML, got "),
    ],
)
def test_a_driver_in_trouble_stops_the_run_before_anything_is_touched(
    admin: Admin, host: Host, fault: Callable[..., None], faults: Any, told: str
) -> None:
    before = identities(host)
    fault(**faults)
    run = admin.play("install", "--limit", "ampere")
    assert run.status != 0
    assert told in run.messages
    assert identities(host) == before


def test_status_shows_what_serves_whatever_the_driver_says(admin: Admin, fault: Callable[..., None]) -> None:
    fault(driver="mismatch")
    run = admin.play("status", "--limit", "ampere")
    assert run.status != 0
    assert "half   chat  1/1 " in run.messages
    assert "the driver was updated while an older one is loaded: reboot the host" in run.messages


def test_a_step_that_fails_leaves_what_was_made_and_the_next_run_goes_on(
    admin: Admin, host: Host, fault: Callable[..., None]
) -> None:
    before = identities(host)
    message = "Unable to create a GPU instance on GPU  0 using profile 19: Insufficient Resources"
    fault(fail=[{"match": "-cgi", "after": 1, "times": 1, "code": 23, "message": message}])
    run = admin.play("install", "--limit", "ampere", variables=NEW_LAYOUT)
    assert run.status != 0
    assert message in run.messages
    assert "done: GPU 0: destroy 2g.10gb at 0; GPU 0: create 1g.5gb at 0" in run.messages
    assert "not done: GPU 0: create 1g.5gb at 1" in run.messages
    assert identities(host) == before
    run = admin.play("install", "--limit", "ampere", variables=NEW_LAYOUT)
    assert run.status == 0, run.output
    assert host.check_output("nvidia-smi -L").count("MIG 1g.5gb") == 4
    assert identities(host) == before
    assert admin.play("install", "--limit", "ampere").status == 0

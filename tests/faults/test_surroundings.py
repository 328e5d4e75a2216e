"""Faults in the environment: names do not resolve, the clock is wrong, foreign containers have the fleet's names."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import Promise
from lab.fixtures import Admin, identities

NAMES = ("litellm", "caddy", "postgres", "vllm-half-1")
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@pytest.fixture
def broken_dns(machine: Machine, text: str) -> Iterator[None]:
    machine.host.check_output("cp /etc/resolv.conf /run/resolv.conf")
    machine.host.check_output(f"printf '{text}\\n' > /etc/resolv.conf")
    yield
    machine.host.check_output("cat /run/resolv.conf > /etc/resolv.conf")


@pytest.mark.fault("DNS broken on the host")
@pytest.mark.parametrize("text", some(["", "nameserver 192.0.2.1", "\\001\\002 garbage"]))
def test_a_host_whose_dns_is_broken_serves_and_converges(promise: Promise, machine: Machine, broken_dns: None) -> None:
    machine.host.check_output("docker restart vllm-half-1 caddy")
    promise.holds()
    assert promise.install().changed() == {machine.name: 0}


@pytest.mark.fault("a restore while DNS is broken")
@pytest.mark.parametrize("text", some(["", "nameserver 192.0.2.1"]))
def test_a_restore_asks_no_name_server(promise: Promise, machine: Machine, broken_dns: None) -> None:
    machine.host.check_output("systemctl restart docker")
    machine.wait_for_restore()
    promise.holds()
    assert promise.install().changed() == {machine.name: 0}


@pytest.fixture
def moved(machine: Machine, request: pytest.FixtureRequest) -> Iterator[str]:
    """Changes the clock for the host's programs only: the kernel's clock is shared by the whole machine."""
    machine.host.check_output(f"echo '{request.param}' > /etc/faketimerc; echo {FAKETIME} > /etc/ld.so.preload")
    yield request.param
    machine.host.check_output("rm /etc/ld.so.preload /etc/faketimerc")


@pytest.mark.fault("the clock moved, as the host's programs see it")
@pytest.mark.parametrize("moved", some(["+2h", "-3d", "+400d"], ["-3d"]), indirect=True)
def test_a_wrong_clock_is_reported_before_anything_is_touched(
    promise: Promise, machine: Machine, admin: Admin, moved: str
) -> None:
    before = identities(machine.host)
    run = admin.play("install", "--limit", machine.name)
    assert run.status != 0
    where = "ahead of" if moved.startswith("+") else "behind"
    assert f"{where} the clock of the machine that Ansible runs on" in run.messages
    promise.holds()
    assert identities(machine.host) == before


@pytest.mark.fault("a restore while the clock is wrong")
@pytest.mark.parametrize("moved", some(["+2h", "-3d", "+400d"]), indirect=True)
def test_a_restore_does_not_ask_for_the_right_time(promise: Promise, machine: Machine, moved: str) -> None:
    machine.host.check_output("systemctl restart docker")
    machine.wait_for_restore()
    promise.holds()


def test_nothing_is_left_to_do_once_the_clock_is_right(promise: Promise, machine: Machine) -> None:
    assert promise.install().changed() == {machine.name: 0}


@pytest.fixture
def taken(promise: Promise, machine: Machine, request: pytest.FixtureRequest) -> Iterator[str]:
    """A foreign container with one of the fleet's names; the fleet's container is set aside and restored afterwards."""
    name = request.param
    machine.host.check_output(f"docker rename {name} set-aside")
    machine.host.check_output(f"docker run --detach --network none --name {name} inference-fleet/engine-stand-in:1")
    yield name
    machine.host.check_output(f"docker rm --force {name}")
    machine.host.check_output(f"docker rename set-aside {name}")
    machine.host.check_output("docker restart caddy")  # it may have resolved the foreign container's name
    promise.settles()
    promise.holds()


@pytest.mark.fault("a container of others with a name of ours")
@pytest.mark.parametrize("taken", some(NAMES, ["litellm"]), indirect=True)
@pytest.mark.parametrize("by", some(["install", "restore"], ["restore"]))
def test_a_container_of_others_is_refused_with_its_name_and_left_alone(
    machine: Machine, admin: Admin, taken: str, by: str
) -> None:
    before = identities(machine.host)
    if by == "install":
        run = admin.play("install", "--limit", machine.name)
        assert run.status != 0
        reported = run.messages
        assert identities(machine.host) == before
    else:
        assert machine.host.run("systemctl start inference-fleet-restore.service").rc != 0
        reported = machine.host.check_output("journalctl --unit inference-fleet-restore.service --no-pager --lines 200")
        assert identities(machine.host)[taken] == before[taken]
    fault = rf"container {taken}:? +the name is taken by a container without the label managed-by=inference\.fleet"
    assert re.search(fault, reported), reported

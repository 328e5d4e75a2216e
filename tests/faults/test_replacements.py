"""Replacements of model containers that are interrupted or fail, under load: the previous or the new version serves.

Each version of the inventory differs in the environment of three models. `plain` has one replica and room for a second
one, `pair` has two replicas, and `half` has the only MIG device of its size, so that its previous container stops
before the new one starts.
"""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest
from faults.amount import some
from faults.machine import Machine
from faults.promise import Promise
from faults.test_killed import main_process_of_unit
from lab.fixtures import Admin, identities, wait_until
from lab.load import Load, Stream

Variables = Mapping[str, Any]
CHANGED = ("plain", "pair", "half")
SIDE_BY_SIDE = ("plain", "pair")
PAIR = {"name": "pair", "type": "chat", "source": "example/pair", "devices": {"cpu": True}, "replicas": 2}
PER_SECOND = 3
STEPS = ("create", "start", "rename", "kill", "stop", "die", "destroy")
POINTS = range(1, 37)
# Runs on the host: waits until `docker events` has shown $1 steps of model containers, then acts.
AT_STEP = f"""
exec 3< <(exec docker events --filter type=container {" ".join(f"--filter event={step}" for step in STEPS)} \
    --format '{{{{.Actor.Attributes.name}}}}')
steps=0
while read -r name <&3; do
    case $name in vllm-*) steps=$((steps + 1)) ;; esac
    if [ $steps = $1 ]; then eval "$2"; kill $!; exit 0; fi
done
echo "only $steps steps"
"""
KILL_MODULE = "kill -9 $(cut --delimiter ' ' --fields 1 /run/inference-fleet/work)"
_turn = count(1)


def version(promise: Promise, **changes: Mapping[str, Any]) -> dict[str, Any]:
    """Another version of the inventory. changes: of models, besides the environment."""
    models = {**{one["name"]: one for one in promise.door.models}, "pair": PAIR}
    models["whole"] = {**models["whole"], "env": {}}  # extra variables would resolve its template
    turn = str(next(_turn))
    for name in CHANGED:
        models[name] = {**models[name], "env": {"TURN": turn}}
    for name, change in changes.items():
        models[name] = {**models[name], **change}
    return {"fleet_models": [*models.values()]}


@pytest.fixture(scope="module", autouse=True)
def first_version(promise: Promise) -> Iterator[None]:
    promise.install(version(promise))
    yield
    promise.settles()
    promise.holds()


@contextmanager
def loaded(promise: Promise) -> Iterator[Load]:
    """A load on the models that can be replaced side by side; no request may fail."""
    streams = [
        Stream(name, "/v1/chat/completions", name, promise.key("faults-any"), PER_SECOND) for name in SIDE_BY_SIDE
    ]
    with Load(promise.door.url, str(promise.door.certificate), *streams) as load:
        load.wait_for(2 * len(streams))
        yield load
        load.wait_for(2 * len(streams))
    print(load.summary())
    assert load.failed() == []


@contextmanager
def at_step(machine: Machine, step: int, command: str) -> Iterator[threading.Event]:
    """Runs a command on the host after a number of steps of model containers. Skips the test if there are fewer."""
    happened = threading.Event()
    with machine.process("bash", "-c", AT_STEP, "at-step", str(step), command) as process:

        def wait() -> None:
            if not process.communicate()[0].startswith("only"):
                happened.set()

        waits = threading.Thread(target=wait)
        waits.start()
        try:
            yield happened
        finally:
            if waits.is_alive():
                machine.host.run("pkill --full '^docker events '")
            waits.join()
    if not happened.is_set():
        pytest.skip(f"the run has less than {step} steps")


@pytest.mark.fault("kill -9 of the module that replaces containers, after its n-th step, under load")
@pytest.mark.parametrize("point", some(POINTS, [14]))
def test_a_replacement_that_is_killed_is_finished_and_no_request_is_lost(
    promise: Promise, machine: Machine, admin: Admin, point: int
) -> None:
    new = version(promise)
    with loaded(promise):
        with at_step(machine, point, KILL_MODULE) as killed:
            run = admin.play("install", "--limit", machine.name, variables=new)
        assert killed.is_set() and run.status != 0, run.output
        if point % 2:
            machine.host.check_output("systemctl start inference-fleet-restore.service")
            promise.holds(new["fleet_models"])
        promise.install(new)
    promise.holds(new["fleet_models"])


@pytest.mark.fault("power cut in the middle of a replacement")
@pytest.mark.parametrize("point", some(range(3, 33, 6)))
def test_a_host_that_loses_power_in_a_replacement_comes_back(
    promise: Promise, machine: Machine, admin: Admin, point: int
) -> None:
    new = version(promise)
    command = admin.command("install", "--limit", machine.name, variables=new)
    with at_step(machine, point, "true") as reached:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as run:
            wait_until(lambda: reached.is_set() or run.poll() is not None, f"the run has taken {point} steps", 300)
            machine.lose_power()
            # SSH would wait for a host that is gone. Ansible's workers have sessions of their own.
            workers = subprocess.run(["pgrep", "--parent", str(run.pid)], capture_output=True, text=True).stdout.split()
            run.kill()
            for worker in workers:
                os.kill(int(worker), signal.SIGKILL)
        machine.boot()
    machine.wait_for_restore()
    promise.holds(new["fleet_models"])
    promise.install(new)
    promise.holds(new["fleet_models"])


@pytest.mark.fault("kill -9 of dockerd in the middle of a replacement")
@pytest.mark.parametrize("point", some(range(3, 33, 6)))
def test_a_dockerd_that_is_killed_in_a_replacement_takes_nothing_with_it(
    promise: Promise, machine: Machine, admin: Admin, point: int
) -> None:
    new, before = version(promise), machine.docker_since()
    with at_step(machine, point, f"kill -9 {main_process_of_unit(machine, 'docker')}"):
        admin.play("install", "--limit", machine.name, variables=new)
    wait_until(lambda: machine.docker_since() != before, "systemd has started Docker again")
    machine.wait_for_restore()
    promise.holds(new["fleet_models"])
    promise.install(new)
    promise.holds(new["fleet_models"])


BROKEN = "inference-fleet/engine-stand-in:broken"


@pytest.fixture(scope="module")
def broken_image(machine: Machine) -> Iterator[str]:
    """An image without its engine."""
    image = "inference-fleet/engine-stand-in:1"
    machine.host.check_output(f"docker run --name broken --entrypoint rm {image} -f /usr/local/bin/vllm")
    machine.host.check_output(f"docker commit broken {BROKEN} && docker rm broken")
    yield BROKEN
    machine.host.check_output(f"docker rmi {BROKEN}")


@pytest.mark.fault("a version of models that fails")
@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("an engine that is healthy and answers errors", "STANDIN_FAILS asks for a failure"),
        pytest.param("an image that does not exist", "inference-fleet/none:1", marks=pytest.mark.extended),
        pytest.param("an image without an engine", "vllm-plain-1", marks=pytest.mark.extended),
        pytest.param("an engine that ends at once", "STANDIN_EXIT_CODE asks for a failure", marks=pytest.mark.extended),
        pytest.param("an engine that never gets healthy", "is not ready after 15 s", marks=pytest.mark.extended),
    ],
)
def test_a_version_that_fails_leaves_the_previous_one(
    promise: Promise, machine: Machine, admin: Admin, broken_image: str, what: str, says: str
) -> None:
    change: Mapping[str, Any] = {
        "an image that does not exist": {"image": "inference-fleet/none:1"},
        "an image without an engine": {"image": broken_image},
        "an engine that ends at once": {"env": {"STANDIN_EXIT_CODE": "1"}},
        "an engine that never gets healthy": {"env": {"STANDIN_NEVER_READY": "1"}, "ready_timeout": 15},
        "an engine that is healthy and answers errors": {"env": {"STANDIN_FAILS": "1"}},
    }[what]
    # Alone: `half` would be replaced by a version that serves.
    good = version(promise)
    promise.install(good)
    bad = {"fleet_models": [{**one, **(change if one["name"] in CHANGED else {})} for one in good["fleet_models"]]}
    before = container_ids(machine)
    with loaded(promise):
        run = admin.play("install", "--limit", machine.name, variables=bad)
        assert run.status != 0, run.output
        assert says in run.messages
        assert "vllm-pair-2: not replaced" in run.messages or "image" in what
    assert container_ids(machine) == before
    assert promise.unanswered(good["fleet_models"]) == []
    promise.install(good)
    promise.holds(good["fleet_models"])


def container_ids(machine: Machine) -> dict[str, str]:
    return {name: one for name, (one, _started) in identities(machine.host).items()}


DOCKERS = "/var/lib/docker/containers"
SMALL_DISK = f"""
set -e
systemctl stop docker.socket docker.service
cp --archive {DOCKERS} /var/kept
mount -t tmpfs -o size=24m,mode=0710 tmpfs {DOCKERS}
cp --archive /var/kept/. {DOCKERS}
systemctl start docker.socket docker.service
"""
BACK = f"""
set -e
rm -f {DOCKERS}/filler
systemctl stop docker.socket docker.service
rm -rf /var/kept
cp --archive {DOCKERS} /var/kept
umount {DOCKERS}
find {DOCKERS} -mindepth 1 -delete
cp --archive /var/kept/. {DOCKERS}
rm -rf /var/kept
systemctl start docker.socket docker.service
"""


@pytest.mark.extended
@pytest.mark.fault("Docker's disk full in a replacement")
def test_a_full_disk_leaves_the_previous_version(promise: Promise, machine: Machine, admin: Admin) -> None:
    good, new = version(promise), version(promise)
    promise.install(good)
    machine.host.check_output(SMALL_DISK)
    try:
        machine.wait_for_restore()
        promise.holds(good["fleet_models"])
        machine.host.run(f"dd if=/dev/zero of={DOCKERS}/filler bs=1K")
        with loaded(promise):
            run = admin.play("install", "--limit", machine.name, variables=new)
            assert run.status != 0 and "no space left on device" in run.messages, run.output
        machine.host.check_output(f"rm {DOCKERS}/filler")
        promise.install(new)
        promise.holds(new["fleet_models"])
    finally:
        machine.host.check_output(BACK)
        machine.wait_for_restore()
    promise.holds(new["fleet_models"])


@pytest.mark.extended
@pytest.mark.fault("a replica that hangs while it is drained")
def test_a_replica_that_hangs_is_ended_after_its_time(promise: Promise, machine: Machine) -> None:
    slow = version(promise, plain={"env": {"STANDIN_TOKEN_SECONDS": "60"}, "drain_timeout": 5})
    promise.install(slow)
    new = version(promise, plain={"drain_timeout": 5})
    with promise.asking("plain") as statuses:
        promise.install(new)
    assert statuses in ([], [500], [502]), "the request was not cut off"
    promise.holds(new["fleet_models"])
    machine.host.check_output(f"kill -STOP {machine.main_process('vllm-plain-1')}")
    last = version(promise)
    promise.settles(last)
    promise.holds(last["fleet_models"])

"""Bad input and trouble on a host that serves: a clear error, nothing lost, and the next run puts it right."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from lab.fixtures import Admin, Door, Run, inspect, wait_until
from testinfra.host import Host

testinfra_hosts = ["ansible://light"]


def model(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": "stt", "source": f"example/{name}", "devices": {"cpu": True}, **more}


Install = Callable[..., Run]


@pytest.fixture
def install(admin: Admin, door: Door) -> Install:
    """Runs install with more models than the inventory has."""

    def run(*models: dict[str, Any], **variables: Any) -> Run:
        variables["fleet_models"] = [*door.models, *models]
        return admin.play("install", "--limit", "light", variables=variables)

    return run


@contextmanager
def under_way(admin: Admin, door: Door) -> Iterator[subprocess.Popen[bytes]]:
    """An install that has got as far as waiting for a model that takes its time."""
    slow = model("slow", env={"STANDIN_STARTUP_SECONDS": 60})
    command = admin.command("install", "--limit", "light", variables={"fleet_models": [*door.models, slow]})
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_models_that_fail_are_told_each_with_its_reason_and_the_others_serve(install: Install, door: Door) -> None:
    run = install(
        model("broken", env={"STANDIN_EXIT_CODE": 3}),
        model("never", env={"STANDIN_NEVER_READY": 1}, ready_timeout=5),
        model("lost", image="127.0.0.1:1/no/such:1"),
        model("fine"),
    )
    assert run.status != 0
    assert "vllm-broken-1: died" in run.messages
    assert "ValueError: STANDIN_EXIT_CODE asks for a failure" in run.messages
    (last,) = {line for line in run.messages.splitlines() if line.startswith("light  created: ")}
    assert last.startswith("light  created: vllm-broken-1, vllm-fine-1, vllm-never-1; ")
    assert "vllm-broken-1 (died" in last and "vllm-never-1 (runs, but is not ready after 5 s)" in last
    assert "vllm-never-1: runs, but is not ready after 5 s; the end of its log" in run.messages
    assert "image 127.0.0.1:1/no/such:1: cannot be pulled and is not on this host" in run.messages
    assert door.request("GET", "/models/fine/v1/models").status_code == 200
    assert door.chat("pair").status_code == 200


def test_no_space_for_weights_is_told_before_anything_is_touched(install: Install, host: Host) -> None:
    before = inspect(host)
    run = install(model("large"), fleet_cache={"path": "/srv/cache", "min_free_gb": 10**6})
    assert run.status != 0
    assert "GB free at /srv/cache for the weights of vllm-large-1" in run.messages
    assert inspect(host).keys() == before.keys()


def test_weights_that_are_not_on_the_host_are_told_before_anything_is_touched(install: Install) -> None:
    run = install(model("absent-weights", source="/srv/nothing-here"))
    assert run.status != 0
    assert "fleet_models[3] (absent-weights).source: /srv/nothing-here is not a folder on this host" in run.messages


def test_a_salt_that_would_lock_the_virtual_keys_away_is_refused(install: Install) -> None:
    run = install(fleet_secrets={"salt_key": "sk-another-salt-key"})
    assert run.status != 0
    assert "salt_key: the inventory gives another value than this host has" in run.messages


def test_gpus_on_a_host_without_a_driver_are_told_before_anything_is_touched(install: Install) -> None:
    run = install(model("big", devices={"gpus": 2}))
    assert run.status != 0
    assert "fleet_models[3].devices: big asks for 2 gpu, and there is no nvidia-smi on this host" in run.messages


def test_a_port_that_is_taken_is_told_with_who_has_it(install: Install, host: Host) -> None:
    host.check_output("docker stop caddy")
    host.check_output("systemd-run --unit=squatter python3 -m http.server 443")
    wait_until(lambda: host.socket("tcp://0.0.0.0:443").is_listening, "port 443 is taken")
    try:
        run = install()
        assert run.status != 0
        assert "port 443: taken by python3 (PID " in run.messages
    finally:
        host.check_output("systemctl stop squatter")
        host.check_output("docker start caddy")


def test_one_hosts_faults_keep_every_host_untouched(admin: Admin, host: Host) -> None:
    before = inspect(host)
    wrong = "{{ {'mode': 'intern'} if inventory_hostname == 'real' else {} }}"
    run = admin.play("install", variables={"fleet_https": wrong, "fleet_models": []})
    assert run.status != 0
    told = "fleet_https.mode: expected one of internal, acme, files, got 'intern'; did you mean 'internal'?"
    assert told in run.messages
    assert run.changed() == {"light": 0, "real": 0}
    assert inspect(host).keys() == before.keys()


@pytest.mark.extended
def test_docker_that_is_down_is_told_and_the_next_install_puts_all_of_it_right(
    install: Install, admin: Admin, door: Door, host: Host
) -> None:
    """What the tests above have left behind as well: models that fail, a salt key."""
    host.check_output("systemctl stop docker.service docker.socket")
    run = admin.play("status", "--limit", "light")
    assert run.status != 0
    assert "Docker does not answer; is it running (systemctl status docker)?" in run.messages
    after = install()
    assert after.status == 0, after.output
    assert door.chat("pair").status_code == 200
    assert not [name for name in inspect(host) if name.startswith(("vllm-broken", "vllm-never", "vllm-fine"))]


@pytest.mark.extended
def test_a_second_admin_is_told_who_holds_the_host_and_a_run_that_was_killed_is_finished_by_the_next(
    install: Install, admin: Admin, door: Door, host: Host
) -> None:
    with under_way(admin, door) as first:
        wait_until(lambda: "vllm-slow-1" in inspect(host), "the first run has made a container")
        second = install()
        assert second.status != 0
        assert f"(PID {first.pid}, ansible-playbook inference.fleet.install) since 20" in second.messages
        assert second.changed() == {"light": 0}
    again = install()
    assert again.status == 0, again.output
    assert "which has ended without releasing it" in again.output
    assert "vllm-slow-1" not in inspect(host)
    assert door.chat("pair").status_code == 200


def test_a_service_name_taken_by_a_foreign_container_is_refused(install: Install, host: Host) -> None:
    host.check_output("docker rename caddy set-aside")
    host.check_output("docker create --name caddy inference-fleet/engine-stand-in:1")
    try:
        run = install()
        assert run.status != 0
        assert (
            "container caddy: the name is taken by a container without the label managed-by=inference.fleet"
            in run.messages
        )
    finally:
        host.check_output("docker rm caddy")
        host.check_output("docker rename set-aside caddy")


@pytest.mark.extended
def test_after_all_that_one_install_leaves_nothing_to_do(admin: Admin) -> None:
    run = admin.play("install", "--limit", "light")
    assert run.status == 0, run.output
    assert admin.play("install", "--limit", "light").changed() == {"light": 0}

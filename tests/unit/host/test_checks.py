"""Whether a host can take its fleet: what was found against what is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.host.checks import GB, Host, host_faults
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

GOOD = Host(
    os_id="debian",
    os_version="12",
    systemd=True,
    python_sdk=True,
    docker_installed=True,
    docker_version="28.2.2",
    docker_enabled=True,
    nvidia_smi=True,
    containers=frozenset(),
    foreign=frozenset(),
    missing_paths=frozenset(),
    ports={},
    cache_path="/var/lib/docker",
    cache_free=500 * GB,
)


def found(*entries: dict[str, Any], cache: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    """The faults of a host that is good but for these changes."""
    return host_faults(fleet(*(entries or (entry(),)), cache=cache), replace(GOOD, **changes))


def test_a_good_host_has_no_faults() -> None:
    assert found() == []


# The system


@pytest.mark.parametrize(
    ("os_id", "os_version"),
    [
        ("debian", "12"),
        ("debian", "13"),
        ("debian", ""),  # testing has no number
        ("ubuntu", "24.04"),
        ("ubuntu", "24.10"),
        ("ubuntu", "26.04"),
    ],
)
def test_takes_debian_12_and_ubuntu_24_04_and_later(os_id: str, os_version: str) -> None:
    assert found(os_id=os_id, os_version=os_version) == []


@pytest.mark.parametrize(
    ("os_id", "os_version"),
    [("debian", "11"), ("ubuntu", "22.04"), ("ubuntu", "23.10"), ("rhel", "9.4"), ("an unknown system", "")],
)
def test_refuses_other_systems_by_name(os_id: str, os_version: str) -> None:
    assert found(os_id=os_id, os_version=os_version) == [
        f"host: found {os_id} {os_version}; Debian 12, Ubuntu 24.04 or later is needed"
    ]


# Docker


@pytest.mark.parametrize("installed", [True, False])
def test_a_docker_that_does_not_run_and_cannot_be_started_is_a_fault(installed: bool) -> None:
    """Installed or not: packages put there in this run could not be started either."""
    assert found(docker_installed=installed, docker_version=None, systemd=False) == [
        "docker: no engine answers on its socket, and no systemd runs here that could start it"
    ]


@pytest.mark.parametrize("installed", [True, False])
def test_a_docker_that_systemd_can_start_is_no_fault(installed: bool) -> None:
    assert found(docker_installed=installed, docker_version=None) == []


def test_a_docker_that_runs_needs_no_systemd() -> None:
    assert found(systemd=False) == []


@pytest.mark.parametrize(
    ("changes", "packages"),
    [
        ({}, []),
        ({"docker_installed": False}, ["docker.io", "iptables"]),
        ({"python_sdk": False}, ["python3-docker"]),
        ({"docker_installed": False, "python_sdk": False}, ["docker.io", "iptables", "python3-docker"]),
    ],
)
def test_names_the_packages_that_are_missing(changes: dict[str, Any], packages: list[str]) -> None:
    assert replace(GOOD, **changes).missing_packages == packages


# Names


@pytest.mark.parametrize("name", ["postgres", "caddy", "vllm-qwen3-8b-1"])
def test_a_name_that_the_fleet_needs_and_others_have_is_a_fault(name: str) -> None:
    assert found(foreign=frozenset({name, "somebody"})) == [
        f"container {name}: the name is taken by a container without the label managed-by=inference.fleet; "
        f"remove or rename it (docker rename {name} NEW), it was left untouched"
    ]


def test_a_name_that_an_absent_model_would_have_is_free_for_others() -> None:
    assert found(entry(state="absent"), foreign=frozenset({"vllm-qwen3-8b-1", "somebody"})) == []


# Weights


def test_a_folder_that_is_not_there_is_told_with_the_entry_that_names_it() -> None:
    assert found(entry(name="a"), entry(name="b", source="/srv/qwen/"), missing_paths=frozenset({"/srv/qwen"})) == [
        "fleet_models[1].source: /srv/qwen is not a folder on this host; copy the weights there, "
        "or name a hub repository"
    ]


def test_an_absent_model_needs_no_folder() -> None:
    assert found(entry(source="/srv/qwen", state="absent"), missing_paths=frozenset({"/srv/qwen"})) == []


def test_too_little_space_for_new_weights_is_told_with_the_limit_and_where_it_is_set() -> None:
    assert found(entry(name="a", replicas=2), cache_free=int(19.96 * GB)) == [
        "disk: 20.0 GB free at /var/lib/docker for the weights of vllm-a-1, vllm-a-2; "
        "fleet_cache.min_free_gb asks for 20"
    ]


@pytest.mark.parametrize(
    ("one", "cache", "changes"),
    [
        ({}, None, {"cache_free": 20 * GB}),
        ({}, {"min_free_gb": 0}, {"cache_free": 0}),
        ({}, None, {"cache_free": 0, "containers": frozenset({"vllm-qwen3-8b-1"})}),
        ({"source": "/srv/qwen"}, None, {"cache_free": 0}),
        ({"state": "stopped"}, None, {"cache_free": 0}),
        ({"state": "absent"}, None, {"cache_free": 0}),
    ],
)
def test_space_is_asked_for_only_where_weights_will_come(one: Any, cache: Any, changes: Any) -> None:
    assert found(entry(**one), cache=cache, **changes) == []


# Ports


def test_ports_that_others_hold_are_told_with_who_holds_them() -> None:
    assert found(ports={443: "nginx (PID 812)", 80: "container web"}) == [
        "port 80: taken by container web; Caddy needs it: stop that, or move it to another port",
        "port 443: taken by nginx (PID 812); Caddy needs it: stop that, or move it to another port",
    ]


def test_all_faults_of_a_host_are_told_at_once() -> None:
    faults = found(
        entry(name="a", source="/srv/a"),
        entry(name="b"),
        os_version="11",
        docker_version=None,
        systemd=False,
        missing_paths=frozenset({"/srv/a"}),
        foreign=frozenset({"litellm"}),
        ports={443: "nginx (PID 812)"},
        cache_free=0,
    )
    assert [fault.partition(":")[0] for fault in faults] == [
        "host",
        "docker",
        "fleet_models[0].source",
        "container litellm",
        "port 443",
        "disk",
    ]


@pytest.mark.parametrize(
    ("version", "enabled", "systemd", "to_start"),
    [
        ("28.2.2", True, True, False),
        ("28.2.2", False, True, True),
        (None, True, True, True),
        ("28.2.2", False, False, False),
    ],
)
def test_docker_is_left_alone_where_it_runs_and_will_run_after_a_boot(
    version: str | None, enabled: bool, systemd: bool, to_start: bool
) -> None:
    host = replace(GOOD, docker_version=version, docker_enabled=enabled, systemd=systemd)
    assert host.docker_to_start is to_start


def test_gpus_are_asked_for_in_vain_where_no_driver_is() -> None:
    assert found(entry(name="big", devices={"gpus": 2}), nvidia_smi=False) == [
        "fleet_models[0].devices: big asks for 2 gpu, and there is no nvidia-smi on this host; "
        "install the NVIDIA driver and the NVIDIA Container Toolkit, or give {cpu: true}"
    ]
    assert found(entry(devices={"cpu": True}), nvidia_smi=False) == []
    assert found(entry(devices={"gpus": 2}, state="absent"), nvidia_smi=False) == []

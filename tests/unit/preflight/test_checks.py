"""Checks whether a host can run its fleet: what was found against what is needed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.preflight.checks import (
    GB,
    checks,
    host_faults,
    port_faults,
    service_faults,
)
from ansible_collections.inference.fleet.plugins.module_utils.preflight.names import Name
from ansible_collections.inference.fleet.plugins.module_utils.preflight.systems import (
    APPARMOR,
    CA_CERTIFICATES,
    COMMAND,
    ENGINE,
    IPTABLES,
    NEEDS,
    SDK,
    VENV,
)
from ansible_collections.inference.fleet.plugins.module_utils.report.table import check_lines
from ansible_collections.inference.fleet.tests.unit.preflight.hosts import GOOD
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet


def found(*entries: dict[str, Any], cache: dict[str, Any] | None = None, **changes: Any) -> list[str]:
    """The faults of a good host with these changes."""
    return host_faults(fleet(*(entries or (entry(),)), cache=cache), replace(GOOD, **changes))


def reported(about: str, *entries: dict[str, Any], **changes: Any) -> list[str]:
    """The checks with this name, each after its state."""
    all_of_it = checks(fleet(*(entries or (entry(),))), replace(GOOD, **changes))
    return [f"{check.state} {check}" for check in all_of_it if check.name == about]


def test_a_good_host_has_no_faults() -> None:
    assert found() == []


def test_a_drained_host_is_a_warning_that_names_the_playbook_that_ends_it() -> None:
    since = "2026-11-24T12:00:00Z"
    assert reported("drained", drained=since) == [
        f"warn drained: since {since}; Caddy refuses requests for models; the playbook undrain ends this"
    ]
    assert reported("drained") == found(drained=since) == []


def test_a_good_host_has_a_line_for_each_thing_and_nothing_to_do() -> None:
    lines = checks(fleet(entry(source="/srv/qwen")), GOOD)
    assert [line.name for line in lines] == [
        "host",
        "kernel",
        "docker",
        "fleet_models[0] (qwen3-8b).source",
        "names",
        "port 80",
        "port 443",
        "disk",
        "clock",
    ]
    assert {(line.state, line.remedy) for line in lines} == {("ok", "")}


@pytest.mark.parametrize("kernel", ["5.10.0-30-amd64", "6.8.0-45-generic", "10.0"])
def test_takes_kernels_from_5_10_on(kernel: str) -> None:
    assert found(kernel=kernel) == []


@pytest.mark.parametrize("kernel", ["5.4.0-1100-aws", "4.19.0", "3.10.0-1160.el7"])
def test_an_older_kernel_is_a_fault(kernel: str) -> None:
    assert found(kernel=kernel) == [f"kernel: found {kernel}; 5.10 or later is needed: install one and reboot"]


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
        ("rocky", "9.4"),
        ("rhel", "10.0"),
        ("almalinux", "9.6"),
        ("centos", "10"),
    ],
)
def test_takes_the_known_distributions_and_later_releases(os_id: str, os_version: str) -> None:
    assert found(os_id=os_id, os_version=os_version) == []


def test_says_of_a_system_that_no_test_has_that_it_was_not_tried() -> None:
    assert reported("host", os_id="rocky", os_version="9.4") == ["ok host: rocky 9.4 (written for, not tried)"]
    assert reported("host", os_id="debian", os_version="13") == ["ok host: debian 13"]


@pytest.mark.parametrize(
    ("os_id", "os_version"),
    [("debian", "11"), ("ubuntu", "22.04"), ("ubuntu", "23.10"), ("rhel", "8.10")],
)
def test_refuses_older_releases(os_id: str, os_version: str) -> None:
    (fault,) = found(os_id=os_id, os_version=os_version)
    needed = {"debian": "Debian 12", "ubuntu": "Ubuntu 24.04", "rhel": "RHEL 9"}[os_id]
    assert fault == f"host: found {os_id} {os_version}; {needed} or later is needed"


@pytest.mark.parametrize(("os_id", "os_version"), [("arch", ""), ("sles", "15.6"), ("an unknown system", "")])
def test_of_an_unknown_distribution_it_says_what_would_be_needed(os_id: str, os_version: str) -> None:
    assert found(os_id=os_id, os_version=os_version) == [
        f"host: found {f'{os_id} {os_version}'.strip()}, whose packages are not known; one of Debian 12, Ubuntu 24.04, "
        "RHEL 9, Rocky Linux 9, AlmaLinux 9, CentOS Stream 9 or later is needed; another distribution needs an entry "
        "in SYSTEMS of plugins/module_utils/preflight/systems.py with its packages of certificates of public "
        "authorities, Docker Engine, the command docker, iptables, apparmor_parser, the Docker SDK for Python, "
        "Python's venv"
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


@pytest.mark.parametrize(("installed", "name"), [(True, "docker"), (False, "packages")])
def test_install_brings_or_starts_a_docker_that_does_not_answer(installed: bool, name: str) -> None:
    missing = () if installed else (ENGINE,)
    (line,) = reported(name, docker_installed=installed, docker_version=None, missing=missing)
    assert line.startswith("install ")


def test_a_docker_that_is_not_started_at_boot_is_put_right_by_install() -> None:
    assert reported("docker", docker_enabled=False) == [
        "install docker: 28.2.2 answers, and is not started at boot; install enables it at boot"
    ]
    assert reported("docker", docker_enabled=False, systemd=False) == ["ok docker: 28.2.2 answers"]


@pytest.mark.parametrize("version", ["20.10.24+dfsg1", "29.2.0", "27.5.1-0ubuntu3~24.04.2"])
def test_takes_docker_from_20_10_on(version: str) -> None:
    assert found(docker_version=version) == []


def test_an_older_docker_is_a_fault() -> None:
    fault = "Docker Engine 40.0 accepts the API 1.70 to 1.80, expected one of 1.41 to 1.52; upgrade the collection"
    assert found(docker_version="40.0", docker_fault=fault) == [f"docker: {fault}"]
    assert found(docker_version="19.03.15") == ["docker: found 19.03.15; 20.10 or later is needed: upgrade it"]


def test_a_docker_that_runs_needs_no_systemd() -> None:
    assert found(systemd=False) == []


@pytest.mark.parametrize(
    ("os_id", "os_version", "missing", "packages"),
    [
        ("debian", "12", (), []),
        ("debian", "12", (ENGINE, COMMAND, IPTABLES), ["docker.io", "iptables"]),
        ("debian", "13", (ENGINE, COMMAND, IPTABLES), ["docker.io", "docker-cli", "iptables"]),
        ("debian", "", (COMMAND,), ["docker-cli"]),
        ("ubuntu", "24.04", (ENGINE, COMMAND), ["docker.io"]),
        ("debian", "13", (VENV, SDK, CA_CERTIFICATES), ["ca-certificates", "python3-docker", "python3-venv"]),
        ("debian", "12", (APPARMOR,), ["apparmor"]),
        ("rocky", "9.4", (ENGINE, COMMAND, SDK), ["docker-ce", "containerd.io", "docker-ce-cli", "python3-docker"]),
        ("rhel", "9.4", (VENV, APPARMOR), ["python3.12", "python3-pip"]),
        ("rhel", "10.0", (VENV,), ["python3-pip"]),
        ("arch", "", NEEDS, []),
    ],
)
def test_names_the_packages_that_are_missing(
    os_id: str, os_version: str, missing: tuple[str, ...], packages: list[str]
) -> None:
    host = replace(GOOD, os_id=os_id, os_version=os_version, missing=missing)
    assert host.missing_packages == packages


def test_weights_that_selinux_keeps_from_containers_are_a_warning() -> None:
    lines = reported(
        "fleet_models[0] (qwen3-8b).source", entry(source="/srv/qwen"), unlabelled=frozenset({"/srv/qwen"})
    )
    assert lines[1:] == [
        "warn fleet_models[0] (qwen3-8b).source: SELinux keeps containers from /srv/qwen; `semanage fcontext -a -t "
        "container_file_t '/srv/qwen(/.*)?' && restorecon -R /srv/qwen`"
    ]


# Names


@pytest.mark.parametrize("name", ["postgres", "caddy", "vllm-qwen3-8b-1"])
def test_a_name_that_the_fleet_needs_and_others_have_is_a_fault(name: str) -> None:
    assert found(foreign=frozenset({name, "somebody"})) == [
        f"container {name}: the name is taken by a container without the label managed-by=inference.fleet; "
        f"remove or rename it (docker rename {name} NEW), it was left untouched"
    ]


def test_what_others_watch_with_matters_only_where_the_fleet_is_to_watch_too() -> None:
    host = replace(GOOD, foreign=frozenset({"grafana", "dcgm-exporter"}))
    assert host_faults(fleet(entry()), host) == []
    watched = [fault.partition(": ")[0] for fault in host_faults(fleet(entry(), monitoring=True), host)]
    assert watched == ["container dcgm-exporter", "container grafana"]


@pytest.mark.parametrize("monitoring", [False, True])
def test_faults_of_services_are_those_of_names_without_the_models(monitoring: bool) -> None:
    wanted, host = fleet(entry(), monitoring=monitoring), replace(GOOD, foreign=frozenset({"caddy", "grafana", "web"}))
    assert service_faults(wanted, host) == host_faults(wanted, host)
    assert len(service_faults(wanted, host)) == 1 + monitoring
    taken = replace(GOOD, kernel="4.19.0", foreign=frozenset({"vllm-qwen3-8b-1"}))
    assert (service_faults(wanted, taken), len(host_faults(wanted, taken))) == ([], 2)


def test_faults_of_ports_are_those_of_ports_that_others_hold() -> None:
    host = replace(GOOD, ports={80: None, 443: "nginx (PID 812)"})
    assert port_faults(host) == host_faults(fleet(entry()), host) != []
    assert port_faults(replace(GOOD, kernel="4.19.0")) == []


def test_a_name_that_an_absent_model_would_have_is_free_for_others() -> None:
    assert found(entry(state="absent"), foreign=frozenset({"vllm-qwen3-8b-1", "somebody"})) == []


# Weights


def test_a_folder_that_is_not_there_is_reported_with_the_entry_that_names_it() -> None:
    assert found(entry(name="a"), entry(name="b", source="/srv/qwen/"), missing_paths=frozenset({"/srv/qwen"})) == [
        "fleet_models[1] (b).source: /srv/qwen is not a folder on this host; copy the files there, "
        "or name a hub repository"
    ]


def test_what_args_and_adapters_name_is_checked_with_its_key() -> None:
    args = {"chat-template": "/srv/x.jinja", "lora-modules": ["sql=/srv/sql"], "tokenizer": "/srv/t"}
    one = entry(name="a", source="/srv/a", args=args)
    assert found(one, missing_paths=frozenset({"/srv/x.jinja", "/srv/sql"})) == [
        "fleet_models[0] (a).args.chat-template: /srv/x.jinja is not a file on this host; copy it there; a file of "
        "the image is named relative to the image's working folder",
        "fleet_models[0] (a).args.lora-modules: /srv/sql is not a folder with adapter_config.json on this host; "
        "copy the adapter there, or name a hub repository",
    ]
    assert found(one) == []


def test_an_absent_model_needs_no_folder() -> None:
    assert found(entry(source="/srv/qwen", state="absent"), missing_paths=frozenset({"/srv/qwen"})) == []


def test_too_little_space_for_new_weights_is_reported_with_the_limit_and_where_it_is_set() -> None:
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


@pytest.mark.parametrize(("free", "warned"), [(None, False), (2 * GB, False), (2 * GB - 1, True), (0, True)])
def test_too_little_space_for_docker_itself_is_a_warning(free: int | None, warned: bool) -> None:
    """Logs, images and containers are there, also where the weights have a disk of their own."""
    lines = [one for one in checks(fleet(), replace(GOOD, docker_free=free)) if one.name == "docker disk"]
    assert [one.state for one in lines] == ["warn"] * warned
    assert all("prune_images" in one.remedy for one in lines)


def test_ports_that_others_hold_are_reported_with_who_holds_them() -> None:
    assert found(ports={443: "nginx (PID 812)", 80: "container web"}) == [
        "port 80: taken by container web; Caddy needs it: stop the other program, or change its port",
        "port 443: taken by nginx (PID 812); Caddy needs it: stop the other program, or change its port",
    ]


def test_all_faults_of_a_host_are_reported_at_once() -> None:
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
        "fleet_models[0] (a).source",
        "container litellm",
        "port 443",
        "disk",
    ]


# The clock


@pytest.mark.parametrize(
    ("ahead", "synchronised", "said"),
    [
        (0.4, True, "ok clock: as this machine's"),
        (-59.0, None, "ok clock: as this machine's"),
        (2.0, False, "warn clock: no time server sets it; `timedatectl set-ntp true`, or install chrony"),
        (None, False, "warn clock: no time server sets it; `timedatectl set-ntp true`, or install chrony"),
    ],
)
def test_a_clock_that_is_right_has_to_be_kept_right(ahead: float | None, synchronised: bool | None, said: str) -> None:
    assert reported("clock", clock_ahead=ahead, synchronised=synchronised) == [said]


def test_a_clock_that_is_minutes_off_is_a_warning() -> None:
    assert reported("clock", clock_ahead=-240.0) == [
        "warn clock: 240 s behind the clock of the machine that Ansible runs on; if the host's clock is wrong, "
        "certificates and tokens are refused; `timedatectl set-ntp true`, or install chrony"
    ]


def test_a_clock_that_is_hours_off_is_a_fault_that_says_which_way() -> None:
    (fault,) = found(clock_ahead=7200.0, synchronised=False)
    assert fault.startswith("clock: 2.0 h ahead of the clock of the machine that Ansible runs on, and no time server")


def test_nothing_is_said_of_a_clock_that_nobody_asked_about() -> None:
    assert reported("clock", clock_ahead=None, synchronised=None) == []


# Names


def test_a_name_that_does_not_resolve_is_a_warning_that_says_what_it_is_wanted_for() -> None:
    names = (
        Name("registry-1.docker.io", "vllm/vllm-openai:v0.31.0 and 3 more", False),
        Name("huggingface.co", "the weights of qwen3-8b", True),
    )
    assert reported("dns", names=names) == [
        "warn dns: registry-1.docker.io does not resolve; it is the source of vllm/vllm-openai:v0.31.0 and 3 more; "
        "see /etc/resolv.conf, or copy them to the host by hand",
        "ok dns: huggingface.co resolves",
    ]
    assert found(names=names) == []


# How it is reported


def test_lines_stand_in_columns_and_faults_in_capitals() -> None:
    host = replace(GOOD, ports={443: "nginx (PID 812)"}, missing=(SDK,))
    assert check_lines([check.as_dict() for check in checks(fleet(), host)]) == [
        "ok       host      debian 12",
        "ok       kernel    6.1.0-18-amd64",
        "ok       docker    28.2.2 answers",
        "install  packages  python3-docker missing; install installs them with the host's package manager",
        "ok       names     no foreign container has a name that the fleet needs",
        "FAULT    port 443  taken by nginx (PID 812); Caddy needs it: stop the other program, or change its port",
        "ok       disk      500.0 GB free at /var/lib/docker",
        "ok       clock     as this machine's",
    ]
    assert check_lines([]) == []


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

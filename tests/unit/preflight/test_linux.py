"""Observing a Linux host. Real sockets and files where cheap, otherwise a test folder for /proc."""

from __future__ import annotations

import http.server
import json
import os
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import Paths
from ansible_collections.inference.fleet.plugins.module_utils.preflight import linux
from ansible_collections.inference.fleet.plugins.module_utils.preflight.names import Name
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import Nvidia
from ansible_collections.inference.fleet.plugins.module_utils.preflight.systems import (
    APPARMOR,
    CA_CERTIFICATES,
    COMMAND,
    ENGINE,
    IPTABLES,
    SDK,
    VENV,
)
from ansible_collections.inference.fleet.plugins.module_utils.system import docker_api
from ansible_collections.inference.fleet.tests.unit.samples import CERTIFICATE, entry, fleet

CADDY = {"managed-by": "inference.fleet", "service": "caddy"}


ANSWER = {"Version": "28.2.2", "ApiVersion": "1.50", "MinAPIVersion": "1.24"}


class FakeDocker:
    """A FAKE of Docker's API on a real Unix socket. answers: path -> what it says, as JSON; else 404."""

    def __init__(self, path: Path) -> None:
        self.answers: dict[str, Any] = {"/version": ANSWER}
        answers = self.answers

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = answers.get(self.path.removeprefix("/v1.41"))
                self.send_response(200 if found is not None else 404)
                self.end_headers()
                self.wfile.write(found if isinstance(found, bytes) else json.dumps(found).encode())

            def address_string(self) -> str:
                return "local"

            def log_message(self, *_arguments: Any) -> None:
                pass

        self.server = socketserver.UnixStreamServer(str(path), Handler)
        self.server.handle_error = lambda *_arguments: None  # a client that hangs up early
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDocker]:
    monkeypatch.setattr(docker_api, "SOCKET", str(tmp_path / "docker.sock"))
    fake = FakeDocker(tmp_path / "docker.sock")
    yield fake
    fake.server.shutdown()
    fake.server.server_close()


@pytest.fixture
def no_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docker_api, "SOCKET", str(tmp_path / "none.sock"))


def container(*names: str, port: int | None = None, labels: dict[str, str] | None = None) -> dict[str, Any]:
    """As Docker lists it."""
    ports = [{"PrivatePort": 8000, "Type": "tcp"}]
    if port:
        ports.append({"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": port, "Type": "tcp"})
    return {"Names": [f"/{name}" for name in names], "Labels": labels, "Ports": ports}


@pytest.fixture
def listening() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


def free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
    return port


# Docker


def test_asks_docker_over_its_socket(docker: FakeDocker, tmp_path: Path) -> None:
    docker.answers["/containers/json?all=1"] = [
        container("caddy", labels=CADDY),
        container("vllm-a-1", "other/alias", labels={"managed-by": "inference.fleet", "model-name": "a"}),
        container("web", labels={"service": "caddy"}),
    ]
    docker.answers["/info"] = {"DockerRootDir": str(tmp_path)}
    host = linux.observe(fleet(entry()), [])
    assert (host.docker_version, host.docker_installed, host.cache_path) == ("28.2.2", True, str(tmp_path))
    assert host.docker_free and host.docker_free > 0
    assert {"caddy", "vllm-a-1", "web"} <= host.containers
    assert (host.foreign, host.models) == ({"web"}, {"a"})


def test_a_docker_that_answers_nothing_more_than_its_version_is_no_reason_to_break(docker: FakeDocker) -> None:
    host = linux.observe(fleet(), [])
    assert (host.docker_version, host.containers) == ("28.2.2", frozenset())


def test_an_engine_without_a_common_api_is_a_fault(docker: FakeDocker) -> None:
    docker.answers["/version"] = {"Version": "40.0", "ApiVersion": "1.80", "MinAPIVersion": "1.70"}
    docker.answers["/containers/json?all=1"] = [container("web")]
    host = linux.observe(fleet(), [])
    assert (host.docker_version, host.containers) == ("40.0", frozenset())
    assert host.docker_fault.startswith("Docker Engine 40.0 accepts the API 1.70 to 1.80")


@pytest.mark.parametrize("answer", [None, b"not JSON", b"", b"[]"])
def test_a_docker_that_answers_nonsense_does_not_answer(docker: FakeDocker, answer: bytes | None) -> None:
    docker.answers["/version"] = answer
    assert linux.observe(fleet(), []).docker_version is None


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(("daemon", "installed"), [("/usr/bin/dockerd", True), (None, False)])
def test_a_docker_that_does_not_run_may_still_be_installed(
    daemon: str | None, installed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux.shutil, "which", {"dockerd": daemon}.get)
    host = linux.observe(fleet(), [])
    assert (host.docker_version, host.docker_installed, host.containers) == (None, installed, frozenset())


# Folders and space


@pytest.mark.usefixtures("no_docker")
def test_finds_the_folders_of_weights_that_are_missing(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    sources = {name: str(tmp_path / name) for name in ("there", "file", "gone")}
    entries = [entry(name=name, source=source) for name, source in sources.items()]
    assert linux.observe(fleet(entry(), *entries), []).missing_paths == {sources["file"], sources["gone"]}


@pytest.mark.usefixtures("no_docker")
def test_finds_the_files_and_adapters_that_are_missing(tmp_path: Path) -> None:
    for name in ("whole", "empty"):
        (tmp_path / name).mkdir()
    for name in ("x.jinja", "whole/adapter_config.json"):
        (tmp_path / name).touch()
    adapters = {name: str(tmp_path / name) for name in ("whole", "empty", "gone")}
    args = {"chat-template": str(tmp_path / "x.jinja"), "tool-parser-plugin": str(tmp_path / "whole")}
    missing = linux.observe(fleet(entry(adapters=adapters, args=args)), []).missing_paths
    assert missing == {adapters["empty"], adapters["gone"], adapters["whole"]}  # the last: a folder for a plugin


@pytest.mark.usefixtures("no_docker")
def test_space_is_looked_for_where_the_cache_will_be(tmp_path: Path) -> None:
    host = linux.observe(fleet(cache={"path": str(tmp_path / "not" / "yet")}), [])
    assert host.cache_path == str(tmp_path)
    assert host.cache_free > 0


@pytest.mark.parametrize(
    ("path", "existing"), [("/", "/"), ("/proc/none/at/all", "/proc"), ("/proc/self", "/proc/self")]
)
def test_knows_the_part_of_a_path_that_exists(path: str, existing: str) -> None:
    assert linux._existing_part(path) == existing


# The system


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('PRETTY_NAME="Debian GNU/Linux 12"\nVERSION_ID="12"\nID=debian\n', ("debian", "12")),
        ("ID=debian\n", ("debian", "")),
        ('NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n\n', ("ubuntu", "24.04")),
        ("", ("an unknown system", "")),
    ],
)
def test_reads_which_system_it_is(
    text: str, found: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "os-release").write_text(text)
    monkeypatch.setattr(
        linux, "Path", lambda path: tmp_path / "os-release" if path == "/etc/os-release" else Path(path)
    )
    host = linux.observe(fleet(), [])
    assert (host.os_id, host.os_version) == found


# What is missing


@pytest.mark.parametrize(
    ("programs", "answers", "missing"),
    [
        ({"docker", "dockerd", "iptables"}, False, []),
        ({"dockerd"}, True, [COMMAND, IPTABLES]),
        ({"dockerd", "iptables"}, True, [COMMAND]),
        ({"dockerd", "iptables"}, False, [COMMAND]),
        (set(), False, [ENGINE, COMMAND, IPTABLES]),
    ],
)
def test_finds_the_programs_that_a_minimal_system_lacks(
    programs: set[str], answers: bool, missing: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux.shutil, "which", lambda name: f"/bin/{name}" if name in programs else None)
    monkeypatch.setattr(linux, "_SBIN", ("/nowhere",))
    monkeypatch.setattr(linux, "APPARMOR_ENABLED", "/nowhere")
    monkeypatch.setattr(linux, "PYTHON", {})
    monkeypatch.setattr(linux, "bundle", lambda: "/etc/ssl/bundle.crt")
    assert list(linux._missing(answers)) == missing


@pytest.mark.parametrize(
    ("enabled", "policy", "parser", "missing"),
    [("Y\n", True, False, True), ("Y\n", True, True, False), ("N\n", True, False, False), ("Y\n", False, False, False)],
)
def test_a_kernel_with_apparmor_needs_its_parser(
    enabled: str, policy: bool, parser: bool, missing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "enabled").write_text(enabled)
    monkeypatch.setattr(linux, "APPARMOR_ENABLED", str(tmp_path / "enabled"))
    monkeypatch.setattr(linux, "APPARMOR_POLICY", str(tmp_path / ("" if policy else "none")))
    monkeypatch.setattr(linux, "_SBIN", ("/nowhere",))
    monkeypatch.setattr(linux.shutil, "which", lambda name: None if name == "apparmor_parser" and not parser else name)
    assert (APPARMOR in linux._missing(True)) == missing


def test_certificates_and_python_packages_may_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "bundle", lambda: None)
    monkeypatch.setattr(linux, "PYTHON", {"no_such_module": SDK, "also_no_such_module": VENV})
    found = list(linux._missing(True))
    assert (found[0], found[-2:]) == (CA_CERTIFICATES, [SDK, VENV])


# The site


@pytest.fixture
def etc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in place of those of certificates and of Docker's PID file."""
    monkeypatch.setattr(linux, "TRUST", {"debian": (str(tmp_path / "certificates"), "update-ca-certificates")})
    monkeypatch.setattr(linux, "DOCKER_PID", str(tmp_path / "docker.pid"))
    monkeypatch.setattr(linux, "bundle", lambda: str(tmp_path / "bundle.crt"))
    (tmp_path / "certificates").mkdir()
    (tmp_path / "bundle.crt").write_text("# comment\n" + CERTIFICATE.replace("\n", "\r\n"))
    return tmp_path


def test_finds_what_docker_and_the_host_have_of_the_proxy_and_the_certificates(docker: FakeDocker, etc: Path) -> None:
    docker.answers["/info"] = {
        "HttpsProxy": "http://xxxxx:xxxxx@proxy.example:3128",
        "NoProxy": "localhost,corp.example",
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=selinux"],
    }
    docker.answers["/networks"] = [
        {
            "Id": "0123456789abcdef",
            "Name": "llm-network",
            "IPAM": {"Config": [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}]},
        }
    ]
    (etc / "certificates/inference-fleet-old.crt").touch()
    (etc / "certificates/own.crt").touch()
    behind = fleet(
        proxy="http://me:hunter22@proxy.example:3128",
        ca_bundle=CERTIFICATE + CERTIFICATE.replace("c2l0ZQ", "b3RoZXI"),
        config_folder=str(etc / "folder"),
    )
    found = linux.observe(behind, []).site
    assert found.docker_proxy == ("http://proxy.example:3128", ("localhost", "corp.example"))
    (network,) = found.networks
    assert (network.name, list(map(str, network.subnets)), network.device, network.ours, found.selinux) == (
        *("llm-network", ["172.18.0.0/16"], "br-0123456789ab"),
        *(True, True),
    )
    assert (found.untrusted, found.proxy_written) == (1, False)
    assert found.files == found.leftover == (str(etc / "certificates/inference-fleet-old.crt"),)
    assert not found.outdated


def test_a_proxy_is_written_if_both_files_are_as_they_should_be(
    docker: FakeDocker, etc: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = property(lambda fleet: Paths(fleet.config_folder, docker_proxy=str(etc / "proxy.conf")))
    monkeypatch.setattr(Fleet, "paths", elsewhere)
    behind = fleet(proxy="http://proxy.example:3128", config_folder=str(etc / "folder"))
    (etc / "folder").mkdir()
    (etc / "proxy.conf").write_text(behind.paths.docker_proxy_unit)
    assert not linux.observe(behind, []).site.proxy_written
    Path(behind.paths.proxy_environment).write_text(behind.proxy.environment_file if behind.proxy else "")
    (etc / "docker.pid").touch()
    os.utime(etc / "docker.pid", (0, 0))
    site = linux.observe(behind, []).site
    assert (site.proxy_written, site.outdated, site.leftover) == (True, True, ())
    assert linux.observe(fleet(config_folder=str(etc / "folder")), []).site.leftover == (
        str(etc / "folder/proxy.env"),
        str(etc / "proxy.conf"),
    )


def test_weights_without_the_label_of_containers_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"a": b"system_u:object_r:container_file_t:s0", "b": b"unconfined_u:object_r:default_t:s0"}
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()

    def label(path: str, _name: str) -> bytes:
        if Path(path).name not in labels:
            raise OSError("no label")
        return labels[Path(path).name]

    monkeypatch.setattr(linux.os, "getxattr", label)
    entries = [entry(name=name, source=str(tmp_path / name)) for name in ("a", "b", "c")]
    assert list(linux._unlabelled(fleet(*entries))) == [str(tmp_path / "b")]


# Ports


@pytest.mark.usefixtures("no_docker")
def test_names_the_process_that_holds_a_port(listening: int) -> None:
    name = Path("/proc/self/comm").read_text().strip()
    assert linux.observe(fleet(), [listening]).ports == {listening: f"{name} (PID {os.getpid()})"}


@pytest.mark.usefixtures("no_docker")
def test_a_port_that_nobody_listens_on_is_free() -> None:
    port = free_port()
    assert linux.observe(fleet(), [port]).ports == {port: None}


def test_finds_who_listens_on_ipv6_alone() -> None:
    with socket.socket(socket.AF_INET6) as server:
        server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        try:
            server.bind(("::1", 0))
        except OSError as error:
            pytest.skip(f"this machine has no IPv6: {error}")
        server.listen()
        assert len(list(linux._listening_inodes(server.getsockname()[1]))) == 1


def test_a_socket_that_is_bound_and_does_not_listen_holds_no_port() -> None:
    with socket.socket() as client:
        client.bind(("127.0.0.1", 0))
        assert list(linux._listening_inodes(client.getsockname()[1])) == []


def test_says_so_where_the_process_cannot_be_seen(listening: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux, "_process_with_socket", lambda _inodes: None)
    assert linux._holder(listening, []) == "a process that is not visible from here"


@pytest.mark.parametrize(
    ("labels", "holder"),
    [
        (CADDY, None),
        ({"service": "caddy"}, "container web"),
        ({"managed-by": "inference.fleet", "service": "grafana"}, "container web"),
        ({}, "container web"),
        (None, "container web"),
    ],
)
def test_a_port_that_a_container_publishes_is_its_own_but_for_our_caddy(
    labels: dict[str, str] | None, holder: str | None
) -> None:
    assert linux._holder(443, [container("other", port=8443), container("web", port=443, labels=labels)]) == holder


def test_a_container_that_publishes_nothing_holds_no_port(listening: int) -> None:
    assert "container" not in (linux._holder(listening, [container("web"), {"Names": ["/bare"], "Ports": None}]) or "")


# Clock and names


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("service", "state", "holder"),
    [
        ("caddy", "restarting", None),
        ("caddy", "exited", "docker-proxy (PID 7)"),
        ("other", "restarting", "docker-proxy (PID 7)"),
    ],
)
def test_a_caddy_that_dies_again_and_again_has_its_ports_all_the_same(
    monkeypatch: pytest.MonkeyPatch, listening: int, service: str, state: str, holder: str | None
) -> None:
    monkeypatch.setattr(linux, "_process_with_socket", lambda _inodes: "docker-proxy (PID 7)")
    labels = {"managed-by": "inference.fleet", "service": service}
    assert linux._holder(listening, [{"Names": ["/caddy"], "Labels": labels, "State": state}]) == holder


def test_compares_its_clock_with_the_admins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux.time, "time", lambda: 1000.0)
    assert linux.observe(fleet(), [], now=940.5).clock_ahead == 59.5
    assert linux.observe(fleet(), []).clock_ahead is None


@pytest.mark.parametrize(("answer", "synchronised"), [(0, True), (2, True), (5, False), (-1, None)])
def test_asks_the_kernel_whether_its_clock_is_kept_right(
    answer: int, synchronised: bool | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux.ctypes, "CDLL", lambda *_arguments, **_options: Mock(adjtimex=lambda _timex: answer))
    assert linux._synchronised() is synchronised


def test_a_libc_without_adjtimex_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux.ctypes, "CDLL", lambda *_arguments, **_options: object())
    assert linux._synchronised() is None


def look_up(name: str, _port: None) -> list[Any]:
    """Instead of getaddrinfo(3)."""
    if name == "registry-1.docker.io":
        raise socket.gaierror("Name or service not known")
    if name == "slow.example.com":
        time.sleep(0.5)
    return []


def test_names_are_looked_up_only_where_all_is_asked_for(docker: FakeDocker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux.socket, "getaddrinfo", look_up)
    docker.answers["/images/json"] = [
        {"RepoTags": ["caddy:2.11.7"], "RepoDigests": None},
        {"RepoTags": None, "RepoDigests": ["litellm/litellm@sha256:0"]},
    ]
    assert linux.observe(fleet(entry()), []).names == ()
    assert linux.observe(fleet(entry()), [], thorough=True).names == (
        Name("registry-1.docker.io", "litellm/litellm:v1.106.2 and 2 more", False),
        Name("huggingface.co", "the weights of qwen3-8b", True),
    )


def test_a_name_server_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linux.socket, "getaddrinfo", look_up)
    monkeypatch.setattr(linux, "_LOOK_UP_SECONDS", 0.05)
    wanted = {"slow.example.com": "a", "huggingface.co": "b"}
    assert {one.name: one.resolves for one in linux._looked_up(wanted)} == {
        "slow.example.com": False,
        "huggingface.co": True,
    }


# GPUs


@pytest.mark.usefixtures("no_docker")
@pytest.mark.parametrize(
    ("one", "mig", "looked"),
    [
        ({"cpu": True}, {}, False),
        ({"gpus": 1}, {}, True),
        ({"mig": "1g.10gb"}, {}, True),
        ({"cpu": True}, "auto", True),
    ],
)
def test_gpus_are_looked_at_only_where_the_fleet_asks_for_some(
    one: dict[str, Any], mig: Any, looked: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linux, "observe_nvidia", lambda _docker, _containers, _images: Nvidia())
    host = linux.observe(fleet(entry(devices=one), mig=mig), [])
    assert (host.nvidia is not None) is looked

"""The module on a FAKE Docker, engines, Prometheus and a simulated nvidia-smi."""

from __future__ import annotations

import http.server
import io
import json
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch import host as host_module
from ansible_collections.inference.fleet.plugins.module_utils.watch import smi
from ansible_collections.inference.fleet.plugins.modules import host_state
from ansible_collections.inference.fleet.tests.unit.energy.lab import fault, machine_on_path
from ansible_collections.inference.fleet.tests.unit.running import Module
from ansible_collections.inference.fleet.tests.unit.watch.fake_docker import Docker, fake_docker, inspected

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


@pytest.fixture
def docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    monkeypatch.setattr(host_module, "RESTORE_RECORD", str(tmp_path / "restore.json"))
    monkeypatch.setattr(host_module, "LOCK", str(tmp_path / "lock"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # no nvidia-smi of this machine
    with fake_docker(tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def ask(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Any:
    run = Module(host_state.main, capsys)
    return lambda **arguments: run(config_folder=str(tmp_path / "etc"), **{"seconds": 0, **arguments})


def test_returns_at_once_what_there_is(docker: Docker, ask: Any) -> None:
    docker.has(inspected("vllm-chat-1", "chat", status="exited", exit_code=137), inspected("caddy", None))
    answer = ask()
    assert [(one["name"], one["exit_code"]) for one in answer["containers"]] == [("caddy", None), ("vllm-chat-1", 137)]
    assert (answer["figures"], answer["metrics"], answer["alerts"], answer["details"]) == ([], None, None, None)
    listed = next(path for path in docker.asked if path.startswith("/v1.44/containers/json"))
    assert "managed-by%3Dinference.fleet" in listed


def test_waits_until_something_happens(docker: Docker, ask: Any) -> None:
    docker.has(inspected())
    before = ask()
    began = time.monotonic()
    dies = threading.Timer(0.3, docker.has, [inspected(status="exited", exit_code=1)])
    dies.start()
    answer = ask(seconds=30, seen=before["digest"])
    assert 0.3 <= time.monotonic() - began < 5
    assert answer["containers"][0]["exit_code"] == 1
    assert answer["digest"] != before["digest"]


def test_an_event_without_a_difference_does_not_end_the_wait(docker: Docker, ask: Any) -> None:
    docker.has(inspected())
    before = ask()
    threading.Timer(0.1, docker.has, [inspected()]).start()
    began = time.monotonic()
    assert ask(seconds=0.6, seen=before["digest"])["digest"] == before["digest"]
    assert time.monotonic() - began >= 0.6


def test_what_happened_between_two_calls_is_no_wait(docker: Docker, ask: Any) -> None:
    docker.has(inspected())
    before = ask()
    docker.has(inspected(restarts=1, started_at="2026-11-24T04:00:00Z"))
    began = time.monotonic()
    assert ask(seconds=30, seen=before["digest"])["containers"][0]["restarts"] == 1
    assert time.monotonic() - began < 5


def test_a_drained_host(docker: Docker, ask: Any, tmp_path: Path) -> None:
    (tmp_path / "etc/caddy").mkdir(parents=True)
    before = ask()
    (tmp_path / "etc/caddy/drained").write_text("2026-11-24T12:00:00Z\n")
    answer = ask(seconds=30, seen=before["digest"])
    assert (before["drained_since"], answer["drained_since"]) == (None, "2026-11-24T12:00:00Z")


def test_the_end_of_a_run_is_seen_though_no_container_changed(docker: Docker, ask: Any, tmp_path: Path) -> None:
    docker.has(inspected())
    (tmp_path / "lock").write_text('{"run": "1"}')
    before = ask()
    (tmp_path / "lock").write_text("null")
    began = time.monotonic()
    assert ask(seconds=30, seen=before["digest"])["digest"] != before["digest"]
    assert time.monotonic() - began < 5


def test_docker_that_does_not_answer_is_a_fault(ask: Any) -> None:
    answer = ask()
    assert answer["failed"] and answer["msg"].startswith("Docker does not answer on ")


def test_docker_that_ends_is_a_fault(docker: Docker, ask: Any) -> None:
    before = ask()
    threading.Timer(0.2, docker.ended.set).start()
    assert ask(seconds=30, seen=before["digest"])["msg"] == "Docker has ended"


@pytest.mark.parametrize("seconds", [-1, 61])
def test_the_wait_is_bounded(seconds: float, ask: Any) -> None:
    assert ask(seconds=seconds)["msg"] == f"seconds: expected a number from 0 to 60, got {float(seconds)}"


class Web(http.server.ThreadingHTTPServer):
    """An engine or Prometheus at an address of the loopback network. answers: path -> body."""

    daemon_threads = True
    answers: dict[str, bytes]


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Web

    def do_GET(self) -> None:
        body = self.server.answers.get(self.path.partition("?")[0])
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_given: Any) -> None:
        pass


@contextmanager
def web(address: str, port: int, **answers: Any) -> Iterator[int]:
    with Web((address, port), _Handler) as server:
        server.answers = {f"/{path}": value for path, value in answers.items()}
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()


@contextmanager
def hanging(address: str, port: int) -> Iterator[None]:
    with socket.create_server((address, port)):
        yield


def test_a_hanging_engine_delays_no_other(docker: Docker, ask: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = host_module.is_healthy
    with web("127.0.0.1", 0, health=b"") as port, hanging("127.0.0.2", port):
        monkeypatch.setattr(host_module, "is_healthy", lambda address, seconds: asked(address, port, seconds))
        docker.has(
            inspected("well", "a", address="127.0.0.1"),
            *(inspected(f"hangs-{number}", "b", address="127.0.0.2") for number in range(20)),
            inspected("closed", "c", address="127.0.0.3"),
            inspected("without-an-address", "d"),
        )
        began = time.monotonic()
        ready = {one["name"]: one["ready"] for one in ask()["containers"]}
        assert time.monotonic() - began < host_module.READY_S + 1.5
    assert ready.pop("well") is True
    assert set(ready.values()) == {False}


def test_a_replica_that_begins_to_answer_ends_the_wait(
    docker: Docker, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = iter([False, False, True])
    monkeypatch.setattr(host_module, "is_healthy", lambda _address, seconds: next(answers))
    monkeypatch.setattr(host_module, "AGAIN_S", 0.05)
    docker.has(inspected(address="10.0.0.2"))
    before = ask()
    answer = ask(seconds=30, seen=before["digest"])
    assert (before["containers"][0]["ready"], answer["containers"][0]["ready"]) == (False, True)


VECTOR = {"data": {"resultType": "vector", "result": [{"metric": {"model": "a"}, "value": [1, "2.5"]}]}}
ALERTS = {"data": {"alerts": [{"state": "firing", "labels": {"alertname": "X", "severity": "warning"}}]}}


def prometheus(**answers: Any) -> Any:
    with web("127.0.0.1", 0, **{path: json.dumps(data).encode() for path, data in answers.items()}) as port:
        return host_module.ask_prometheus("127.0.0.1", port)


def test_prometheus_is_asked_for_rates_and_alerts() -> None:
    found = prometheus(**{"api/v1/query": VECTOR, "api/v1/alerts": ALERTS})
    assert found["metrics"] == {"requests": {"a": 2.5}, "tokens": {"a": 2.5}}
    assert [one["name"] for one in found["alerts"]] == ["X"]


def test_what_prometheus_does_not_answer_is_null(monkeypatch: pytest.MonkeyPatch) -> None:
    none = {"metrics": None, "alerts": None}
    assert prometheus() == none
    assert prometheus(**{"api/v1/query": {"status": "error"}, "api/v1/alerts": {}}) == none
    assert host_module.ask_prometheus("127.0.0.1", 1) == none
    monkeypatch.setattr(host_module, "_MOST_ANSWER", 50)
    assert prometheus(**{"api/v1/query": VECTOR, "api/v1/alerts": ALERTS}) == none
    monkeypatch.setattr(host_module, "PROMETHEUS_S", 0.2)
    with hanging("127.0.0.4", 9090):
        began = time.monotonic()
        assert host_module.ask_prometheus("127.0.0.4") == none
        assert time.monotonic() - began < 2


def test_what_keys_used_is_known_where_prometheus_is() -> None:
    keys = [{"alias": "app", "spend": 1.5}, {"alias": "idle", "spend": 0.0}]
    data = {"resultType": "vector", "result": [{"metric": {"api_key_alias": "app"}, "value": [0, "12"]}]}
    with web("127.0.0.1", 0, **{"api/v1/query": json.dumps({"data": data}).encode()}) as port:
        uses = host_module.ask_uses("127.0.0.1", port)
    assert host_module.with_uses(keys, uses) == [
        {"alias": "app", "spend": 1.5, "requests": 12.0, "tokens": 12.0},
        {"alias": "idle", "spend": 0.0, "requests": 0.0, "tokens": 0.0},
    ]
    unknown = host_module.with_uses(keys, host_module.ask_uses("127.0.0.1", 1))
    assert unknown == [{**one, "requests": None, "tokens": None} for one in keys]
    assert host_module.with_uses(None, uses) is None


def test_the_service_prometheus_is_the_one_that_is_asked(
    docker: Docker, ask: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    none = {"metrics": {"requests": {}, "tokens": {}}, "alerts": []}
    monkeypatch.setattr(host_module, "ask_prometheus", lambda address: asked.append(address) or none)
    other = inspected("other", "chat", labels={"managed-by": "inference.fleet", "model-name": "prometheus"})
    docker.has(other, inspected("prometheus", None, address="10.0.0.9"))
    assert ask()["alerts"] == []
    docker.has(inspected("prometheus", None, address="10.0.0.9", status="exited"))
    assert ask()["alerts"] is None
    assert asked == ["10.0.0.9"]


def archive(content: bytes, **member: Any) -> bytes:
    info = tarfile.TarInfo("root.crt")
    info.size = len(content)
    for name, value in member.items():
        setattr(info, name, value)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as files:
        files.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def test_the_details_of_a_host_without_gpus(docker: Docker, ask: Any, tmp_path: Path) -> None:
    record = {"began": 1795490400.0, "by": "x", "ended": 1795490448.1, "steps": []}
    (tmp_path / "restore.json").write_text(json.dumps(record))
    docker.root_certificate = archive(PEM.encode())
    details = ask(details=True, cache=str(tmp_path / "not/yet"))["details"]
    assert (details["gpus"], details["gpu_note"]) == ([], "")
    assert details["root_certificate"] == PEM
    assert details["last_restore"]["record"]["began"] == 1795490400.0
    assert 0 < details["disk"]["free_bytes"] < details["disk"]["total_bytes"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"x" * 2000,
        archive(b"", type=tarfile.SYMTYPE, linkname="/etc/shadow"),
        archive(b"\xff\x00" * 100),
        archive(PEM.encode())[:530],
    ],
)
def test_whatever_caddy_has_in_place_of_its_certificate_is_none(content: bytes, docker: Docker, ask: Any) -> None:
    docker.root_certificate = content
    assert ask(details=True)["details"]["root_certificate"] is None


def test_gpus_with_their_figures_and_holders(
    docker: Docker, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = machine_on_path(tmp_path, monkeypatch)
    docker.has(inspected("vllm-chat-1", "chat", devices=["1"]), inspected("foreign", None, labels={}, devices=["all"]))
    answer = ask(details=True)
    assert [one["containers"] for one in answer["details"]["gpus"]] == [["foreign"], ["foreign", "vllm-chat-1"]]
    assert answer["details"]["devices"]["1"] == "GPU 1"
    assert [one["memory_mib"] for one in answer["figures"]] == [40960, 46068]
    machine.mig()
    again = ask(details=True)["details"]["gpus"][0]
    assert again["mig"] is True and again["profiles"]
    fault(machine, driver="not loaded")
    answer = ask(details=True, figures=True)
    assert "couldn't communicate with the NVIDIA driver" in answer["details"]["gpu_note"]
    assert answer["figures"] == [] and "couldn't communicate" in answer["gpu_note"]


def test_a_driver_that_hangs_delays_by_seconds(
    docker: Docker, ask: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvidia-smi").write_text("#!/bin/sh\nexec /bin/sleep 60\n")
    (tmp_path / "bin/nvidia-smi").chmod(0o755)
    monkeypatch.setattr(smi, "FIGURES_S", 1)
    monkeypatch.setattr(smi, "LAYOUT_S", 1)
    began = time.monotonic()
    answer = ask(details=True, figures=True)
    assert time.monotonic() - began < 5
    assert "no answer after 1 s; the driver hangs" in answer["gpu_note"]
    assert "no answer after 1 s; the driver hangs" in answer["details"]["gpu_note"]
    assert answer["details"]["gpus"] == []

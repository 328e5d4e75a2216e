"""A host's folder with a simulated nvidia-smi as a program, and a fake Docker with given answers."""

from __future__ import annotations

import json
import os
import socketserver
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system import docker_api

NVIDIA = Path(__file__).resolve().parents[2] / "lab" / "nvidia"
sys.path.insert(0, str(NVIDIA))

from simulated_nvidia.machine import Machine  # noqa: E402  # found by the path above


def machine_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **hardware: Any) -> Machine:
    machine = Machine(tmp_path, **{"driver": "550.90.07", "gpus": ["A100-SXM4-40GB", "L40S"], **hardware})
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/nvidia-smi").symlink_to(NVIDIA / "nvidia-smi")
    for name, value in {**machine.environment, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    machine.ok("-L")
    return machine


def fault(machine: Machine, **faults: Any) -> None:
    """Replaces earlier faults, which would affect `Machine.fault` itself."""
    (machine.state / "faults.json").write_text(json.dumps(faults))


class Engine(socketserver.ThreadingUnixStreamServer):
    """containers: the `docker inspect` output of each. went: set to end the stream of events."""

    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.containers: list[dict[str, Any]] = []
        self.went = threading.Event()
        self.followers: list[Any] = []
        super().__init__(path, _Request)

    def has(self, *models: tuple[str, str]) -> None:
        """Sets (model, device) of each running container, and sends an event to the followers."""
        self.containers = [
            {
                "Id": f"{number:064x}",
                "Name": f"/vllm-{model}-1",
                "State": {"Running": True, "StartedAt": "2026-11-24T03:12:40.1Z"},
                "Config": {"Image": "vllm", "Labels": {"managed-by": "inference.fleet", "model-name": model}},
                "HostConfig": {"DeviceRequests": [{"DeviceIDs": [device]}]},
            }
            for number, (model, device) in enumerate(models)
        ]
        for follower in self.followers:
            follower.write(b'{"status": "start"}\n')
            follower.flush()


class _Request(socketserver.StreamRequestHandler):
    server: Engine

    def handle(self) -> None:
        path = self.rfile.readline().split()[1].decode()
        if path == "/version":
            self.wfile.write(b'HTTP/1.0 200 OK\r\n\r\n{"ApiVersion": "1.52", "MinAPIVersion": "1.44"}')
            return
        assert path.startswith("/v1.44/"), path
        path = path.removeprefix("/v1.44")
        if path.startswith("/events"):
            self.wfile.write(b"HTTP/1.0 200 OK\r\n\r\n")
            self.wfile.flush()
            self.server.followers.append(self.wfile)
            self.server.went.wait()
            self.server.followers.remove(self.wfile)
            return
        found = [one for one in self.server.containers if one["Id"] in path]
        body = json.dumps(found[0] if found else self.server.containers).encode()
        self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@contextmanager
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(docker_api, "SOCKET", path)
    Path(path).unlink(missing_ok=True)
    with Engine(path) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.went.set()
            server.shutdown()
            Path(path).unlink()

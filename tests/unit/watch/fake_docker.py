"""A FAKE Docker on a socket: containers with given answers, and a stream of events."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system import docker_api


def inspected(name: str = "vllm-chat-1", model: str | None = "chat", **changes: Any) -> dict[str, Any]:
    """As Docker reports a container. changes: status, health, exit_code, restarts, devices, address, labels."""
    ours = {"model-name": model, "model-type": "chat"} if model else {"service": name}
    labels = changes.get("labels", {"managed-by": "inference.fleet", **ours})
    status = changes.get("status", "running")
    return {
        "Id": changes.get("id", f"{abs(hash(name)):064x}"[:64]),
        "Name": f"/{name}",
        "Image": "sha256:00",
        "RestartCount": changes.get("restarts", 0),
        "State": {
            "Status": status,
            "Running": status == "running",
            "ExitCode": changes.get("exit_code", 0),
            "StartedAt": changes.get("started_at", "2026-11-24T03:12:40.1Z"),
            "FinishedAt": changes.get("ended_at", "0001-01-01T00:00:00Z"),
            **({"Health": {"Status": changes["health"]}} if "health" in changes else {}),
        },
        "Config": {"Image": "vllm:1", "Labels": labels},
        "HostConfig": {"DeviceRequests": [{"DeviceIDs": changes["devices"]}] if changes.get("devices") else None},
        "NetworkSettings": {"Networks": {"one": {"IPAddress": changes.get("address", "")}}},
    }


class Docker(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True

    def __init__(self, path: str) -> None:
        self.containers: list[dict[str, Any]] = []
        self.root_certificate = b""  # a tar archive
        self.asked: list[str] = []
        self.followers: list[Any] = []
        self.ended = threading.Event()
        super().__init__(path, _Request)

    def has(self, *containers: dict[str, Any]) -> None:
        """Sets what there is, and sends an event."""
        self.containers = list(containers)
        for follower in list(self.followers):
            with suppress(OSError):
                follower.write(b'{"status": "start"}\n')
                follower.flush()


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Docker

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        path = self.path.removeprefix("/v1.44")
        if path == "/version":
            self._say({"ApiVersion": "1.52", "MinAPIVersion": "1.44"})
        elif path.startswith("/events"):
            self.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
            self.wfile.flush()
            self.server.followers.append(self.wfile)
            self.server.ended.wait()
            self.close_connection = True
        elif path == "/info":
            self._say({"DockerRootDir": "/"})
        elif path.startswith("/containers/json"):
            self._say([{"Id": one["Id"]} for one in self.server.containers])
        elif "/archive" in path:
            self._send(200 if self.server.root_certificate else 404, self.server.root_certificate)
        else:
            found = [one for one in self.server.containers if f"/{one['Id']}/" in path]
            self._say(found[0]) if found else self._send(404, b"{}")

    def _say(self, data: Any) -> None:
        self._send(200, json.dumps(data).encode())

    def _send(self, status: int, body: bytes) -> None:
        self.wfile.write(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body))


@contextmanager
def fake_docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    path = str(tmp_path / "docker.sock")
    monkeypatch.setattr(docker_api, "SOCKET", path)
    with Docker(path) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()

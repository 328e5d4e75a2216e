"""The same change as a user makes it by hand: two services behind a Caddy, and `docker compose up -d`."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import traces
from install import IMAGES
from lab_host import LabHost
from playbook import BenchError

PORT = 8080
FOLDER = "/srv/by-hand"
PLUGIN = "usr/libexec/docker/cli-plugins/docker-compose"
CADDYFILE = f"""
:{PORT} {{
	reverse_proxy pair-1:8000 pair-2:8000 {{
		lb_try_duration 10s
	}}
}}
"""
READY_SECONDS = 60


class ByHand:
    """The services, once they answer. env: of the engines."""

    def __init__(self, host: LabHost, env: Mapping[str, Any]) -> None:
        self._host = host
        self.url = f"http://{host.address}:{PORT}"
        self.version = _install_compose(host)
        engine = {
            "image": traces.ENGINE,
            "command": ["example/pair", "--served-model-name", "pair", "--max-model-len", "${LENGTH}"],
            "environment": dict(env),
            "restart": "unless-stopped",
        }
        caddy = {
            "image": IMAGES["caddy"],
            "ports": [f"{PORT}:{PORT}"],
            "volumes": ["./Caddyfile:/etc/caddy/Caddyfile:ro"],
        }
        services = {"pair-1": engine, "pair-2": engine, "caddy": caddy}
        host.run("mkdir", FOLDER)
        host.run("tee", f"{FOLDER}/Caddyfile", stdin=CADDYFILE)
        host.run("tee", f"{FOLDER}/compose.yaml", stdin=json.dumps({"services": services}))
        self._up(1024)
        self._wait()

    def change(self) -> list[str]:
        """An argument of both engines. Returns nothing that Compose said."""
        self._up(2048)
        self._wait()
        return []

    def _up(self, length: int) -> None:
        compose = ["docker", "compose", "--project-directory", FOLDER, "up", "--detach"]
        self._host.run("env", f"LENGTH={length}", *compose)

    def _wait(self) -> None:
        """Until both answer."""
        deadline = time.monotonic() + READY_SECONDS
        for service in ("pair-1", "pair-2"):
            address = self._host.run(
                *("docker", "inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"),
                f"by-hand-{service}-1",
            ).strip()
            while not self._answers(address):
                if time.monotonic() > deadline:
                    raise BenchError(f"{service} does not answer after {READY_SECONDS} s")
                time.sleep(0.2)

    def _answers(self, address: str) -> bool:
        try:
            self._host.run("curl", "--silent", "--fail", f"http://{address}:8000/health")
        except BenchError:
            return False
        return True


def _install_compose(host: LabHost) -> str:
    """Debian's package of the host's release, whose program needs nothing else; downloaded by this machine's apt.

    Returns its version."""
    folder = host.folder / "apt"
    for name in ("lists/partial", "cache/archives/partial"):
        Path(folder, name).mkdir(parents=True)
    sources = host.run("cat", "/etc/apt/sources.list").splitlines(keepends=True)
    Path(folder, "sources.list").write_text("".join(line for line in sources if line.split()[2:3] == ["trixie"]))
    options = {
        "Dir::Etc::SourceList": f"{folder}/sources.list",
        "Dir::Etc::SourceParts": "/dev/null",
        "Dir::State::Lists": f"{folder}/lists",
        "Dir::Cache": f"{folder}/cache",
        "APT::Sandbox::User": "root",
    }
    apt = ["apt-get", "-qq", *(word for name, value in options.items() for word in ("-o", f"{name}={value}"))]
    for command in ([*apt, "update"], [*apt, "download", "docker-compose"]):
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if ended.returncode:
            raise BenchError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr}")
    (package,) = folder.glob("docker-compose_*.deb")
    subprocess.run(["dpkg-deb", "--extract", str(package), str(folder / "root")], check=True)
    host.run("mkdir", "--parents", f"/{Path(PLUGIN).parent}")
    host.copy(folder / "root" / PLUGIN, f"/{PLUGIN}")
    return host.run("docker", "compose", "version", "--short").strip()

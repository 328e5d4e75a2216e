"""The data path as the roles create it, in its own network: engines, PostgreSQL, LiteLLM and Caddy.

Containers named bench-*, with the names of the fleet as aliases; configurations rendered from the
roles' templates. Nothing is reachable from outside, and everything is removed when the block ends.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import shutil
import ssl
import tarfile
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import traces
import yaml
from docker import DockerClient
from docker.errors import NotFound
from docker.models.containers import Container
from docker.types import Mount
from playbook import BenchError, Playbooks

NETWORK = "bench-net"
PREFIX = "bench-"
HOST = "localhost"
LITELLM, POSTGRES, CADDY = (
    "inference-fleet/litellm:1.106.2",
    "inference-fleet/postgres:15",
    "inference-fleet/caddy:2.11.7",
)
ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"
PATIENCE_S = 300
LITELLM_PORT, ENGINE_PORT = 4000, 8000


@dataclass(frozen=True)
class Engine:
    """One model container: the model's name, and its `docker run` options."""

    model: str
    image: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def container(self) -> str:
        return f"vllm-{self.model}-1"


VLLM = Engine(
    "tiny-chat",
    "inference-fleet/vllm-cpu:0.32.0",
    ("/models/tiny-chat", "--served-model-name", "tiny-chat", "--max-model-len", "512", "--enforce-eager"),
    {"HF_HUB_OFFLINE": "1", "VLLM_CPU_KVCACHE_SPACE": "1"},
)
STAND_IN = Engine("made-up", traces.ENGINE, ("example/made-up", "--served-model-name", "made-up"))


@dataclass(frozen=True)
class Gateway:
    """How a LiteLLM is run: what differs from the role's arguments, environment and configuration.

    An empty variable and a setting of None are left out. api_base: of the models, in place of Caddy's inner listener.
    """

    arguments: tuple[str, ...] = ("--num_workers", "1")
    environment: Mapping[str, str] = field(default_factory=dict)
    config: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    model_info: Mapping[str, Any] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()
    api_base: str = ""


class Stack:
    """Everything that runs. `keys`: secrets of this run, stored only in its folder."""

    def __init__(self, docker: DockerClient, folder: Path, engines: tuple[Engine, ...]) -> None:
        self._docker, self._folder, self.engines = docker, folder, engines
        self.master_key = f"sk-{secrets.token_urlsafe(24)}"
        self.direct_key = secrets.token_urlsafe(24)
        self._password = secrets.token_hex(16)
        self._salt = f"sk-{secrets.token_urlsafe(24)}"
        Playbooks(folder, self._variables()).run("data_path")

    def _variables(self) -> dict[str, Any]:
        common = {"type": "chat", "devices": {"cpu": True}, "direct": True}
        return {
            "fleet_schema": 1,
            "fleet_models": [{"name": one.model, "source": f"example/{one.model}", **common} for one in self.engines],
            "fleet_https": {"mode": "internal", "names": [HOST]},
            "bench_folder": str(self._folder),
            "bench_secrets": {
                "master_key": self.master_key,
                "salt_key": self._salt,
                "open_key": f"sk-{secrets.token_urlsafe(24)}",
                "direct-bench": self.direct_key,
            },
        }

    def run_engines(self) -> None:
        for engine in self.engines:
            names = (f"{engine.model}.model",)
            self._run(
                engine.container, engine.image, list(engine.command), dict(engine.environment), names, shm_size="1g"
            )
        for engine in self.engines:
            self._until(f"http://{self.address(engine.container)}:{ENGINE_PORT}/health", engine.container)

    def run_postgres(self) -> None:
        environment = {
            "PGDATA": "/var/lib/postgresql/data",
            "POSTGRES_USER": "litellm",
            "POSTGRES_DB": "litellm",
            "POSTGRES_PASSWORD": self._password,
        }
        self._run("postgres", POSTGRES, [], environment)

    def run_litellm(self, name: str = "litellm", gateway: Gateway | None = None) -> None:
        gateway = gateway or Gateway()
        folder = self._folder / name
        if folder != self._folder / "litellm":
            shutil.copytree(self._folder / "litellm", folder, dirs_exist_ok=True)
        config = yaml.safe_load((folder / "config.yaml").read_text())
        for section, settings in gateway.config.items():
            merged = {**config.get(section, {}), **settings}
            config[section] = {key: value for key, value in merged.items() if value is not None}
        for model in config["model_list"]:
            model["model_info"].update(gateway.model_info)
            if gateway.api_base:
                model["litellm_params"]["api_base"] = gateway.api_base
        (folder / "changed.yaml").write_text(yaml.safe_dump(config))
        command = ["--config", "/etc/litellm/changed.yaml", "--port", str(LITELLM_PORT), *gateway.arguments]
        environment = {
            "DATABASE_URL": f"postgresql://litellm:{self._password}@postgres:5432/litellm",
            "LITELLM_MASTER_KEY": self.master_key,
            "LITELLM_SALT_KEY": self._salt,
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "ENFORCE_PRISMA_MIGRATION_CHECK": "true",
            **gateway.environment,
        }
        mounts = [Mount("/etc/litellm", str(folder), type="bind", read_only=True), *gateway.mounts]
        self._run(name, LITELLM, command, {key: value for key, value in environment.items() if value}, mounts=mounts)
        wanted = '"connected"' if environment["DATABASE_URL"] else ""
        self._until(f"http://{self.address(name)}:{LITELLM_PORT}/health/readiness", name, wanted)

    def run_caddy(self, name: str = "caddy", change: Callable[[str], str] = str) -> None:
        """change: turns the role's Caddyfile into another one."""
        original, folder = self._folder / "caddy", self._folder / name
        if folder != original:
            shutil.copytree(original, folder, dirs_exist_ok=True)
        # Here all containers are in one network.
        text = re.sub(r"\bcaddy\.[a-z]+-[a-z]+", f"{name}.{NETWORK}", (original / "Caddyfile").read_text())
        (folder / "Changed").write_text(change(text))
        command = ["caddy", "run", "--config", "/etc/caddy/Changed", "--adapter", "caddyfile"]
        self._run(name, CADDY, command, {}, mounts=[Mount("/etc/caddy", str(folder), type="bind", read_only=True)])

    def trust(self, name: str) -> ssl.SSLContext:
        """Caddy's own root certificate, once it exists; clients trust it."""
        deadline = time.monotonic() + PATIENCE_S
        container = self.container(name)
        while True:
            try:
                chunks, _stat = container.get_archive(ROOT_CERTIFICATE)
                with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as archive:
                    member = archive.extractfile(Path(ROOT_CERTIFICATE).name)
                    assert member
                    return ssl.create_default_context(cadata=member.read().decode())
            except NotFound:
                self._still_runs(name, deadline)

    def virtual_key(self, gateway: str = "litellm") -> str:
        return str(self._manage(gateway, "/key/generate", {"key_alias": f"bench-{secrets.token_hex(4)}"})["key"])

    def _manage(self, gateway: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://{self.address(gateway)}:{LITELLM_PORT}{path}",
            json.dumps(body).encode() if body else None,
            {"Authorization": f"Bearer {self.master_key}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return dict(json.load(answer))

    def container(self, name: str) -> Container:
        return self._docker.containers.get(PREFIX + name)

    def address(self, name: str) -> str:
        return str(self.container(name).attrs["NetworkSettings"]["Networks"][NETWORK]["IPAddress"])

    def processor_seconds(self, name: str) -> float:
        """Processor time used so far by the container's present processes, to the clock tick (10 ms).

        From /proc: Docker has no figures without access to cgroups.
        """
        titles, processes = (self._docker.api.top(PREFIX + name)[part] for part in ("Titles", "Processes"))
        return sum(_processor_seconds(process[titles.index("PID")]) for process in processes)

    def remove(self, name: str) -> None:
        self.container(name).remove(force=True, v=True)

    def _run(
        self,
        name: str,
        image: str,
        command: list[str] | None,
        environment: dict[str, str],
        aliases: tuple[str, ...] = (),
        **more: Any,
    ) -> None:
        self._docker.containers.create(
            image,
            command,
            name=PREFIX + name,
            environment=environment,
            network=NETWORK,
            networking_config={NETWORK: self._docker.api.create_endpoint_config(aliases=[name, *aliases])},
            **more,
        ).start()

    def _until(self, url: str, name: str, wanted: str = "") -> None:
        """Wait until the URL is answered with 200, and with this in it."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    if wanted in answer.read().decode():
                        return
            except (OSError, urllib.error.URLError):
                pass
            self._still_runs(name, deadline)

    def _still_runs(self, name: str, deadline: float) -> None:
        """Before the next look; raises where looking again will not help."""
        container = self.container(name)
        if container.status != "running" or time.monotonic() > deadline:
            raise BenchError(f"{name} does not get ready: {container.logs(tail=20).decode(errors='replace')}")
        time.sleep(0.2)


def _processor_seconds(pid: str) -> float:
    """proc(5), /proc/pid/stat: utime and stime, which threads that are gone are part of."""
    with suppress(FileNotFoundError, ProcessLookupError):
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(after_name[11]) + int(after_name[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


@contextmanager
def stack(docker: DockerClient, engines: tuple[Engine, ...], say: Callable[[str], None]) -> Iterator[Stack]:
    """PostgreSQL, and the engines once they answer."""
    traces.need_images(docker, LITELLM, POSTGRES, CADDY, *{engine.image for engine in engines})
    left = docker.containers.list(all=True, filters={"name": f"^/{PREFIX}"}, ignore_removed=True)
    traces.refuse([str(one.name) for one in left], "an earlier run of the bench left containers")
    made = [] if docker.networks.list(names=[f"^{NETWORK}$"]) else [docker.networks.create(NETWORK)]
    try:
        with tempfile.TemporaryDirectory() as folder:
            running = Stack(docker, Path(folder), engines)
            say(f"starting PostgreSQL and {', '.join(engine.image for engine in engines)}")
            running.run_postgres()
            running.run_engines()
            yield running
    finally:
        for container in docker.containers.list(all=True, filters={"name": f"^/{PREFIX}"}, ignore_removed=True):
            container.remove(force=True, v=True)
        for network in made:
            network.remove()

"""What the verify tests of every molecule scenario share: a client that uses Caddy, and an admin."""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from testinfra.host import Host

SECRETS = "/etc/inference-fleet/secrets"
ROOT_CERTIFICATE = "/data/caddy/pki/authorities/local/root.crt"
REQUEST_SECONDS = 120
PATIENCE_S = 90
INVENTORY = Path(os.environ["MOLECULE_INVENTORY_FILE"])
EXTENDED = os.environ.get("EXTENDED") == "yes"
"""Set by ./run-tests extended: only files run that have tests marked `extended` or `fault`, or all where none has."""


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "extended: takes too long for every run; part of ./run-tests extended")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    # Whole files, since the tests of a file build on each other.
    further = {item.path for item in items if any(map(item.get_closest_marker, ("extended", "fault")))}
    left_out = [
        item
        for item in items
        if (further and item.path not in further if EXTENDED else item.get_closest_marker("extended"))
    ]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


class Door:
    """A client of one host: HTTPS to its address, with certificate check and a key."""

    def __init__(self, host: Host, folder: Path) -> None:
        self.name = host.backend.host
        variables = host.ansible.get_variables()
        self.address = variables["ansible_host"]
        self.url = f"https://{self.address}"
        self.models = variables["fleet_models"]
        self.certificate = certificate = folder / f"{self.name}.crt"
        certificate.write_text(host.check_output(f"docker exec caddy cat {ROOT_CERTIFICATE}"))
        self.key = host.check_output(f"cat {SECRETS}/master_key")
        self.trust = ssl.create_default_context(cafile=str(certificate))
        self._session = requests.Session()
        self._session.trust_env = False  # REQUESTS_CA_BUNDLE would win over the certificate
        self._session.verify = str(certificate)

    def request(
        self, method: str, path: str, key: str | None = None, more: Mapping[str, str] | None = None, **options: Any
    ) -> requests.Response:
        """more: further headers."""
        headers = {"Authorization": f"Bearer {self.key if key is None else key}", **(more or {})}
        return self._session.request(
            method, self.url + path, headers=headers, timeout=REQUEST_SECONDS, allow_redirects=False, **options
        )

    def plain(self, path: str) -> requests.Response:
        """The same host without TLS."""
        return self._session.get(f"http://{self.address}{path}", timeout=REQUEST_SECONDS, allow_redirects=False)

    def raw(self) -> http.client.HTTPSConnection:
        """A connection for bytes that no client library would send."""
        return http.client.HTTPSConnection(self.address, context=self.trust, timeout=REQUEST_SECONDS)

    def chat(self, model: str, key: str | None = None, **options: Any) -> requests.Response:
        body = {"model": model, "max_tokens": 12, "messages": [{"role": "user", "content": "Say something."}]}
        return self.request("POST", "/v1/chat/completions", key=key, json={**body, **options})

    def stream(self, model: str) -> Iterator[tuple[float, str]]:
        """Each event's data, with the time it came (seconds, of time.monotonic)."""
        body = {"model": model, "stream": True, "max_tokens": 12, "messages": [{"role": "user", "content": "Hi"}]}
        with self.request("POST", "/v1/chat/completions", json=body, stream=True) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines(chunk_size=1):
                if line.startswith(b"data: "):
                    yield time.monotonic(), line.removeprefix(b"data: ").decode()


@dataclass(frozen=True)
class Run:
    """An ended ansible-playbook. stats: host -> ok, changed, failures, unreachable, …"""

    status: int
    stats: Mapping[str, Mapping[str, int]]
    messages: str
    output: str

    def changed(self) -> dict[str, int]:
        return {host: counts["changed"] for host, counts in self.stats.items()}


class Admin:
    """Runs playbooks against the scenario's hosts, as from a terminal."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def command(self, playbook: str, *arguments: str, variables: Mapping[str, Any] | None = None) -> list[str]:
        command = ["ansible-playbook", "--inventory", str(INVENTORY), f"inference.fleet.{playbook}", *arguments]
        if variables:
            file = self._folder / f"{playbook}.json"
            file.write_text(json.dumps(variables))
            command += ["--extra-vars", f"@{file}"]
        return command

    def play(
        self,
        playbook: str,
        *arguments: str,
        variables: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> Run:
        environment = {**os.environ, "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json", **(environment or {})}
        ended = subprocess.run(
            self.command(playbook, *arguments, variables=variables), env=environment, capture_output=True, text=True
        )
        output = ended.stdout + ended.stderr
        assert "{" in ended.stdout, output
        reported, _end = json.JSONDecoder().raw_decode(ended.stdout, ended.stdout.index('{\n    "'))
        results = [result for play in reported["plays"] for task in play["tasks"] for result in task["hosts"].values()]
        return Run(
            ended.returncode, reported["stats"], "\n".join(str(one["msg"]) for one in results if one.get("msg")), output
        )


def wait_until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"gave up waiting until {what}"
        time.sleep(0.2)


@pytest.fixture(scope="session")
def admin(tmp_path_factory: pytest.TempPathFactory) -> Admin:
    return Admin(tmp_path_factory.mktemp("admin"))


@pytest.fixture(scope="module")
def door(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Door:
    return Door(host, tmp_path_factory.mktemp("door"))


def inspect(host: Host, *containers: str) -> dict[str, Any]:
    """Name -> the container's `docker inspect` output; without names, of all containers."""
    names = containers or host.check_output("docker ps --all --format '{{.Names}}'").split()
    return {one["Name"].lstrip("/"): one for one in json.loads(host.check_output(f"docker inspect {' '.join(names)}"))}


def address(host: Host, container: str, network: str) -> str:
    """The container's address in a Docker network."""
    return str(inspect(host, container)[container]["NetworkSettings"]["Networks"][network]["IPAddress"])


def identities(host: Host) -> dict[str, tuple[str, str]]:
    """A container's ID and start time, which show whether it was recreated or restarted."""
    return {name: (one["Id"], one["State"]["StartedAt"]) for name, one in inspect(host).items()}


def requests_seen(host: Host, model: str, replica: int = 1) -> list[dict[str, Any]]:
    """The log lines of the engine stand-in, one per request, in order."""
    log = host.check_output(f"docker logs vllm-{model}-{replica} 2>&1")
    return [json.loads(line) for line in log.splitlines() if line.startswith("{")]

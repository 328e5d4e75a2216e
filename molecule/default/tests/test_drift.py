"""drift: what somebody changed by hand is reported, and nothing is changed by the report."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.fixtures import SECRETS, Admin, Door, Run, address, identities, inspect
from testinfra.host import Host

testinfra_hosts = ["ansible://light"]
FOLDERS = "/etc/inference-fleet /var/lib/inference-fleet /opt/inference-fleet /run/inference-fleet /etc/systemd/system"
CADDYFILE = "/etc/inference-fleet/caddy/Caddyfile"
CADDY = "inference-fleet/caddy:2.11.7"
OTHER = "inference-fleet/engine-stand-in:1"


def drift(admin: Admin, folder: Path, *arguments: str) -> tuple[Run, dict[str, Any]]:
    """The run, and its document."""
    run = admin.play("drift", "-e", f"dest={folder}/drift.json", *arguments)
    assert (folder / "drift.json").exists(), run.output
    return run, json.loads((folder / "drift.json").read_text())


def state(host: Host) -> tuple[Any, ...]:
    """All that a run could change: containers, images, networks, volumes, rules, and files with their times."""
    parts = ["docker images --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}'", "docker network ls --no-trunc"]
    parts += ["docker volume ls", "iptables -t mangle -S"]
    files = f"find {FOLDERS} -path '*/energy/*' -prune -o -printf '%p %T@ %C@ %s %m\\n'"
    return identities(host), *(sorted(host.check_output(part).splitlines()) for part in [*parts, files])


def litellm(host: Host, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """An answer of LiteLLM's own API, which the front door does not have."""
    url = f"http://{address(host, 'litellm', 'fleet-litellm')}:4000{path}"
    key = host.check_output(f"cat {SECRETS}/master_key")
    headers = f"-H 'Authorization: Bearer {key}' -H 'Content-Type: application/json'"
    answer: dict[str, Any] = json.loads(
        host.check_output(f"curl --silent --fail {headers} --data {shlex.quote(json.dumps(body))} {url}")
    )
    return answer


def test_installed_hosts_do_not_differ_from_their_inventory_nor_from_each_other(
    admin: Admin, host: Host, tmp_path: Path
) -> None:
    before = state(host)
    run, told = drift(admin, tmp_path, "-e", "metric=true")
    assert {name: one["differences"] for name, one in told["hosts"].items()} == {"light": [], "real": []}
    assert told["between_hosts"] == []
    assert run.status == 0, run.output
    assert run.changed() == {"light": 0, "real": 1}, "real alone is monitored"
    assert state(host) == before
    assert told["hosts"]["light"]["versions"]["docker"]


@pytest.fixture
def by_hand(host: Host) -> Iterator[None]:
    """A container with another environment in place of the right one, a changed file, a key of no inventory, and a tag
    on another image."""
    made = inspect(host, "vllm-vectors-1")["vllm-vectors-1"]
    caddy = inspect(host, "caddy")["caddy"]["Image"]
    host.check_output("docker rename vllm-vectors-1 vllm-vectors-7")
    labels = " ".join(f"--label {shlex.quote(f'{name}={value}')}" for name, value in made["Config"]["Labels"].items())
    host.check_output(
        f"docker create --name vllm-vectors-1 --env BY_HAND=1 {labels} --network fleet-model-vectors {made['Image']}"
    )
    host.check_output(f"cp -p {CADDYFILE} /tmp && printf '# by hand\\n' >> {CADDYFILE}")
    key = litellm(host, "/key/generate", {"key_alias": "by-hand"})["key"]
    host.check_output(f"docker tag {OTHER} {CADDY}")
    yield
    host.check_output(f"docker tag {caddy} {CADDY}")
    litellm(host, "/key/delete", {"keys": [key]})
    host.check_output("docker rm vllm-vectors-1 && docker rename vllm-vectors-7 vllm-vectors-1")
    host.check_output(f"cp -p /tmp/Caddyfile {CADDYFILE}")


def test_what_was_changed_by_hand_is_reported_and_not_changed(
    admin: Admin, host: Host, door: Door, by_hand: None, tmp_path: Path
) -> None:
    before = state(host)
    run, told = drift(admin, tmp_path, "--limit", "light")
    assert run.status != 0
    found = {(one["kind"], one["name"]): one for one in told["hosts"]["light"]["differences"]}
    assert {name for _kind, name in found} == {"vllm-vectors-1", "vllm-vectors-7", CADDYFILE, "by-hand", "caddy"}, found
    assert "env" in found["container", "vllm-vectors-1"]["found"]
    assert found["file", CADDYFILE]["found"].startswith("content SHA-256 ")
    assert found["key", "by-hand"]["found"] == "in LiteLLM, in no inventory"
    other = json.loads(host.check_output(f"docker image inspect {OTHER}"))[0]["Id"]
    assert found["image", "caddy"]["expected"] == other.partition(":")[2][:12]
    for one in found.values():
        line = [text for text in run.messages.splitlines() if one["name"] in text and one["remedy"] in text]
        assert line, run.messages
    assert door.key not in run.output
    assert state(host) == before

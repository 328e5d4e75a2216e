"""What a user was promised, host by host."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.fixtures import SECRETS, Door, inspect
from testinfra.host import Host

# Where Caddy looks the master key up, and what it comes to LiteLLM with.
DOOR_FILES = [f"/etc/inference-fleet/caddy/keys/{name}" for name in ("master", "direct", "litellm")]
SERVICES = {
    *("postgres", "litellm", "caddy"),
    *("prometheus", "grafana", "node-exporter", "blackbox-exporter", "dcgm-exporter"),
}


@pytest.fixture
def chat_model(door: Door) -> str:
    return str(next(model["name"] for model in door.models if model["type"] == "chat"))


def test_answers_a_chat_request_through_the_front_door(door: Door, chat_model: str) -> None:
    answer = door.chat(chat_model)
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"]
    assert answer.json()["usage"]["completion_tokens"] > 0


def test_streams_tokens_as_they_come(door: Door, chat_model: str) -> None:
    events = list(door.stream(chat_model))
    assert events[-1][1] == "[DONE]"
    texts = [json.loads(data)["choices"][0]["delta"].get("content") for _time, data in events[:-1]]
    assert len([text for text in texts if text]) > 1
    assert events[-1][0] > events[0][0], "all of it came at once"


def test_lists_the_models_that_run_and_no_other(door: Door) -> None:
    offered = {model["id"] for model in door.request("GET", "/v1/models").json()["data"]}
    assert offered == {model["name"] for model in door.models if model.get("state") != "stopped"}


@pytest.mark.parametrize("key", ["", "sk-wrong", "sk-"])
def test_lets_nobody_in_without_a_key(door: Door, chat_model: str, key: str) -> None:
    assert door.request("POST", "/v1/chat/completions", key=key, json={"model": chat_model}).status_code == 401


def test_answers_nothing_outside_the_api(door: Door) -> None:
    assert door.request("GET", "/health/readiness").status_code == 404


def test_only_caddy_has_ports_of_the_host(host: Host) -> None:
    bound = {name for name, one in inspect(host).items() if one["HostConfig"]["PortBindings"]}
    assert bound == {"caddy"}


def test_nothing_else_listens_to_the_network(host: Host) -> None:
    sockets = host.check_output("ss --listening --tcp --numeric --no-header").splitlines()
    addresses = [line.split()[3] for line in sockets]
    open_ports = {address.rpartition(":")[2] for address in addresses if not address.startswith("127.")}
    assert open_ports == {"22", "80", "443"}


def test_every_container_is_labelled(host: Host) -> None:
    for name, one in inspect(host).items():
        labels = one["Config"]["Labels"]
        assert labels["managed-by"] == "inference.fleet"
        if name in SERVICES:
            assert labels["service"] == name
        else:
            assert name == f"vllm-{labels['model-name']}-{name.rpartition('-')[2]}"
            assert labels["model-type"] in ("chat", "embedding")


def test_the_daemon_starts_no_container_at_boot_but_the_database(host: Host) -> None:
    policies = {name: one["HostConfig"]["RestartPolicy"]["Name"] for name, one in inspect(host).items()}
    assert policies.pop("postgres") == "unless-stopped"
    assert set(policies.values()) == {"on-failure"}


def test_what_holds_a_secret_is_roots_alone(host: Host) -> None:
    for folder in ("/etc/inference-fleet", SECRETS, "/etc/inference-fleet/litellm", "/etc/inference-fleet/caddy"):
        assert (host.file(folder).mode, host.file(folder).user) == (0o700, "root")
    files = host.check_output("find /etc/inference-fleet -type f").splitlines()
    assert "/etc/inference-fleet/config.json" in files
    for path in files:
        assert (host.file(path).mode, host.file(path).user) == (0o600, "root"), path


def test_secrets_stand_where_they_belong_and_nowhere_else(host: Host) -> None:
    for name in ("master_key", "salt_key", "postgres_password"):
        files = set(host.check_output(f"grep -rlF -f {SECRETS}/{name} /etc/inference-fleet").splitlines())
        assert files == {f"{SECRETS}/{name}", *(DOOR_FILES if name == "master_key" else ())}
        secret = host.check_output(f"cat {SECRETS}/{name}")
        for container, one in inspect(host).items():
            elsewhere = json.dumps([one["Config"]["Labels"], one["Args"], one["Path"], one["HostConfig"]])
            assert secret not in elsewhere, f"{name} in {container}"
        assert secret not in host.check_output("ps --no-headers -e -o args")
    assert host.run("grep -rl DATABASE_URL=postgres /etc/inference-fleet").rc == 1


def test_the_database_has_the_tables_of_virtual_keys(host: Host) -> None:
    query = "select count(*) from pg_tables where tablename in ('LiteLLM_VerificationToken', 'LiteLLM_SpendLogs')"
    assert host.check_output(f'docker exec postgres psql -U litellm -d litellm -Atc "{query}"') == "2"


def test_the_lock_was_given_back(host: Host) -> None:
    assert host.file("/run/inference-fleet/lock").content_string in ("", "null")


def test_a_stopped_model_keeps_its_container(host: Host, door: Door) -> None:
    for model in door.models:
        if model.get("state") == "stopped":
            assert inspect(host, f"vllm-{model['name']}-1")[f"vllm-{model['name']}-1"]["State"]["Status"] == "created"


def test_requests_go_to_every_replica(host: Host, door: Door) -> None:
    for model in door.models:
        if model.get("replicas", 1) == 1:
            continue
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(door.chat, [model["name"]] * 24))
        assert {answer.status_code for answer in answers} == {200}
        for replica in range(1, model["replicas"] + 1):
            log = host.check_output(f"docker logs vllm-{model['name']}-{replica}")
            assert log.count("POST /v1/chat/completions") >= 3

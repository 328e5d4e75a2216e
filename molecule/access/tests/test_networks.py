"""What a model's container can reach: nothing of the host and nothing of the fleet, as an attacker who runs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from lab.fixtures import Door, address, inspect, requests_seen, wait_until
from testinfra.host import Host

CHAT: dict[str, Any] = {"model": "pair", "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}]}
# Tries to connect to the ports of the addresses, many at a time, and prints those that accept.
SCAN = """
import json, socket, sys
from concurrent.futures import ThreadPoolExecutor
def accepts(target):
    with socket.socket(socket.AF_INET6 if ":" in target[0] else socket.AF_INET) as one:
        one.settimeout(1)
        try:
            return target if one.connect_ex(target) == 0 else None
        except OSError:
            return None
targets = [(host, port) for host in json.loads(sys.argv[1]) for port in json.loads(sys.argv[2])]
with ThreadPoolExecutor(200) as pool:
    print(json.dumps([found for found in pool.map(accepts, targets) if found]))
"""
# Of the services of the fleet, and what hosts often have. A refused packet costs the scan a second, so not all ports.
PORTS = [22, 53, 80, 111, 443, 2019, 2375, 2376, 3000, 4000, 5432, 6443, 8000, 8080, 9080, 9090, 9100, 9115, 9180, 9400]
METADATA = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16"]
# An engine that ends with each request, without an answer.
BREAKER = """
import socket, struct
with socket.create_server(("", 8000)) as server:
    while True:
        connection, _address = server.accept()
        with connection, connection.makefile("rb") as file:
            print(file.readline().decode().strip(), flush=True)
            length = 0
            while (line := file.readline().strip()):
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            file.read(length)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
"""
LISTENER = "python3 -m http.server --bind 0.0.0.0 8080 --directory /var/empty"
# The weights of `tiny-chat` are on the host. The stand-ins download at their start, so they have a way out.
INSIDE = {"no way out": "vllm-tiny-chat-1", "way out": "vllm-pair-1"}


def scan(host: Host, container: str, hosts: list[str], ports: list[int]) -> list[tuple[str, int]]:
    program = f"docker exec -i {container} python3 - '{json.dumps(hosts)}' '{json.dumps(ports)}' <<'END'{SCAN}END"
    return [(one, port) for one, port in json.loads(host.check_output(program))]


def addresses(host: Host) -> dict[str, set[str]]:
    """Container -> its addresses in all networks."""
    return {
        name: {end["IPAddress"] for end in one["NetworkSettings"]["Networks"].values() if end["IPAddress"]}
        for name, one in inspect(host).items()
    }


@pytest.fixture
def listener(host: Host) -> Iterator[None]:
    """A service of the host that listens on all addresses, as many do."""
    host.check_output(f"mkdir -p /var/empty; systemd-run --quiet --collect --unit listener {LISTENER}")
    wait_until(lambda: host.run("curl -s http://127.0.0.1:8080/").succeeded, "the host's service listens")
    yield
    host.check_output("systemctl stop listener")


@pytest.mark.parametrize("container", INSIDE.values(), ids=INSIDE.keys())
def test_a_model_reaches_no_other_container_but_its_own_replicas(host: Host, container: str) -> None:
    known = addresses(host)
    model = container.rpartition("-")[0]
    others = {one for name, found in known.items() if not name.startswith(model) for one in found}
    assert len(others) > len(known)  # Caddy has an address in each network
    assert scan(host, container, sorted(others), PORTS) == []
    assert scan(host, container, sorted(known[container]), [8000]), "the scan finds what is there"


@pytest.mark.parametrize("container", INSIDE.values(), ids=INSIDE.keys())
def test_caddy_listens_at_no_port_in_the_network_of_a_model(host: Host, container: str) -> None:
    model = container.removeprefix("vllm-").rpartition("-")[0]
    assert scan(host, container, [address(host, "caddy", f"fleet-model-{model}")], list(range(1, 10_000))) == []


@pytest.mark.parametrize("container", INSIDE.values(), ids=INSIDE.keys())
def test_a_model_reaches_no_service_of_the_host(host: Host, container: str, listener: None) -> None:
    own = json.loads(host.check_output("ip -json address"))
    found = {one["local"] for device in own for one in device["addr_info"] if one["scope"] == "global"}
    assert len(found) > 3  # that of the host, and those of the bridges
    assert scan(host, container, sorted(found), PORTS) == []


@pytest.mark.parametrize("container", INSIDE.values(), ids=INSIDE.keys())
def test_a_model_reaches_no_metadata_service(host: Host, container: str) -> None:
    assert scan(host, container, METADATA, [80, 443, 32526]) == []


def test_a_model_without_a_way_out_reaches_no_other_machine(host: Host) -> None:
    gateway = host.check_output("ip route show default").split()[2]
    assert scan(host, INSIDE["no way out"], [gateway], PORTS) == []


def test_the_rules_are_in_a_table_that_docker_and_firewalls_leave_alone(host: Host) -> None:
    rules = host.check_output("iptables -t mangle -S")
    assert rules.count("-j INFERENCE-FLEET-IN") == rules.count("-j INFERENCE-FLEET-OUT") == 1
    assert "INFERENCE-FLEET" not in host.check_output("iptables -S")


def test_the_inner_listener_is_for_litellm_alone(host: Host, door: Door) -> None:
    caddy = addresses(host)["caddy"]
    inner = address(host, "caddy", "fleet-litellm")
    open_on = {one for one in caddy if host.run(f"curl -s -m 3 http://{one}:9080/x").succeeded}
    assert open_on == {inner}
    assert host.check_output(f"curl -s -o /dev/null -w '%{{http_code}}' http://{inner}:9080/key/list") == "404"
    assert door.request("GET", "/pair/v1/models").status_code == 404


def test_a_dead_replica_costs_no_request_of_litellm_either(host: Host, door: Door) -> None:
    host.check_output("docker kill vllm-pair-2")
    try:
        for _request in range(20):
            answer = door.request("POST", "/v1/chat/completions", json=CHAT)
            assert answer.status_code == 200, answer.text
    finally:
        host.check_output("docker start vllm-pair-2")


@pytest.fixture
def breaker(host: Host) -> Iterator[str]:
    """A second replica of `closed`, which breaks each connection off."""
    where = "--network fleet-model-closed --network-alias closed.model --entrypoint python3"
    host.check_output(f"docker run --detach --name breaker {where} inference-fleet/engine-stand-in:1 -c '{BREAKER}'")
    yield "breaker"
    host.check_output("docker rm --force breaker")


def test_a_request_that_ends_an_engine_reaches_no_other(host: Host, door: Door, breaker: str) -> None:
    def arrived() -> int:
        engine = sum(one["method"] == "POST" for one in requests_seen(host, "closed"))
        return engine + host.check_output(f"docker logs {breaker}").count("POST /v1/chat/completions")

    before = arrived()
    body = {**CHAT, "model": "closed"}
    answers = [door.request("POST", "/v1/chat/completions", json=body).status_code for _request in range(20)]
    assert set(answers) == {200, 502}
    assert arrived() - before == len(answers)


def test_a_model_without_a_replica_is_unavailable_for_now(host: Host, door: Door) -> None:
    host.check_output("docker kill vllm-pair-1 vllm-pair-2")
    try:
        for path in ("/v1", "/models/pair/v1"):
            answer = door.request("POST", f"{path}/chat/completions", json=CHAT)
            assert (answer.status_code, answer.headers.get("Retry-After")) == (503, "10"), answer.text
            assert "vllm-" not in answer.text
    finally:
        host.check_output("docker start vllm-pair-1 vllm-pair-2")
    wait_until(
        lambda: door.request("POST", "/v1/chat/completions", json=CHAT).status_code == 200, "the model answers again"
    )

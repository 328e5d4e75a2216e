"""What a model's container can reach: nothing of the host and nothing of the fleet, as an attacker who runs in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote
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
        if device:
            # Needs no capability, and takes each address for one of the network.
            one.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
        one.settimeout(1)
        try:
            return target if one.connect_ex(target) == 0 else None
        except OSError:
            return None
device = sys.argv[3]
targets = [(host, port) for host in json.loads(sys.argv[1]) for port in json.loads(sys.argv[2])]
with ThreadPoolExecutor(200) as pool:
    print(json.dumps([found for found in pool.map(accepts, targets) if found]))
"""
# Of the services of the fleet, and what hosts often have. A refused packet costs the scan a second, so not all ports.
PORTS = [22, 53, 80, 111, 443, 2019, 2375, 2376, 3000, 4000, 5432, 6443, 8000, 8080, 9080, 9090, 9100, 9115, 9180, 9400]
METADATA = ["169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "192.0.0.192"]
# The machines around a host in a cloud: an address of its own and those of metadata services answer on port 80, and
# 169.254.169.254 is a name server that has this address for each name.
ANOTHER_MACHINE = "198.51.100.2"
CLOUD = f"""
import socket, threading
from http.server import SimpleHTTPRequestHandler
from socketserver import ThreadingTCPServer
threading.Thread(target=ThreadingTCPServer(("", 80), SimpleHTTPRequestHandler).serve_forever).start()
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.setsockopt(socket.SOL_IP, 15, 1)  # IP_FREEBIND: the address is added later
    server.bind(("169.254.169.254", 53))
    while True:
        asked, client = server.recvfrom(512)
        head = asked[:2] + bytes.fromhex("81800001000100000000")
        answer = bytes.fromhex("c00c000100010000003c0004") + socket.inet_aton("{ANOTHER_MACHINE}")
        server.sendto(head + asked[12 : asked.index(0, 12) + 5] + answer, client)
"""
# An engine that answers every request with the lines of a head, and then with a text again and again. Without a head it
# breaks the connection off.
ENGINE = """
import json, socket, struct, sys
head, text = json.loads(sys.argv[1])
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
            if not head:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            try:
                connection.sendall("".join(line + chr(13) + chr(10) for line in head).encode())
                while text:
                    connection.sendall(text.encode() * 1000)
            except OSError:
                pass
"""
CLOSE = ["Connection: close", ""]
REDIRECT = ["HTTP/1.1 307 x", "Location: http://caddy:9080/other/v1/chat/completions", "Content-Length: 0", *CLOSE]
LISTENER = "python3 -m http.server --bind 0.0.0.0 8080 --directory /var/empty"
STAND_IN = "inference-fleet/engine-stand-in:1"
# The weights of `tiny-chat` are on the host. The stand-ins download at their start, so they have a way out.
INSIDE = {"no way out": "vllm-tiny-chat-1", "way out": "vllm-pair-1"}


def scan(host: Host, container: str, hosts: list[str], ports: list[int], device: str = "") -> list[tuple[str, int]]:
    given = f"'{json.dumps(hosts)}' '{json.dumps(ports)}' '{device}'"
    program = f"docker exec -i {container} python3 - {given} <<'END'{SCAN}END"
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


@pytest.fixture(params=["0", "1"])
def bridged(request: pytest.FixtureRequest, host: Host) -> Iterator[None]:
    """Whether iptables sees the packets within a bridge: newer versions of Docker do not switch this on."""
    setting = "net.bridge.bridge-nf-call-iptables"
    before = host.check_output(f"sysctl -n {setting}")
    host.check_output(f"sysctl -w {setting}={request.param}")
    yield
    host.check_output(f"sysctl -w {setting}={before}")


def test_a_model_reaches_no_other_container_by_its_network_device(host: Host, bridged: None) -> None:
    known = addresses(host)
    own = known["vllm-tiny-chat-1"] | {address(host, "caddy", "fleet-model-tiny-chat")}
    others = sorted({one for found in known.values() for one in found} - own)
    assert scan(host, "vllm-tiny-chat-1", others, PORTS, "eth0") == []
    assert scan(host, "vllm-tiny-chat-1", sorted(known["vllm-tiny-chat-1"]), [8000])


@pytest.mark.parametrize("container", INSIDE.values(), ids=INSIDE.keys())
def test_caddy_listens_at_no_port_in_the_network_of_a_model(host: Host, container: str) -> None:
    model = container.removeprefix("vllm-").rpartition("-")[0]
    assert scan(host, container, [address(host, "caddy", f"fleet-model-{model}")], list(range(1, 10_000))) == []


def of_the_host(host: Host) -> set[str]:
    """Its addresses: its own, and those of the bridges."""
    own = json.loads(host.check_output("ip -json address"))
    return {one["local"] for device in own for one in device["addr_info"] if one["scope"] == "global"}


@pytest.mark.parametrize("container", INSIDE.values(), ids=INSIDE.keys())
def test_a_model_reaches_no_service_of_the_host(host: Host, container: str, listener: None) -> None:
    found = of_the_host(host)
    assert len(found) > 3
    assert scan(host, container, sorted(found), PORTS) == []


@pytest.fixture
def cloud(host: Host) -> Iterator[None]:
    host.check_output(
        f"docker run --detach --name cloud --network none --user 0 --entrypoint python3 {STAND_IN} -c '{CLOUD}'"
    )
    pid = inspect(host, "cloud")["cloud"]["State"]["Pid"]
    inside = f"nsenter --target {pid} --net ip"
    host.check_output(
        f"ip link add cloud type veth peer name eth0 netns {pid} && ip address add 198.51.100.1/30 dev cloud"
        f" && ip link set cloud up && {inside} address add {ANOTHER_MACHINE}/30 dev eth0"
        f" && {inside} link set eth0 up && {inside} route add default via 198.51.100.1"
    )
    for one in METADATA:
        host.check_output(f"{inside} address add {one}/32 dev eth0 && ip route add {one}/32 via {ANOTHER_MACHINE}")
    every = " ".join(f"http://{one}/" for one in METADATA)
    wait_until(lambda: host.run(f"curl -s -m 3 --fail-early {every}").succeeded, "the host reaches each of them")
    yield
    host.check_output("docker rm --force cloud")


@pytest.mark.parametrize("container", INSIDE.values(), ids=INSIDE.keys())
def test_a_model_reaches_no_metadata_service(host: Host, container: str, cloud: None) -> None:
    assert scan(host, container, METADATA, [80, 443, 32526]) == []
    assert bool(scan(host, container, [ANOTHER_MACHINE], [80])) == (container == INSIDE["way out"])


@pytest.fixture
def downloader(host: Host) -> Iterator[str]:
    """Like the containers that download weights (`spec_of` of engine/downloads.py). Its name server is the cloud's."""
    how = "--network fleet-download --dns 169.254.169.254 --user 0 --cap-drop ALL --cap-add DAC_OVERRIDE"
    how += " --security-opt no-new-privileges --entrypoint sleep"
    host.check_output(f"docker run --detach --name downloader {how} {STAND_IN} infinity")
    yield "downloader"
    host.check_output("docker rm --force downloader")


def test_a_container_that_downloads_reaches_other_machines_and_nothing_of_ours(
    host: Host, downloader: str, listener: None, cloud: None
) -> None:
    others = {one for name, found in addresses(host).items() if name != downloader for one in found}
    ours = sorted(others | of_the_host(host))
    for device in ("", "eth0"):
        assert scan(host, downloader, ours, PORTS, device) == []
        assert scan(host, downloader, METADATA, [80, 443, 32526], device) == []
    assert scan(host, downloader, [ANOTHER_MACHINE], [80]) == [(ANOTHER_MACHINE, 80)]
    look_up = 'import socket; print(socket.gethostbyname("hub.example"))'
    assert host.check_output(f"docker exec {downloader} python3 -c '{look_up}'") == ANOTHER_MACHINE


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


@contextmanager
def engine(host: Host, head: list[str], text: str = "") -> Iterator[None]:
    """A second replica of `closed`. Arguments: as of ENGINE."""
    where = "--network fleet-model-closed --network-alias closed.model --entrypoint python3"
    given = f"-uc {quote(ENGINE)} {quote(json.dumps([head, text]))}"
    host.check_output(f"docker run --detach --name hostile {where} {STAND_IN} {given}")
    try:
        yield
    finally:
        host.check_output("docker rm --force hostile")


def answers(door: Door, count: int = 20, **options: Any) -> list[int]:
    """The statuses of requests to `closed`."""
    body = {**CHAT, "model": "closed", **options}
    return [door.request("POST", "/v1/chat/completions", json=body).status_code for _request in range(count)]


def answers_of_both(door: Door) -> list[int]:
    """As `answers`, until the hostile engine has got one too: Caddy looks up the replicas once a second."""
    found: list[int] = []
    wait_until(lambda: found.extend(answers(door)) or len(set(found)) > 1, "both replicas are asked")
    return found


def test_a_request_that_ends_an_engine_reaches_no_other(host: Host, door: Door) -> None:
    def arrived() -> int:
        own = sum(one["method"] == "POST" for one in requests_seen(host, "closed"))
        return own + host.check_output("docker logs hostile").count("POST /v1/chat/completions")

    with engine(host, []):
        before = arrived()
        found = answers_of_both(door)
        assert set(found) == {200, 502}
        assert arrived() - before == len(found)


def test_a_model_sends_no_request_to_another_one(host: Host, door: Door) -> None:
    before = len(requests_seen(host, "other"))
    with engine(host, REDIRECT):
        assert set(answers_of_both(door)) == {200, 502}
    assert len(requests_seen(host, "other")) == before


@pytest.mark.parametrize(
    ("kind", "more", "status"),
    [
        ("application/json", [], 500),
        ("text/event-stream", [], 500),
        ("application/json", ["Content-Encoding: gzip"], 502),
    ],
)
def test_an_answer_without_an_end_ends_no_service(
    host: Host, door: Door, kind: str, more: list[str], status: int
) -> None:
    started = {name: one["State"]["StartedAt"] for name, one in inspect(host, "litellm", "caddy").items()}
    with engine(host, ["HTTP/1.1 200 OK", f"Content-Type: {kind}", *more, *CLOSE], "x"):
        found: list[int] = []
        while status not in found and len(found) < 20:  # of two idle replicas, Caddy takes any
            found += answers(door, 1, stream="event" in kind)
        assert {*found} - {200} == {status}
    assert {name: one["State"]["StartedAt"] for name, one in inspect(host, "litellm", "caddy").items()} == started


def test_a_client_has_no_request_repeated(host: Host, door: Door) -> None:
    body = {**CHAT, "model": "closed"}
    for more in ({"num_retries": 5}, {"fallbacks": [{"model": "pair"}]}, {"max_retries": 3}):
        assert door.request("POST", "/v1/chat/completions", json={**body, **more}).status_code == 400


def test_no_label_of_a_client_stops_the_statistics(host: Host, door: Door) -> None:
    long = "".join(chr(33 + number * 7919 % 90) for number in range(20_000))
    since = host.check_output("date +%s")
    for path in ("/v1", "/open/pair/v1"):
        for more in ({"user": long}, {"metadata": {"tags": [long]}}, {"metadata": {"text": long}}, {"tags": [long]}):
            answer = door.request("POST", f"{path}/chat/completions", json={**CHAT, **more})
            assert answer.status_code == 400, (more.keys(), answer.text)
    for more in ({"user": "somebody"}, {"metadata": {"tags": ["a"]}}):
        assert door.request("POST", "/v1/chat/completions", json={**CHAT, **more}).status_code == 200
    # LiteLLM writes its statistics every 10 to 15 seconds.
    query = r"SELECT count(*) FROM \"LiteLLM_EndUserTable\" WHERE user_id = 'somebody'"
    rows = f'docker exec postgres psql -U litellm -d litellm -Atc "{query}"'
    wait_until(lambda: host.check_output(rows) == "1", "the statistics are written")
    assert "index row requires" not in host.check_output(f"docker logs --since {since} litellm 2>&1")


@pytest.mark.extended
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

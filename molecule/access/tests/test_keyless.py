"""Who has no key, and wants to cost the host something: large bodies, many at a time, rows in the database."""

from __future__ import annotations

import time

import pytest
from lab.fixtures import EXTENDED, Door, inspect, wait_until
from lab.keyless import Flood, Keyless
from lab.load import Load, Stream
from lab.raw import CLOSED, Wire
from lab.raw_http2 import Http2Wire
from lab.slow import BODY, HANDSHAKE, HEAD, Slow
from testinfra.host import Host

CHATS = "/v1/chat/completions"
LARGEST = 32_000_000
DISCARDED = (256 << 10) + 1
CHECKED = 32 << 10  # above this size Caddy asks for the key first
AT_ONCE_S = 5
ROWS = 'SELECT count(*) FROM \\"LiteLLM_SpendLogs\\"'
FAILED = f"{ROWS} WHERE status <> 'success'"
SIZE = "SELECT pg_database_size(current_database())"
KEYLESS = 200
ENDLESS = 40
JSON = {"Content-Type": "application/json"}
CLIENTS = 10
SECONDS = 20
MEGABYTE = 1_000_000
HEAD_SECONDS = 30  # Caddy's limit for a handshake and for the head of a request
SLOW = {HANDSHAKE: 1000, HEAD: 1000, BODY: 10_000} if EXTENDED else {HANDSHAKE: 200, HEAD: 200, BODY: 500}
COLLECTION_SECONDS = 300  # Go collects its garbage every two minutes at least, and then returns memory slowly


def psql(host: Host, query: str) -> int:
    return int(host.check_output(f'docker exec postgres psql -U litellm -d litellm -Atc "{query}"'))


def head(door: Door, key: str, length: int, path: str = CHATS, method: str = "POST") -> bytes:
    lines = (
        f"{method} {path} HTTP/1.1",
        f"Host: {door.address}",
        f"Authorization: Bearer {key}",
        "Content-Type: application/json",
        f"Content-Length: {length}",
    )
    return "\r\n".join([*lines, "", ""]).encode()


@pytest.mark.parametrize("length", [CHECKED + 1, DISCARDED, LARGEST])
def test_the_body_of_an_unknown_key_is_not_read(door: Door, length: int) -> None:
    """No more of it is sent than Go discards."""
    started = time.monotonic()
    answer = Wire(door.address, door.trust).exchange(
        head(door, "sk-unknown", length) + b"x" * min(length, DISCARDED), "POST"
    )
    assert answer.status == 401
    assert b"unknown, expired or blocked key" in answer.body
    assert time.monotonic() - started < AT_ONCE_S


@pytest.mark.parametrize("kilobytes", [1, 30, 300, 3000])
def test_a_known_key_may_send_a_body_of_any_size(door: Door, virtual_key: str, kilobytes: int) -> None:
    content = "x" * (kilobytes * 1000)
    for key in (virtual_key, door.key):
        assert door.chat("pair", key=key, messages=[{"role": "user", "content": content}]).status_code == 200


@pytest.mark.parametrize("base", ["/v1", "/open/pair/v1"])
@pytest.mark.parametrize("length", [20_000, 300_000])
def test_a_get_has_no_large_body(door: Door, base: str, length: int) -> None:
    answer = Wire(door.address, door.trust).exchange(head(door, door.key, length, f"{base}/models", "GET"))
    assert answer.status == 413
    headers = [
        (b":method", b"GET"),
        (b":path", f"{base}/models".encode()),
        (b":scheme", b"https"),
        (b":authority", door.address.encode()),
        (b"authorization", f"Bearer {door.key}".encode()),
    ]
    started = time.monotonic()
    for body, statuses in ((b"x" * 12_000, (CLOSED, 413)), (b"{}", (200,)), (b"", (200,))):
        assert Http2Wire(door.address, str(door.certificate)).exchange(headers, body).status in statuses
    assert time.monotonic() - started < AT_ONCE_S


def test_a_refused_key_writes_no_row_into_the_database(door: Door, host: Host, virtual_key: str) -> None:
    before = psql(host, FAILED)
    for number in range(20):
        body = {"model": "pair", "messages": [{"role": "user", "content": "x" * 50_000}], "metadata": {"a": "b" * 1000}}
        assert door.request("POST", CHATS, key=f"sk-wrong-{number}", json=body).status_code == 401
        assert door.request("POST", CHATS, key="not-even-a-key", json=body).status_code == 401
    assert door.chat("closed", key=virtual_key).status_code == 404
    answered = door.chat("pair", key=virtual_key).json()["id"]
    # LiteLLM writes its rows together, every few seconds.
    own = f"{ROWS} WHERE request_id = '{answered}'"
    wait_until(lambda: psql(host, own) == 1, "the row of the answered request is there")
    assert psql(host, FAILED) == before


@pytest.mark.parametrize("unit", [b"{},", b"[],", b'"",', b"1,"])
@pytest.mark.parametrize("base", ["/v1", "/open/pair/v1"])
def test_a_body_of_very_many_parts_is_refused_at_once(door: Door, base: str, unit: bytes) -> None:
    """LiteLLM alone takes seconds for 8 MB, and of objects over 1 GB of memory."""
    body = b'{"model": "pair", "messages": [' + unit * (8 * MEGABYTE // len(unit)) + b"1]}"
    started = time.monotonic()
    request = head(door, door.key, len(body), f"{base}/chat/completions") + body
    answer = Wire(door.address, door.trust).exchange(request, "POST")
    # Closed: the answer was lost, since it came before the end of the body.
    assert answer.status in (400, CLOSED)
    assert answer.status == CLOSED or b"too many objects" in answer.body
    assert time.monotonic() - started < AT_ONCE_S


def test_litellm_ends_before_anything_else_where_memory_runs_out(host: Host) -> None:
    found = inspect(host)
    assert found["litellm"]["HostConfig"]["Memory"] == 4_000 * MEGABYTE
    scores = {name: one["HostConfig"]["OomScoreAdj"] for name, one in found.items()}
    assert scores.pop("litellm") > max(scores.values())


def test_bodies_without_an_end_fill_no_memory(door: Door, host: Host, virtual_key: str) -> None:
    """Of an open model, to which everybody may send the largest bodies."""
    started = {name: one["State"]["StartedAt"] for name, one in inspect(host).items()}
    memory = used_memory(host)
    wires = [Wire(door.address, door.trust) for _number in range(ENDLESS)]
    part = b" " * 12 * MEGABYTE
    try:
        for wire in wires:
            wire.send(head(door, "any", LARGEST, "/open/pair/v1/chat/completions") + part)
        # Others of the same model are refused while the bodies are that large together; each key counts for itself.
        refused = door.request("POST", "/open/pair/v1/chat/completions", data=part, more=JSON)
        assert (refused.status_code, refused.headers["Retry-After"]) == (429, "1"), refused.text
        assert door.chat("pair", key=virtual_key).status_code == 200
        used = used_memory(host) - memory
    finally:
        for wire in wires:
            wire.close()
    print(f"{used // MEGABYTE} MB with {ENDLESS} requests")
    assert used < 600 * MEGABYTE
    assert {name: one["State"]["StartedAt"] for name, one in inspect(host).items()} == started
    request = {"model": "pair", "messages": [{"role": "user", "content": "Hi"}]}
    path = "/open/pair/v1/chat/completions"
    wait_until(lambda: door.request("POST", path, json=request).status_code == 200, "the open model answers again")


@pytest.mark.extended
def test_slow_clients_cost_the_others_nothing(door: Door, host: Host, virtual_key: str) -> None:
    started = {name: one["State"]["StartedAt"] for name, one in inspect(host).items()}
    memory, rows = used_memory(host), psql(host, ROWS)
    streams = [Stream(f"client {one}", CHATS, "pair", virtual_key, 1) for one in range(CLIENTS)]
    slow = Slow(door.address, str(door.certificate), SLOW, HEAD_SECONDS + 5)
    with Load(door.url, str(door.certificate), *streams) as load, Flood(slow) as flood:
        most = (0, 0)
        while not flood.ended():
            most = max(most, (connections(host), (used_memory(host) - memory) // MEGABYTE))
    print(f"at most {most[0]} connections, with {most[1]} MB; {dict(flood.found)}; {load.summary()}")
    assert most[0] >= SLOW[BODY]
    assert load.failed() == []
    ends = {HANDSHAKE: "closed", HEAD: "closed", BODY: "open"}
    assert flood.found == {f"{kind} {ends[kind]}": count for kind, count in SLOW.items()}
    assert {name: one["State"]["StartedAt"] for name, one in inspect(host).items()} == started
    assert psql(host, ROWS) - rows <= len(load.answers)
    wait_until(lambda: used_memory(host) < memory + 200 * MEGABYTE, "the memory is free again", COLLECTION_SECONDS)


def connections(host: Host) -> int:
    """Of Caddy with its clients, whether encrypted or not."""
    process = host.check_output("docker inspect --format '{{.State.Pid}}' caddy")
    ports = "'( sport = :80 or sport = :443 )'"
    return int(host.check_output(f"nsenter --target {process} --net ss --no-header --tcp {ports} | wc -l"))


@pytest.mark.extended
@pytest.mark.parametrize("size", [LARGEST, CHECKED])
def test_keyless_clients_cost_the_others_nothing(door: Door, host: Host, virtual_key: str, size: int) -> None:
    """Measured against clients whom Caddy itself refuses: their TLS handshakes need processors too, on this machine."""

    def p99(path: str | None) -> float:
        streams = [Stream(f"client {one}", CHATS, "pair", virtual_key, 1) for one in range(CLIENTS)]
        with Load(door.url, str(door.certificate), *streams) as load:
            if path:
                with Flood(Keyless(door.address, str(door.certificate), path, size, KEYLESS, SECONDS)) as flood:
                    pass
                print(path, dict(flood.found))
                assert flood.found.total() > KEYLESS
                assert set(flood.found) <= {0, 401 if path == CHATS else 404}
            else:
                time.sleep(SECONDS)
        assert load.failed() == []
        took = sorted(one.took for one in load.answers)
        return took[int(len(took) * 0.99)]

    started = {name: one["State"]["StartedAt"] for name, one in inspect(host).items()}
    memory, rows, bytes_before = used_memory(host), psql(host, ROWS), psql(host, SIZE)
    alone, refused_by_caddy, keyless = p99(None), p99("/absent"), p99(CHATS)
    print(f"p99 alone {alone:.2f} s, with clients that Caddy refuses {refused_by_caddy:.2f} s, keyless {keyless:.2f} s")
    assert {name: one["State"]["StartedAt"] for name, one in inspect(host).items()} == started
    answered = 3 * CLIENTS * (SECONDS + AT_ONCE_S)
    assert psql(host, ROWS) - rows < answered
    assert psql(host, SIZE) - bytes_before < answered * 20_000
    wait_until(lambda: used_memory(host) < memory + 200 * MEGABYTE, "the memory is free again", COLLECTION_SECONDS)


def used_memory(host: Host) -> int:
    """Bytes that LiteLLM and Caddy hold, without the files that the kernel caches for them."""
    lines = "for name in litellm caddy; do docker top $name -o pid,rss | tail -n +2; done"
    return 1024 * int(host.check_output(f"{lines} | awk '{{sum += $NF}} END {{print sum}}'"))

"""A drained host refuses requests for models, and cuts none that is under way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.fixtures import Admin, Door, identities, requests_seen, wait_until
from testinfra.host import Host

FILE = "/etc/inference-fleet/caddy/drained"
METRICS = "/var/lib/inference-fleet/metrics/drained.prom"
TOKENS = 200  # of the model `slow`, which needs 0.2 s for each: longer than the start of a playbook on a busy machine
ROUTES = ("/v1", "/models/slow/v1", "/models/pair/v1", "/open/pair/v1")
CHAT = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(autouse=True)
def serving(host: Host) -> Iterator[None]:
    """A test that fails leaves no drained host to the others."""
    yield
    host.run(f"rm -f {FILE} {METRICS}")


def chat(door: Door, path: str) -> tuple[int, str, str | None]:
    """Status, code of the error, and Retry-After."""
    model = path.split("/")[2] if path.count("/") > 1 else "pair"
    answer = door.request("POST", f"{path}/chat/completions", json={"model": model, **CHAT})
    code = (answer.json().get("error") or {}).get("code", "")
    return answer.status_code, code, answer.headers.get("Retry-After")


def stream(door: Door, path: str) -> tuple[int, bool]:
    """How many tokens came, and whether the stream came to its end."""
    body = {**CHAT, "model": "slow", "stream": True, "max_tokens": TOKENS}
    tokens, ended = 0, False
    with door.request("POST", f"{path}/chat/completions", json=body, stream=True) as answer:
        answer.raise_for_status()
        for line in answer.iter_lines(chunk_size=1):
            data = line.removeprefix(b"data: ")
            ended = ended or data == b"[DONE]"
            if data.startswith(b"{"):
                choices = json.loads(data)["choices"]
                tokens += bool(choices and choices[0]["delta"].get("content"))
    return tokens, ended


@pytest.mark.extended
def test_streams_end_whole_while_new_requests_are_refused_at_once(admin: Admin, door: Door, host: Host) -> None:
    before = identities(host)
    known = len(requests_seen(host, "slow"))
    with ThreadPoolExecutor() as pool:
        streams = [pool.submit(stream, door, path) for path in ("/v1", "/models/slow/v1")]
        wait_until(lambda: len(requests_seen(host, "slow")) == known + 2, "both are under way")
        run = pool.submit(admin.play, "drain")
        wait_until(lambda: chat(door, "/v1")[0] == 503, "the host is drained")
        assert not any(one.done() for one in streams), "the streams ended before the drain"
        for path in ROUTES:
            asked = time.monotonic()
            assert chat(door, path) == (503, "host_drained", "10"), path
            assert time.monotonic() - asked < 5, f"{path} waited"
        assert not run.done(), "the playbook did not wait for the streams"
        ended = run.result()
        assert [one.result() for one in streams] == [(TOKENS, True)] * 2
    assert ended.status == 0, ended.output
    assert "no request of a client is under way" in ended.messages
    assert identities(host) == before
    assert door.request("GET", "/").status_code == 200
    check_lasts(admin, door, host)
    check_ends(admin, door)
    assert {name for name, one in identities(host).items() if before[name] != one} == {"caddy"}


def check_lasts(admin: Admin, door: Door, host: Host) -> None:
    """Over a restart of Caddy and a run of install, which reports the drain."""
    host.check_output("docker restart caddy")
    wait_until(lambda: answers(door), "Caddy answers")
    assert chat(door, "/v1")[:2] == (503, "host_drained")
    run = admin.play("install")
    assert run.status == 0, run.output
    assert run.changed() == {"gate": 0}, run.output
    assert "this run leaves it so" in run.messages
    assert chat(door, "/models/pair/v1")[:2] == (503, "host_drained")
    again = admin.play("drain")
    assert again.status == 0, again.output
    assert again.changed() == {"gate": 0}
    status = admin.play("status", "-e", "fail_on=never")
    assert "drained since 20" in status.messages


def check_ends(admin: Admin, door: Door) -> None:
    run = admin.play("undrain")
    assert run.status == 0, run.output
    assert run.changed() == {"gate": 1}
    assert "accepts requests" in run.messages
    assert {chat(door, path)[0] for path in ROUTES} == {200}
    assert admin.play("undrain").changed() == {"gate": 0}


@pytest.mark.extended
def test_reports_what_is_left_when_the_time_is_over(admin: Admin, door: Door, host: Host) -> None:
    known = len(requests_seen(host, "slow"))
    with ThreadPoolExecutor() as pool:
        running = pool.submit(stream, door, "/models/slow/v1")
        wait_until(lambda: len(requests_seen(host, "slow")) > known, "the stream is under way")
        run = admin.play("drain", "-e", "drain_timeout=0")
        assert not running.done(), "the stream ended before the playbook"
        assert running.result() == (TOKENS, True)
    assert run.status == 0, run.output
    assert "after 0 s; connections: vllm-slow-1 1" in run.messages


@pytest.mark.extended
def test_check_mode_drains_nothing_and_a_wrong_timeout_is_refused(admin: Admin, door: Door, host: Host) -> None:
    run = admin.play("drain", "--check")
    assert run.status == 0, run.output
    assert run.changed() == {"gate": 1}
    assert not host.file(FILE).exists
    refused = admin.play("drain", "-e", "drain_timeout=soon")
    assert refused.status != 0
    assert "-e drain_timeout=soon: expected a whole number of seconds, 0 or more" in refused.messages
    assert chat(door, "/v1")[0] == 200


def answers(door: Door) -> bool:
    try:
        return door.request("GET", "/").status_code == 200
    except OSError:
        return False

"""A run killed while a second LiteLLM takes over costs nobody a request, and the next run finishes the change."""

from __future__ import annotations

import os
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from lab.fixtures import Admin, Door, identities, inspect, wait_until
from lab.load import Load, Stream
from testinfra.host import Host

TOKENS = 300  # a minute of the model `slow`
CREATED, TAKEN = "the second container is created", "the second container has taken over"


def reached(host: Host) -> set[str]:
    containers = inspect(host)
    if "litellm-next" not in containers:
        return set()
    networks = containers["litellm-next"]["NetworkSettings"]["Networks"].values()
    named = any("litellm" in (network["Aliases"] or ()) for network in networks)
    return {CREATED, TAKEN} if named else {CREATED}


def streams_to_its_end(door: Door) -> bool:
    body = {"model": "slow", "stream": True, "max_tokens": TOKENS, "messages": [{"role": "user", "content": "Hi"}]}
    with door.request("POST", "/v1/chat/completions", json=body, stream=True) as answer:
        lines = [line for line in answer.iter_lines() if line]
    print(f"stream: {len(lines)} events, the last one {lines[-1]!r}")
    return lines[-1] == b"data: [DONE]"


def kill_run(process: subprocess.Popen[bytes], host: Host, point: str) -> None:
    """With the module that moves the clients, which would otherwise go on without the run."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    if point == TAKEN:
        host.check_output("grep service_takeover /run/inference-fleet/work | { read -r pid _rest; kill -9 $pid; }")


@pytest.mark.extended
@pytest.mark.parametrize(("days", "point"), [(31, CREATED), (32, TAKEN)])
def test_a_takeover_that_is_killed_is_finished_by_the_next_run_and_loses_no_request(
    admin: Admin, door: Door, host: Host, virtual_key: str, days: int, point: str
) -> None:
    variables = {"fleet_litellm": {"restart_wait": 120, "spend_log_days": days}}
    before = identities(host)
    chats = Stream("/v1", "/v1/chat/completions", "pair", virtual_key, 3)
    with Load(door.url, str(door.certificate), chats) as load, ThreadPoolExecutor() as pool:
        load.wait_for(3)
        run = subprocess.Popen(
            admin.command("install", variables=variables), stdout=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: CREATED in reached(host), CREATED, 600)
        stream = pool.submit(streams_to_its_end, door)
        wait_until(lambda: point in reached(host), point, 600)
        kill_run(run, host, point)
        assert {"litellm", "litellm-next"} <= set(identities(host))
        assert "litellm-next" in admin.play("status").output
        load.wait_for(6)
        ended = admin.play("install", variables=variables)
        load.wait_for(3)
        assert stream.result()
    print(load.summary())
    assert ended.status == 0, ended.output
    assert load.failed() == []
    after = identities(host)
    assert set(after) == set(before), "nothing temporary is left"
    assert {name for name in before if before[name] != after[name]} == {"litellm"}
    assert admin.play("install", variables=variables).changed() == {"gate": 0}


@pytest.mark.extended
def test_the_inventory_is_back(admin: Admin) -> None:
    assert admin.play("install").status == 0

"""A model whose vLLM ends by itself comes back, and one that cannot live stays down."""

from __future__ import annotations

import pytest
import requests
from lab.fixtures import Admin, Door, identities, inspect, wait_until
from testinfra.host import Host

testinfra_hosts = ["ansible://real", "ansible://light"]

START_SECONDS = 900  # of the real vLLM on a busy machine


@pytest.fixture
def model(host: Host) -> str:
    return "tiny-chat" if host.backend.host == "real" else "pair"


def processes(host: Host, container: str, title: str) -> list[str]:
    """IDs of the container's processes of that title, without the wrapper; none while Docker starts it again."""
    listed = host.run(f"docker top {container} -eo pid,args").stdout.splitlines()
    return [line.split()[0] for line in listed if title in line and "/bin/sh" not in line and "-init" not in line]


def kill(host: Host, container: str, title: str, signal: str) -> None:
    wait_until(lambda: bool(processes(host, container, title)), f"{title} runs")
    (pid,) = processes(host, container, title)
    host.check_output(f"kill -{signal} {pid}")


def answers(door: Door, model: str) -> bool:
    try:
        return door.chat(model).status_code == 200
    except requests.ConnectionError:
        return False


def started(host: Host, container: str) -> str:
    return identities(host)[container][1]


def test_a_request_for_all_that_the_sampler_can_do_is_answered(door: Door, model: str) -> None:
    answer = door.chat(model, n=2, seed=1, logprobs=True, top_logprobs=2, max_tokens=4)
    assert answer.status_code == 200, answer.text


@pytest.mark.extended
def test_comes_back_whatever_it_ends_with(host: Host, door: Door, model: str) -> None:
    """The real vLLM ends with 0 when its engine core dies; the stand-in ends with 0 at SIGTERM."""
    container = f"vllm-{model}-1"
    before = started(host, container)
    kill(host, container, *(("VLLM::EngineCore", "KILL") if model == "tiny-chat" else ("vllm serve", "TERM")))
    wait_until(lambda: started(host, container) != before, "Docker starts it again", START_SECONDS)
    wait_until(lambda: answers(door, model), "it answers again", START_SECONDS)
    log = host.check_output(f"docker logs {container} 2>&1")
    assert "inference-fleet: vLLM ended with status 0 by itself" in log


@pytest.mark.extended
def test_stays_down_after_five_deaths_and_says_so(host: Host, door: Door, admin: Admin, model: str) -> None:
    if model != "pair":
        pytest.skip("the real vLLM takes a minute for each start; the script is the same")
    container = "vllm-pair-2"  # new to it: the test before was of the first replica

    def down() -> bool:
        return bool(inspect(host, container)[container]["State"]["Status"] == "exited")

    for death in range(5):
        before = started(host, container)
        kill(host, container, "vllm serve", "KILL")
        if death < 4:
            wait_until(lambda before=before: started(host, container) != before, "Docker starts it again")
    wait_until(down, "it stays down")
    assert inspect(host, container)[container]["State"]["ExitCode"] == 0
    log = host.check_output(f"docker logs --tail 2 {container} 2>&1")
    assert "vLLM died 5 times within 10 minutes, or before it served: the container stays down" in log
    told = admin.play("status", "--limit", "light", "-e", "fail_on=replica")
    assert told.status != 0
    assert "vLLM died 5 times within 10 minutes" in told.messages
    assert answers(door, model), "the other replica serves"
    run = admin.play("install", "--limit", "light")
    assert run.status == 0, run.output
    assert not down()

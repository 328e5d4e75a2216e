"""The first process of a model container, run by a real shell around a `vllm` that does what a test says."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import entrypoint

LONG_AGO = int(time.time()) - entrypoint.SECONDS - 5
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts the script around a `vllm` with these lines of shell."""

    def run(*lines: str, wait: int = 0, port: int = 1) -> subprocess.Popen[str]:
        vllm = tmp_path / "vllm"
        vllm.write_text("\n".join(["#!/bin/sh", *lines, ""]))
        vllm.chmod(0o755)
        command = ["/bin/sh", "-c", entrypoint.script(str(tmp_path / "deaths"), wait, port), "vllm serve"]
        return subprocess.Popen(
            [*command, "own/model", "--port", "8000"],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return run


def ends(process: subprocess.Popen[str]) -> tuple[int, str]:
    output, errors = process.communicate(timeout=20)
    return process.returncode, output + errors


def test_vllm_gets_its_arguments_as_they_are(start: Start) -> None:
    assert "serve|own/model|--port|8000|" in ends(start("printf '%s|' \"$@\"", "exit 3"))[1]


@pytest.mark.parametrize(("code", "expected"), [(0, 1), (1, 1), (3, 3), (137, 137)])
def test_an_end_by_itself_is_a_failure_whatever_the_code(start: Start, code: int, expected: int) -> None:
    status, output = ends(start(f"exit {code}"))
    assert status == expected
    assert f"inference-fleet: vLLM ended with status {code} by itself" in output


def test_a_kill_of_vllm_is_a_failure(start: Start) -> None:
    assert ends(start("kill -KILL $$"))[0] == 137


def test_a_stop_lets_vllm_end_and_is_none(start: Start, tmp_path: Path) -> None:
    process = start(
        f"trap 'echo asked; sleep 0.3; echo finished; exit 5' TERM; touch {tmp_path}/up",
        "while true; do sleep 0.1; done",
    )
    while not (tmp_path / "up").exists():
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    status, output = ends(process)
    assert (status, output.split()) == (0, ["asked", "finished"])


def test_stays_down_after_as_many_deaths(start: Start, tmp_path: Path) -> None:
    for death in range(1, entrypoint.MOST):
        assert ends(start("exit 0"))[0] == 1, death
    status, output = ends(start("exit 137"))
    assert status == 0
    assert entrypoint.GAVE_UP in output
    assert not (tmp_path / "deaths").exists(), "the next start would give up at once"


def test_deaths_of_long_ago_do_not_count(start: Start, tmp_path: Path) -> None:
    (tmp_path / "deaths").write_text(f"{LONG_AGO} served\n" * 20)
    status, output = ends(start("exit 0"))
    assert status == 1
    assert "starts again in" not in output


def test_deaths_of_long_ago_count_if_vllm_has_never_served(start: Start, tmp_path: Path) -> None:
    """A large model may take half an hour until it fails."""
    (tmp_path / "deaths").write_text(f"{LONG_AGO} served\n" * 9 + f"{LONG_AGO}\n" * (entrypoint.MOST - 1))
    status, output = ends(start("exit 1"))
    assert status == 0
    assert entrypoint.GAVE_UP in output


def test_a_vllm_that_listened_has_served(start: Start, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    listen = f"socket.create_server(('127.0.0.1', {port}))"
    wait = f"[time.sleep(0.05) for _ in iter(lambda: os.path.exists('{tmp_path}/deaths-served'), True)]"
    (tmp_path / "deaths").write_text(f"{LONG_AGO}\n" * (entrypoint.MOST - 1))
    vllm = f'exec {sys.executable} -c "import os, socket, time; one = {listen}; {wait}"'
    assert ends(start(vllm, port=port))[0] == 1
    assert (tmp_path / "deaths").read_text().endswith(" served\n")
    # The next life begins without the mark of this one.
    assert ends(start("exit 3", port=port))[0] == 3
    assert (tmp_path / "deaths").read_text().endswith(" \n")


def test_waits_twice_as_long_before_each_start_and_a_stop_ends_the_wait(start: Start, tmp_path: Path) -> None:
    (tmp_path / "deaths").write_text(f"{int(time.time())}\n" * 3)
    process = start("echo started", wait=7)
    assert process.stderr
    assert process.stderr.readline() == "inference-fleet: starts again in 28 s, after death 3\n"
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert ends(process) == (0, "")
    assert time.monotonic() - began < 15
    assert not (tmp_path / "deaths").exists(), "whoever starts it again expects a start"


def test_without_a_place_for_the_deaths_it_starts_for_ever(start: Start, tmp_path: Path) -> None:
    (tmp_path / "deaths").mkdir()
    for _start in range(entrypoint.MOST + 1):
        assert ends(start("exit 0"))[0] == 1


def test_is_a_correct_script(tmp_path: Path) -> None:
    file = tmp_path / "script.sh"
    file.write_text(entrypoint.script())
    subprocess.run(["sh", "-n", str(file)], check=True)

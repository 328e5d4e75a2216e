"""One module at a time changes a host, and only while its run holds the host's lock. Real processes and locks."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system import work
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.locked import BUSY, NOT_OWN, guard

OWN, OTHER = "a" * 32, "b" * 32
ACTOR = """
import sys, time
from ansible_collections.inference.fleet.plugins.module_utils.system import work
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
work.FOLDER, work.TRIES = sys.argv[1], int(sys.argv[2])
print("asks", flush=True)
try:
    with work.working("mig_partition"):
        print("works", flush=True)
        sys.stdin.readline()
    print("ended", flush=True)
except FleetError as error:
    print(error, flush=True)
"""
Actor = subprocess.Popen[str]


def holder(run: str) -> dict[str, Any]:
    return {
        "user": "ann",
        "host": "laptop",
        "machine": "m",
        "boot": "b",
        "pid": 4711,
        "started": "17",
        "run": run,
        "since": "2026-11-24 02:40:11 UTC",
        "command": "ansible-playbook inference.fleet.install",
    }


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The host's folder, with the lock of the run OWN; modules of this process are of that run, too."""
    monkeypatch.setattr(work, "FOLDER", str(tmp_path))
    monkeypatch.setenv(work.VARIABLE, OWN)
    (tmp_path / "lock").write_text(json.dumps(holder(OWN)))
    return tmp_path


@pytest.fixture
def actor(folder: Path) -> Iterator[Callable[..., Actor]]:
    """Starts a module in another process, and returns when the process is about to ask for the lock."""
    actors: list[Actor] = []

    def start(run: str = OWN, tries: int = 60) -> Actor:
        process = subprocess.Popen(
            [sys.executable, "-c", ACTOR, str(folder), str(tries)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, work.VARIABLE: run},
        )
        actors.append(process)
        assert said(process) == "asks"
        return process

    yield start
    for one in actors:
        one.kill()
        one.communicate()


def said(process: Actor) -> str:
    assert process.stdout
    return process.stdout.readline().rstrip()


def end(process: Actor) -> None:
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()


def is_silent(process: Actor) -> bool:
    """For longer than the second after which a module tries again."""
    return not select.select([process.stdout], [], [], 1.5)[0]


def test_the_second_module_works_when_the_first_has_ended(actor: Callable[..., Actor]) -> None:
    first = actor()
    assert said(first) == "works"
    second = actor()
    assert is_silent(second)
    end(first)
    assert (said(first), said(second)) == ("ended", "works")


def test_a_killed_module_keeps_no_other_waiting(actor: Callable[..., Actor]) -> None:
    first = actor()
    assert said(first) == "works"
    second = actor()
    first.kill()
    assert said(second) == "works"


def test_a_paused_module_keeps_the_lock_and_the_other_fails(actor: Callable[..., Actor], folder: Path) -> None:
    first = actor()
    assert said(first) == "works"
    first.send_signal(signal.SIGSTOP)
    assert said(actor(tries=1)) == (
        f"{folder}/work: mig_partition (PID {first.pid}) still works on the host after 1 s: "
        "wait for its end, then run again"
    )
    first.send_signal(signal.SIGCONT)
    end(first)
    assert said(first) == "ended"


def test_what_was_taken_over_during_the_wait_is_seen_after_it(actor: Callable[..., Actor], folder: Path) -> None:
    """Both runs believe that they hold the host's lock: one was taken for dead, and lives on."""
    first = actor()
    assert said(first) == "works"
    paused = actor()
    paused.send_signal(signal.SIGSTOP)
    (folder / "lock").write_text(json.dumps(holder(OTHER)))
    successor = actor(OTHER)
    end(first)
    assert (said(first), said(successor)) == ("ended", "works")
    paused.send_signal(signal.SIGCONT)
    assert is_silent(paused)
    end(successor)
    assert said(successor) == "ended"
    assert said(paused) == (
        f"{folder}/lock: expected the lock of this run, got ann@laptop (PID 4711, ansible-playbook "
        f"inference.fleet.install) since 2026-11-24 02:40:11 UTC: {work.LOST}"
    )


@pytest.mark.parametrize("text", [None, "null", "", "{", json.dumps({**holder(OWN), "run": None})])
def test_a_run_whose_lock_is_gone_stops(folder: Path, text: str | None) -> None:
    """Released by another run that had taken it over; or removed with /run in a reboot; or of an older version."""
    (folder / "lock").unlink() if text is None else (folder / "lock").write_text(text)
    with pytest.raises(FleetError, match=r"/lock: expected the lock of this run, got "), work.working("mig_partition"):
        pytest.fail("works")
    assert work.worker(str(folder)) is None


def test_a_module_of_a_playbook_without_the_lock_needs_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(work.VARIABLE)
    (folder / "lock").unlink()
    with work.working("mig_partition"):
        assert work.worker(str(folder)) == (os.getpid(), "mig_partition")


def test_a_run_with_the_lock_does_not_work_without_the_mark(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "FOLDER", str(folder / "lock" / "run"))
    with pytest.raises(OSError, match="Not a directory"), work.working("mig_partition"):
        pytest.fail("works")


def test_no_two_of_many_work_at_the_same_time(folder: Path) -> None:
    """Each adds one to a number in a file, in two steps that lose an addition where two work at the same time."""
    count = folder / "count"
    count.write_text("0")
    program = ACTOR.replace(
        "sys.stdin.readline()",
        "n = int(open(sys.argv[3]).read()); time.sleep(0.02); open(sys.argv[3], 'w').write(str(n + 1))",
    )
    program = program.replace("work.FOLDER,", "time.sleep = lambda s, sleep=time.sleep: sleep(s / 50); work.FOLDER,")
    command = [sys.executable, "-c", program, str(folder), "1000", str(count)]
    actors = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _one in range(6)]
    assert [one.communicate()[0] for one in actors] == ["asks\nworks\nended\n"] * 6
    assert count.read_text() == "6"


def test_a_command_that_changes_the_host_keeps_the_lock_of_its_killed_module(folder: Path) -> None:
    """nvidia-smi goes on when its module is killed."""
    program = ACTOR.replace(
        "sys.stdin.readline()",
        "import subprocess; subprocess.run(['sh', '-c', 'echo $$; exec sleep 60'], pass_fds=work.held())",
    )
    with subprocess.Popen([sys.executable, "-c", program, str(folder), "1"], stdout=subprocess.PIPE, text=True) as one:
        assert (said(one), said(one)) == ("asks", "works")
        command = int(said(one))
        one.kill()
    try:
        assert work.worker(str(folder), work.STOPPABLE) == (one.pid, "mig_partition")
    finally:
        os.kill(command, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while (left := work.worker(str(folder))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left is None


def test_a_set_clock_ends_no_wait(folder: Path, actor: Callable[..., Actor], monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait and no identity uses the clock that an admin or a time server sets."""

    def clock() -> float:
        raise AssertionError("the clock of the wall was read")

    first = actor()
    assert said(first) == "works"
    monkeypatch.setattr(time, "time", clock)
    monkeypatch.setattr(work, "TRIES", 2)
    with pytest.raises(FleetError, match="still works on the host"), work.working("mig_partition"):
        pytest.fail("works")
    assert work.worker(str(folder), ["mig_partition"]) is None
    assert first.wait(10) == -signal.SIGTERM


# The containers of services: community.docker's module behind the same lock


def guarded(folder: Path, run: str, command: str, tries: int = 1) -> subprocess.CompletedProcess[str]:
    line = f"LANG=C {guard(run, str(folder), tries)} {command}"
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)


def test_a_guarded_command_marks_its_work(folder: Path) -> None:
    done = guarded(folder, OWN, f"sh -c 'echo $$ $LANG; cat {folder}/work'")
    pid, language = done.stdout.split()[:2]
    assert (done.returncode, language) == (0, "C")
    assert done.stdout.split()[2:][0] == pid
    assert done.stdout.split()[2:][2] == "service_container"
    assert guarded(folder, OWN, "sh -c 'exit 3'").returncode == 3


def test_a_guarded_command_of_a_run_that_lost_the_lock_does_not_begin(folder: Path) -> None:
    for text in (json.dumps(holder(OTHER)), "null", ""):
        (folder / "lock").write_text(text)
        assert guarded(folder, OWN, f"touch {folder}/begun").returncode == NOT_OWN
    assert not (folder / "begun").exists()


def test_a_guarded_command_and_a_module_keep_each_other_waiting(folder: Path, actor: Callable[..., Actor]) -> None:
    module = actor()
    assert said(module) == "works"
    assert guarded(folder, OWN, f"touch {folder}/begun").returncode == BUSY
    assert not (folder / "begun").exists()
    end(module)
    assert said(module) == "ended"
    line = f"{guard(OWN, str(folder))} sh -c 'echo begun; exec sleep 60'"
    with subprocess.Popen(["sh", "-c", f"exec {line}"], stdout=subprocess.PIPE, text=True) as command:
        assert said(command) == "begun"
        assert said(actor(tries=1)).startswith(f"{folder}/work: service_container (PID ")
        assert work.worker(str(folder), work.STOPPABLE) is None, "a run that breaks the lock stops it"
        assert command.wait(10) != 0

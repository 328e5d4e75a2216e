"""inference.fleet.host_lock: one run at a time, both halves together: the action here, the module on a host."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.action import host_lock as action
from ansible_collections.inference.fleet.plugins.module_utils.system import work
from ansible_collections.inference.fleet.plugins.modules import host_lock as module
from ansible_collections.inference.fleet.plugins.plugin_utils import this_run
from ansible_collections.inference.fleet.tests.unit.running import Module


class Host:
    """One host's lock file. `run` is the task, as a run of ansible-playbook with this process ID does it."""

    def __init__(self, lock: Path, main: Module, monkeypatch: pytest.MonkeyPatch) -> None:
        self.lock = lock
        self.main = main
        self.monkeypatch = monkeypatch

    def run(self, pid: int | None = None, check: bool = False, **arguments: Any) -> dict[str, Any]:
        self.monkeypatch.setattr(this_run.os, "getppid", lambda: pid or os.getpid())
        task = Mock(args={"path": str(self.lock), **arguments}, check_mode=check)
        plugin = action.ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())
        self.monkeypatch.setattr(
            plugin, "_execute_module", lambda module_name, module_args, task_vars: self.main(check, **module_args)
        )
        answer: dict[str, Any] = plugin.run(task_vars={})
        return answer

    def holder(self) -> Any:
        return json.loads(self.lock.read_text())


def release(lock: Path) -> None:
    """As another run of the module does, while nobody else reads or writes the file."""
    with lock.open("r+") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.truncate()
        file.write("null")


@pytest.fixture
def host(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Host:
    return Host(tmp_path / "run" / "lock", Module(module.main, capsys), monkeypatch)


@pytest.fixture
def other() -> Iterator[int]:
    """The process ID of another run on this machine, alive."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


@pytest.fixture
def ended() -> int:
    """The process ID of a run that has ended."""
    with subprocess.Popen(["true"]) as process:
        process.wait()
        return process.pid


def test_takes_a_lock_that_nobody_holds(host: Host) -> None:
    answer = host.run()
    assert not answer.get("failed")
    assert host.holder() == answer["holder"]
    assert (answer["holder"]["pid"], answer["holder"]["host"]) == (os.getpid(), socket.gethostname())
    assert not answer.get("changed")


def test_a_run_may_take_its_own_lock_again(host: Host) -> None:
    host.run()
    assert not host.run().get("failed")


def test_another_run_is_told_who_holds_it_since_when_and_what_to_do(host: Host, other: int) -> None:
    host.run(other)
    since = host.holder()["since"]
    answer = host.run()
    assert answer["failed"] is True
    user = host.holder()["user"]
    assert answer["msg"] == (
        f"{host.lock} is held by {user}@{socket.gethostname()} (PID {other}, ansible-playbook) since {since}: "
        "wait for that run to end; if its machine is gone, run again with -e fleet_break_lock=true"
    )
    assert host.holder()["pid"] == other


def test_a_lock_whose_run_has_ended_is_taken_over_with_a_warning(host: Host, other: int) -> None:
    host.run(other)
    left = {**host.holder(), "started": "1"}  # another process has the same ID now
    host.lock.write_text(json.dumps(left))
    answer = host.run()
    assert not answer.get("failed")
    (warning,) = answer["warnings"]
    assert warning == (
        f"took over the lock of {left['user']}@{socket.gethostname()} (PID {other}, ansible-playbook) "
        f"since {left['since']}, which has ended without releasing it"
    )
    assert host.holder()["pid"] == os.getpid()


def test_a_lock_whose_process_is_gone_is_taken_over(host: Host, other: int, ended: int) -> None:
    host.run(other)
    host.lock.write_text(json.dumps({**host.holder(), "pid": ended}))
    assert host.run()["warnings"]
    assert host.holder()["pid"] == os.getpid()


def test_of_two_runs_that_take_over_the_same_dead_lock_one_is_refused(
    host: Host, other: int, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run takes the lock over first."""
    host.run(other)
    winner = host.holder()
    host.lock.write_text(json.dumps({**winner, "pid": ended}))

    def started(pid: int, started: Any = this_run.started) -> str:
        if pid == ended:  # looked at just before the lock is taken over
            host.lock.write_text(json.dumps(winner))
        return str(started(pid))

    monkeypatch.setattr(this_run, "started", started)
    answer = host.run()
    assert host.holder() == winner
    assert answer["failed"] is True


def test_a_lock_from_another_machine_is_not_taken_over_for_want_of_a_process_here(
    host: Host, other: int, ended: int
) -> None:
    host.run(other)
    host.lock.write_text(json.dumps({**host.holder(), "pid": ended, "host": "admin-laptop", "machine": "another"}))
    answer = host.run()
    assert answer["failed"] is True
    assert "@admin-laptop" in answer["msg"]


def test_a_lock_from_another_container_is_not_taken_over_for_want_of_a_process_here(
    host: Host, other: int, ended: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Containers of one image may have the same /etc/machine-id, and never see each other's processes."""
    host.run(other)
    host.lock.write_text(json.dumps({**host.holder(), "pid": ended}))
    monkeypatch.setattr(this_run.os, "readlink", lambda path: "pid:[4026532999]")
    assert host.run()["failed"] is True


def test_a_lock_is_broken_on_demand_whoever_holds_it(host: Host, other: int) -> None:
    host.run(other)
    assert not host.run(take_over=True).get("failed")
    assert host.holder()["pid"] == os.getpid()


def test_gives_its_own_lock_back(host: Host) -> None:
    host.run()
    answer = host.run(state="absent")
    assert (answer["holder"], host.holder()) == (None, None)
    assert not host.run().get("failed")


def test_leaves_the_lock_of_another_run_when_giving_back(host: Host, other: int) -> None:
    """A run that gets no lock also reaches its `always`."""
    host.run(other)
    assert not host.run(state="absent").get("failed")
    assert host.holder()["pid"] == other


def test_giving_back_what_nobody_holds_is_no_fault(host: Host) -> None:
    assert host.run(state="absent")["holder"] is None


@pytest.mark.parametrize("text", ["", "{", '{"user": "ro', "null", "5", "[]", '{"pid": 1}'])
def test_a_lock_file_that_was_cut_off_holds_nobody(host: Host, text: str) -> None:
    host.lock.parent.mkdir()
    host.lock.write_text(text)
    assert not host.run().get("failed")
    assert host.holder()["pid"] == os.getpid()


# Check mode


def test_check_mode_takes_nothing(host: Host) -> None:
    assert not host.run(check=True).get("failed")
    assert not host.lock.parent.exists()


def test_check_mode_is_told_of_another_run_too(host: Host, other: int) -> None:
    host.run(other)
    assert host.run(check=True)["failed"] is True
    assert host.holder()["pid"] == other


def test_a_run_knows_which_lock_it_has_taken(host: Host) -> None:
    """The fact, which the actions of modules that change the host read."""
    assert host.run()["ansible_facts"] == {"inference_fleet_lock": host.holder()["run"]}
    assert host.run(state="absent")["ansible_facts"] == {"inference_fleet_lock": ""}
    assert "ansible_facts" not in host.run(check=True)


def test_a_run_without_the_lock_has_no_fact(host: Host, other: int) -> None:
    host.run(other)
    assert "ansible_facts" not in host.run()


def test_a_set_clock_changes_no_holder(host: Host, other: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither is an own lock lost, nor is another run taken for ended."""
    host.run()
    for days in (-400, 400):
        monkeypatch.setattr(this_run.time, "gmtime", lambda days=days: time.localtime(days * 86400 + 1.8e9))
        assert not host.run().get("failed")
    host.run(state="absent")
    host.run(other)
    monkeypatch.setattr(this_run.time, "gmtime", lambda: time.localtime(0))
    assert host.run()["failed"] is True
    assert host.holder()["pid"] == other


def booted(host: Host, other: int, name: str) -> None:
    """The lock is of a machine with the same ID, before a reboot or a copy of this one."""
    host.run(other)
    host.lock.write_text(json.dumps({**host.holder(), "boot": "of-another-boot", "run": "0" * 32, "host": name}))


def test_a_lock_from_before_a_reboot_of_this_machine_is_taken_over(host: Host, other: int) -> None:
    """Even if a process has the same ID and start by chance."""
    booted(host, other, socket.gethostname())
    assert host.run()["warnings"]
    assert host.holder()["pid"] == os.getpid()


def test_a_lock_from_a_copy_of_this_machine_is_not_taken_over(host: Host, other: int) -> None:
    booted(host, other, "copy")
    assert host.run()["failed"] is True
    assert host.holder()["host"] == "copy"


def test_only_root_can_keep_a_run_waiting_at_the_file(host: Host) -> None:
    host.lock.parent.mkdir()
    host.lock.touch(0o644)
    host.run()
    assert {path.stat().st_mode & 0o777 for path in (host.lock, host.lock.parent / "work")} == {0o600}


def test_check_mode_gives_nothing_back(host: Host) -> None:
    host.run()
    host.run(check=True, state="absent")
    assert host.holder()["pid"] == os.getpid()


# Messages about the holder


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["python", "/bin/ansible-playbook", "install.yml"], "ansible-playbook install.yml"),
        (
            ["python", "/bin/ansible-playbook", "-i", "hosts.yml", "-e", "key=sk-0123456789", "play books/install.yml"],
            "ansible-playbook 'play books/install.yml'",
        ),
        (["python", "-m", "ansible"], "ansible-playbook"),
    ],
)
def test_names_the_playbook_and_no_option_since_that_may_hold_a_secret(
    words: list[str], command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cmdline").write_text("\0".join(words))
    monkeypatch.setattr(this_run, "Path", lambda _path: tmp_path / "cmdline")
    assert this_run.command(1) == command


def test_a_process_that_is_gone_has_no_start_and_no_command(ended: int) -> None:
    assert (this_run.started(ended), this_run.command(ended)) == ("", "ansible-playbook")


def test_tells_two_processes_of_the_same_id_apart_by_their_start(other: int) -> None:
    assert this_run.started(other).isdigit()
    assert this_run.started(other) != this_run.started(os.getpid())


def test_the_module_alone_cannot_know_who_takes_the_lock(host: Host) -> None:
    answer = host.main(path=str(host.lock))
    assert answer["failed"] is True
    assert answer["msg"] == "owner: missing; the action plugin inference.fleet.host_lock sets it"


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("-i inventory inference.fleet.install", ["inference.fleet.install"]),
        ("--inventory hosts.yml site.yml --limit gpu1.example.com", ["site.yml"]),
        ("-i hosts.yml --check inference.fleet.install", ["inference.fleet.install"]),
        ("-e model=x", []),
    ],
)
def test_a_lock_tells_the_playbook_and_no_options(command: str, told: list[str]) -> None:
    assert this_run.playbooks(command.split()) == told


def test_a_patient_run_gets_the_lock_when_it_is_given_back(host: Host, other: int, quick: None) -> None:
    host.run(other)
    threading.Timer(0.3, release, [host.lock]).start()
    answer = host.run(wait=30)
    assert "failed" not in answer
    assert host.holder()["pid"] == os.getpid()


def test_a_restore_is_waited_for_by_everybody(host: Host, other: int, quick: None) -> None:
    host.run(other)
    held = {**host.holder(), "command": "ansible-playbook inference.fleet.reboot_restore"}
    host.lock.write_text(json.dumps(held))
    threading.Timer(0.3, release, [host.lock]).start()
    assert "failed" not in host.run()
    assert host.holder()["pid"] == os.getpid()


def test_patience_ends_with_who_holds_it(host: Host, other: int, quick: None) -> None:
    host.run(other)
    answer = host.run(wait=1)
    assert answer["failed"]
    assert f"PID {other}" in answer["msg"]
    assert host.holder()["pid"] == other


def test_after_its_patience_a_restore_takes_it_over_with_a_word(host: Host, other: int, quick: None) -> None:
    host.run(other)
    answer = host.run(wait=1, take_over=True)
    assert "failed" not in answer
    assert "did not release it within 1 s" in answer["warnings"][0]
    assert host.holder()["pid"] == os.getpid()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "POLL_SECONDS", 0.05)
    monkeypatch.setattr(action, "Display", Mock())


# The module of a run that was killed works on

WORKER = """
import sys, time
from ansible_collections.inference.fleet.plugins.module_utils.system import work
work.FOLDER = sys.argv[1]
with work.working(sys.argv[2]):
    print("works", flush=True)
    time.sleep(60)
"""


@contextmanager
def working(host: Host, name: str) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", WORKER, str(host.lock.parent), name]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout and process.stdout.readline() == "works\n"
        yield process
        process.kill()


@pytest.fixture
def worker(host: Host) -> Iterator[subprocess.Popen[str]]:
    with working(host, "model_containers") as process:
        yield process


@pytest.mark.parametrize("name", ["model_containers", "recipe_image"])
def test_the_next_run_stops_the_module_of_a_run_that_was_killed(host: Host, ended: int, quick: None, name: str) -> None:
    host.run()
    with working(host, name) as module:
        host.lock.write_text(json.dumps({**host.holder(), "pid": ended}))
        answer = host.run()
        assert ("failed" in answer, answer["works"]) == (False, None)
        assert module.wait(10) == -signal.SIGTERM


def test_a_module_that_would_leave_something_stopped_is_waited_for(
    host: Host, ended: int, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action, "WORK_SECONDS", 0.2)
    host.run()
    with working(host, "mig_partition") as module:
        host.lock.write_text(json.dumps({**host.holder(), "pid": ended}))
        assert host.run()["msg"].startswith(f"mig_partition (PID {module.pid}) of a run that was killed still works")
        assert module.poll() is None


def test_a_run_waits_for_a_module_where_nobody_held_the_lock(
    host: Host, worker: subprocess.Popen[str], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(action, "Display", lambda: SimpleNamespace(display=shown.append))
    threading.Timer(0.3, worker.kill).start()
    answer = host.run()
    assert ("failed" in answer, answer["works"]) == (False, None)
    assert worker.wait() == -signal.SIGKILL
    assert shown == [
        "waiting for 1800 s at most: model_containers "
        f"(PID {worker.pid}) of a run that was killed still works on the host"
    ]


def test_a_module_that_does_not_end_is_told_and_the_lock_released(
    host: Host, worker: subprocess.Popen[str], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(action, "WORK_SECONDS", 0.2)
    assert host.run() == {
        "failed": True,
        "msg": f"model_containers (PID {worker.pid}) of a run that was killed still works on the host: "
        "wait for the module to end, or stop it with -e fleet_break_lock=true",
    }
    assert host.holder() is None


def test_a_lock_that_is_broken_stops_the_module(host: Host, worker: subprocess.Popen[str], quick: None) -> None:
    assert "failed" not in host.run(take_over=True)
    assert worker.wait(10) == -signal.SIGTERM


def test_a_restore_stops_a_module_that_it_continues(host: Host, worker: subprocess.Popen[str]) -> None:
    """No admin can retry, and the module may wait for a model for half an hour."""
    assert host.run(take_over=True, wait=900)["works"] is None
    assert worker.wait(10) == -signal.SIGTERM


def test_a_restore_stops_another_module_after_a_wait(host: Host, quick: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action, "RESTORE_SECONDS", 0.3)
    with working(host, "mig_partition") as module:
        began = time.monotonic()
        assert host.run(take_over=True, wait=900)["works"] is None
        assert module.wait(10) == -signal.SIGTERM
        assert time.monotonic() - began >= 0.3


def test_a_backup_that_waited_works_beside_the_module(host: Host, worker: subprocess.Popen[str]) -> None:
    assert host.run(wait=600)["works"] == {"pid": worker.pid, "module": "model_containers"}
    assert worker.poll() is None


def test_a_module_that_is_paused_is_stopped_too(
    host: Host, worker: subprocess.Popen[str], quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "KILL_SECONDS", 0.3)
    worker.send_signal(signal.SIGSTOP)
    while ") T " not in Path(f"/proc/{worker.pid}/stat").read_text():
        time.sleep(0.01)
    assert host.run(take_over=True)["works"] is None
    assert worker.wait(10) == -signal.SIGKILL


def test_a_mark_that_a_killed_module_left_ends_no_other_process(host: Host, other: int, quick: None) -> None:
    """Its process ID belongs to another process, and a module that has not written its mark has the lock."""
    host.run()
    mark = host.lock.parent / "work"
    mark.write_text(f"{other} 1 model_containers")
    with mark.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert work.worker(str(host.lock.parent), work.STOPPABLE) == (other, "model_containers")
    assert this_run.started(other), "the process lives"


def test_check_mode_does_not_wait_for_a_module(host: Host, worker: subprocess.Popen[str]) -> None:
    assert "failed" not in host.run(check=True)


def test_a_module_waits_for_another_one_and_then_works(
    host: Host, worker: subprocess.Popen[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ends(_seconds: float) -> None:
        worker.kill()
        worker.wait()

    monkeypatch.setattr(work, "FOLDER", str(host.lock.parent))
    monkeypatch.setattr(work.time, "sleep", ends)
    with work.working("model_cache"):
        assert work.worker(str(host.lock.parent)) == (os.getpid(), "model_cache")
    assert work.worker(str(host.lock.parent)) is None


def test_a_user_who_may_not_write_the_mark_works_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(work, "FOLDER", str(tmp_path / "file" / "run"))
    with work.working("litellm_key"):
        pass

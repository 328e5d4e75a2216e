"""The page's watch of the hosts, with a stand-in for ansible-playbook that writes files."""

from __future__ import annotations

import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "roles" / "page" / "files"))

from fleet_page import live as module  # found by the path above
from fleet_page import watch_process
from fleet_page.live import Live
from fleet_page.watch_process import needed_password, why_ended

PATIENCE_S = 10
# Notes its process ID, arguments, environment and passwords, then does what `act` says.
PROGRAM = """#!/usr/bin/env python3
import json, os, sys, time
home = os.environ["STAND_IN"]
words = sys.argv[1:]
dest = json.loads(words[words.index("-e") + 1])["dest"]
passwords = {name: open(path).read() for name, path in zip(words, words[1:]) if name.endswith("-password-file")}
def show(host, **more):
    with open(f"{dest}/.{host}", "w") as file:
        json.dump({"schema": 1, "host": host, "time": time.time(), "fault": None, **more}, file)
    os.replace(f"{dest}/.{host}", f"{dest}/{host}.json")
environment = {name: os.environ.get(name) for name in ("ANSIBLE_CONFIG", "ANSIBLE_FORKS")}
started = {"pid": os.getpid(), "words": words, "passwords": passwords, "environment": environment,
           "secret": [name for name, value in os.environ.items() if "swordfish" in value]}
with open(f"{home}/starts", "a") as file:
    file.write(json.dumps(started) + "\\n")
exec(open(f"{home}/act").read())
"""
RUNS = 'show("gpu1", containers=[])\ntime.sleep(600)\n'


@dataclass(frozen=True)
class Given:
    program: Path
    ansible_config: Path
    inventory: Path
    runtime: Path


class StandIn:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = Given(folder / "program", folder / "ansible.cfg", folder / "hosts.yml", folder / "run")
        self.settings.program.write_text(PROGRAM)
        self.settings.program.chmod(0o755)
        self.act(RUNS)

    def act(self, program: str) -> None:
        (self.folder / "act").write_text(program)

    def starts(self) -> list[dict[str, Any]]:
        file = self.folder / "starts"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def lives(self) -> list[bool]:
        return [Path(f"/proc/{one['pid']}/cwd").exists() for one in self.starts()]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StandIn:
    monkeypatch.setenv("STAND_IN", str(tmp_path))
    for name, seconds in {"LOOK_SECONDS": 0.02, "INVENTORY_SECONDS": 0.05, "LONGEST_SECONDS": 0.2}.items():
        monkeypatch.setattr(module, name, seconds)
    return StandIn(tmp_path)


@pytest.fixture
def digest() -> list[str]:
    return ["first"]


@pytest.fixture
def live(program: StandIn, digest: list[str]) -> Iterator[Live]:
    live = Live(program.settings, lambda: digest[0])
    yield live
    live.close()
    assert not any(program.lives())


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nothing_runs_until_somebody_looks(live: Live, program: StandIn) -> None:
    time.sleep(0.2)
    assert (live.hosts(), live.note, live.version, program.starts()) == ({}, "", 0, [])


def test_runs_once_for_all_viewers(live: Live, program: StandIn) -> None:
    viewers = [threading.Thread(target=live.look) for _viewer in range(20)]
    for viewer in viewers:
        viewer.start()
    until(live.hosts)
    assert live.hosts()["gpu1"].observation["containers"] == []
    assert 0 <= live.hosts()["gpu1"].age < PATIENCE_S
    (start,) = program.starts()
    assert start["words"][:3] == ["-i", str(program.settings.inventory), "inference.fleet.watch"]
    assert start["environment"] == {"ANSIBLE_CONFIG": str(program.settings.ansible_config), "ANSIBLE_FORKS": "1000"}
    folder = program.settings.runtime / "watch"
    assert folder.stat().st_mode & 0o777 == 0o700


def test_ends_when_nobody_looks_any_more_and_starts_again(
    live: Live, program: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "UNSEEN_SECONDS", 0.5)
    live.look()
    until(live.hosts)
    until(lambda: not any(program.lives()))
    until(lambda: not any(thread.name == "watch" for thread in threading.enumerate()))
    assert live.hosts(), "with its age"
    live.look()
    until(lambda: program.lives() == [False, True])


def test_the_version_differs_when_a_file_does(live: Live, program: StandIn) -> None:
    program.act(
        'show("gpu1", n=1)\nwhile not os.path.exists(f"{home}/go"): time.sleep(0.01)\nshow("gpu1", n=2)\n'
        "time.sleep(600)\n"
    )
    live.look()
    until(live.hosts)
    version = live.version
    time.sleep(0.2)
    assert live.version == version
    (program.folder / "go").touch()
    until(lambda: live.hosts()["gpu1"].observation["n"] == 2)
    assert live.version != version


def test_a_host_that_is_away_keeps_what_was_seen_last_with_its_age(live: Live, program: StandIn) -> None:
    program.act(
        'show("gpu1", time=time.time() - 100, containers=[7])\ntime.sleep(0.3)\n'
        'show("gpu1", fault="lost")\nshow("gpu2", fault="never seen")\ntime.sleep(600)\n'
    )
    live.look()
    until(lambda: live.hosts() and live.hosts()["gpu1"].fault)
    one = live.hosts()["gpu1"]
    assert (one.fault, one.observation["containers"]) == ("lost", [7])
    assert one.age >= 100
    until(lambda: "gpu2" in live.hosts())
    assert live.hosts()["gpu2"].fault == "never seen"


def test_damaged_and_hidden_files_are_left_out(live: Live, program: StandIn) -> None:
    program.act(
        'open(f"{dest}/a.json", "w").write("{")\nopen(f"{dest}/b.json", "w").write("[1]")\n'
        'open(f"{dest}/.c.json", "w").write("{}")\n' + RUNS
    )
    live.look()
    until(live.hosts)
    assert set(live.hosts()) == {"gpu1"}


def test_a_program_that_ends_is_started_again_and_says_why(live: Live, program: StandIn) -> None:
    program.act(
        'print("PLAY [x] ****")\nprint("[ERROR]: the inventory is \\x1b[31mbroken", file=sys.stderr)\nsys.exit(4)\n'
    )
    live.look()
    until(lambda: live.note)
    assert live.note == "the playbook watch ended with exit code 4: [ERROR]: the inventory is ?[31mbroken"
    until(lambda: len(program.starts()) >= 3)
    program.act(RUNS)
    until(live.hosts)
    assert live.note == ""


def test_a_program_that_is_missing_is_said(live: Live, program: StandIn) -> None:
    program.settings.program.unlink()
    live.look()
    until(lambda: live.note)
    assert live.note == f"{program.settings.program}: No such file or directory"


def test_a_changed_inventory_starts_it_again_once(live: Live, program: StandIn, digest: list[str]) -> None:
    live.look()
    until(live.hosts)
    time.sleep(0.2)
    digest[0] = "second"
    until(lambda: program.lives() == [False, True])
    time.sleep(0.3)
    assert len(program.starts()) == 2


def test_passwords_go_through_pipes_alone(live: Live, program: StandIn) -> None:
    live.give({"become": "swordfish", "vault": "sword\u00fc fish", "other": "x"})
    until(live.hosts)
    (start,) = program.starts()
    assert start["passwords"] == {
        "--become-password-file": "swordfish\n",
        "--vault-password-file": "sword\u00fc fish\n",
    }
    assert start["secret"] == [] and "swordfish" not in " ".join(start["words"])
    until(lambda: [path for path in program.settings.runtime.rglob("*") if path.is_fifo()] == [])
    written = [path for path in program.folder.rglob("*") if path.is_file() and path.name not in ("starts", "program")]
    assert not any("swordfish" in path.read_text() for path in written)
    assert "swordfish" not in repr(vars(live))


def test_a_program_with_passwords_outlives_a_change_of_the_inventory(
    live: Live, program: StandIn, digest: list[str]
) -> None:
    live.give({"become": "swordfish"})
    until(live.hosts)
    time.sleep(0.2)
    digest[0] = "second"
    until(lambda: live.note)
    assert live.note == module.WAITS_FOR_PASSWORD
    assert program.lives() == [True]
    live.give({"become": "swordfish"})
    until(lambda: program.lives() == [False, True])
    until(lambda: not live.note)


def test_an_inventory_that_needs_a_password_is_not_tried_until_there_is_one(live: Live, program: StandIn) -> None:
    program.act('print("ERROR! Attempting to decrypt but no vault secrets found", file=sys.stderr)\nsys.exit(4)\n')
    live.look()
    until(lambda: live.needs)
    assert live.needs == "vault"
    time.sleep(0.6)
    assert len(program.starts()) == 1
    program.act(RUNS)
    live.give({"vault": "swordfish"})
    until(live.hosts)
    assert (live.needs, live.note) == (None, "")


def test_a_host_that_needs_a_sudo_password_is_known(live: Live, program: StandIn) -> None:
    program.act('show("gpu1", fault="Missing sudo password")\ntime.sleep(600)\n')
    live.look()
    until(live.hosts)
    assert live.needs == "become"


def test_a_program_that_ignores_sigterm_is_killed(
    live: Live, program: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch_process, "END_SECONDS", 0.3)
    program.act("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + RUNS)
    live.look()
    until(live.hosts)
    live.close()
    assert program.lives() == [False]


def test_after_the_end_nothing_starts(live: Live, program: StandIn) -> None:
    live.close()
    live.look()
    time.sleep(0.2)
    assert program.starts() == []


def test_the_folder_of_a_killed_service_is_removed(live: Live, program: StandIn) -> None:
    """The action ends when its folder is gone."""
    left = program.settings.runtime / "watch/0123/hosts"
    left.mkdir(parents=True)
    (left / "old.json").write_text('{"host": "old", "time": 1}')
    live.look()
    until(live.hosts)
    assert not left.exists() and set(live.hosts()) == {"gpu1"}


def test_a_host_that_left_the_inventory_is_forgotten(
    live: Live, program: StandIn, digest: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PATIENCE_SECONDS", 0.3)
    program.act('show("gpu2")\n' + RUNS)
    live.look()
    until(lambda: len(live.hosts()) == 2)
    program.act(RUNS)
    time.sleep(0.2)
    digest[0] = "second"
    until(lambda: set(live.hosts()) == {"gpu1"})


def test_a_digest_that_fails_is_said(program: StandIn) -> None:
    def broken() -> str:
        raise PermissionError(13, "Permission denied", "/srv/inventory")

    live = Live(program.settings, broken)
    live.look()
    until(lambda: live.note)
    assert live.note == "/srv/inventory: Permission denied"
    live.close()


@pytest.mark.parametrize(
    ("lines", "code", "why"),
    [
        ([], -signal.SIGKILL, "the playbook watch was ended by signal 9"),
        (["", "PLAY [x] ***", "ok: [gpu1]", "gpu1 : ok=1 changed=0"], 2, "the playbook watch ended with exit code 2"),
        (["some words"], 1, "the playbook watch ended with exit code 1: some words"),
        (
            ["[WARNING]: w", "noise", 'fatal: [localhost]: FAILED! => {"msg": "no group fleet"}', "PLAY RECAP ***"],
            2,
            'the playbook watch ended with exit code 2: fatal: [localhost]: FAILED! => {"msg": "no group fleet"}',
        ),
    ],
)
def test_the_reason_is_one_line(lines: list[str], code: int, why: str) -> None:
    assert why_ended(lines, code) == why


def test_a_long_reason_is_cut() -> None:
    assert len(why_ended(["x" * 100_000] * 9, 1)) < 500


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("Missing sudo password", "become"),
        ("sudo: a password is required", "become"),
        ("Attempting to decrypt but no vault secrets found", "vault"),
        ("Decryption failed (no vault secrets were found that could decrypt)", "vault"),
        ("Failed to connect to the host via ssh", None),
    ],
)
def test_knows_which_password_is_missing(words: str, name: str | None) -> None:
    assert needed_password(words) == name

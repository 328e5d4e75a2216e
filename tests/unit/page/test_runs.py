"""Runs of playbooks: their outcome, what they get, and that they outlive the page."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from fleet_page import runs as module
from fleet_page.runs import DONE, FAILED, LOST, RUNS, STOPPED, Request, Run, Runs
from fleet_page.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 60.0
ID = "20261129-093000-beef"
WHEN = "2026-11-29T09:30:00+00:00"


class House:
    """A folder with a history, an inventory, and the stand-in for ansible-playbook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "inventory").mkdir()
        (folder / "inventory/hosts.yml").write_text("fleet: {hosts: {gpu1: {}}}\n")
        (folder / "bin").mkdir()
        program = folder / "bin/ansible-playbook"
        script = Path(__file__).with_name("stand_in.py").read_text()
        program.write_text(f"#!{sys.executable} -S\n{script}")
        program.chmod(0o755)
        (folder / "ansible.cfg").write_text("")
        inventory, config = folder / "inventory", folder / "ansible.cfg"
        self.settings = Settings(inventory, folder / "state", folder / "run", program, config)
        self.runs = Runs(self.settings, self.copies)

    @contextmanager
    def copies(self, texts: Any) -> Iterator[tuple[Path, Path]]:
        copy = self.folder / "copy"
        copy.mkdir()
        for file, (_before, after) in texts.items():
            (copy / file.name).write_text(after)
        yield copy, copy
        shutil.rmtree(copy)

    def start(self, playbook: str = "quick", **more: Any) -> str:
        given = {name: more.pop(name) for name in ("passwords", "texts") if name in more}
        return self.runs.start(Request(playbook, "alice", **more), **given)

    def run(self, id: str) -> Run:
        found = self.runs.run(id)
        assert found
        return found

    def called(self) -> dict[str, Any]:
        """How the playbook was called, as soon as it was."""
        self.until((self.folder / "bin/called").exists)
        found: dict[str, Any] = json.loads((self.folder / "bin/called").read_text())
        return found

    def ended(self, id: str) -> Run:
        self.until(lambda: self.run(id).state != RUNS)
        return self.run(id)

    def until(self, wanted: Callable[[], object]) -> None:
        end = time.monotonic() + PATIENCE
        while not wanted():
            assert time.monotonic() < end, [file.read_text() for file in self.folder.glob("state/runs/*/starter.log")]
            time.sleep(0.02)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "roles/page/files"))
    yield House(tmp_path)
    (tmp_path / "bin/go").touch()  # a playbook that still waits ends


def test_a_run_is_kept_with_who_when_what_and_its_log(house: House) -> None:
    id = house.start(options={"model": "a"}, limit="gpu1", title="A title")
    run = house.ended(id)
    assert (run.state, run.request.who, run.request.playbook, run.request.options) == (
        DONE,
        "alice",
        "quick",
        {"model": "a"},
    )
    assert run.ended and abs(run.ended - time.time()) < PATIENCE and run.began.timestamp() <= run.ended + 1
    assert house.runs.log(run).strip() == "PLAY [quick]"
    assert house.runs.all() == [run] and house.runs.active() == []
    words = house.called()["words"]
    assert words[words.index("-i") + 1] == str(house.settings.inventory) and words[-1] == "inference.fleet.quick"
    assert '{"model": {"__ansible_unsafe": "a"}}' in words and "--limit=gpu1" in words
    assert house.called()["environ"]["ANSIBLE_CONFIG"] == str(house.settings.ansible_config)


def test_a_playbook_that_fails_fails_the_run(house: House) -> None:
    assert house.ended(house.start("fail")).state == FAILED


def test_a_program_that_is_not_there_fails_the_run(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.settings.program.unlink()
    monkeypatch.setenv("PATH", "/nowhere")
    run = house.ended(house.start())
    assert run.state in (FAILED, LOST)
    assert "ansible-playbook" in house.runs.log(run)


def test_a_run_outlives_the_page_and_is_found_again(house: House) -> None:
    id = house.start("wait")
    house.called()
    again = House.__new__(House)
    again.folder, again.runs = house.folder, Runs(house.settings, house.copies)
    assert [run.id for run in again.runs.active()] == [id]
    (house.folder / "bin/go").touch()
    assert again.ended(id).state == DONE and house.ended(id).state == DONE


def test_a_stop_interrupts_the_playbook_alone(house: House) -> None:
    id = house.start("wait")
    house.called()
    house.runs.stop(id, "bob")
    run = house.ended(id)
    assert (run.state, run.stopped_by) == (STOPPED, "bob")
    assert "User interrupted execution" in house.runs.log(run)
    house.runs.stop(id, "eve")
    assert house.run(id).stopped_by == "bob"


def test_a_second_stop_kills(house: House) -> None:
    id = house.start("deaf")
    house.called()
    time.sleep(0.3)
    house.runs.stop(id, "bob")
    time.sleep(0.2)
    assert house.run(id).state == RUNS
    house.runs.stop(id, "bob")
    assert house.ended(id).state == STOPPED


def test_a_stop_before_the_playbook_began_ends_the_run(house: House) -> None:
    id = house.start("wait")
    house.runs.stop(id, "bob")
    assert house.ended(id).state == STOPPED
    assert not (house.folder / "bin/called").exists() or not _lives(house.called()["pid"])


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_run_whose_process_was_killed_is_lost_and_leaves_no_copy_of_the_inventory(house: House) -> None:
    file = house.settings.inventory / "hosts.yml"
    id = house.start("wait", check=True, texts={file: (file.read_text(), "x: secret\n")})
    house.called()
    folder = house.run(id).folder
    assert (folder / "inventory").exists()
    os.kill(json.loads((folder / "process.json").read_text())["pid"], signal.SIGKILL)
    assert house.ended(id).state == LOST
    assert not (folder / "inventory").exists()


def test_another_process_with_the_same_number_is_not_the_run(house: House) -> None:
    folder = house.settings.folder / "runs" / ID
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({**asdict(Request("x", "alice")), "when": WHEN}))
    (folder / "process.json").write_text(json.dumps({"pid": os.getpid(), "began": "another boot 1"}))
    assert house.run(ID).state == LOST


def test_a_run_without_a_process_is_lost_after_a_while(house: House) -> None:
    folder = house.settings.folder / "runs" / ID
    folder.mkdir(parents=True)
    request = folder / "request.json"
    request.write_text(json.dumps({**asdict(Request("x", "alice")), "when": WHEN}))
    assert house.run(ID).state == RUNS
    os.utime(request, (1, 1))
    assert house.run(ID).state == LOST


def test_a_result_that_is_written_while_we_look_counts(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process writes its result and ends between two looks."""
    folder = house.settings.folder / "runs" / ID
    (folder / "artifacts/run").mkdir(parents=True)
    (folder / "request.json").write_text(json.dumps({**asdict(Request("x", "alice")), "when": WHEN}))

    def ends(_self: Runs, _folder: Path) -> bool:
        (folder / "artifacts/run/rc").write_text("0")
        return False

    monkeypatch.setattr(Runs, "_lives", ends)
    assert house.run(ID).state == DONE


def test_passwords_reach_the_prompts_and_nothing_else(house: House) -> None:
    passwords = {"become": "sudo-Pa$$ 'w\"rd", "vault": "vault-Pa$$ {{ x }}"}
    id = house.start("wait", passwords={**passwords, "other": ""})
    called = house.called()
    assert called["asked"] == {"--ask-become-pass": passwords["become"], "--ask-vault-pass": passwords["vault"]}
    run = house.run(id)
    commands = [_of(pid, name) for pid in _family(run) for name in ("cmdline", "environ")]
    assert len(commands) == 4
    (house.folder / "bin/go").touch()
    assert house.ended(id).state == DONE
    files = [file.read_bytes() for file in run.folder.rglob("*") if file.is_file()]
    assert not [text for text in [*commands, *files] if b"-Pa$$" in text]
    assert house.runs.log(run).count("password") == 2


def _family(run: Run) -> list[int]:
    starter = json.loads((run.folder / "process.json").read_text())["pid"]
    lines = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True).stdout.splitlines()
    return [starter, *(int(pid) for pid, parent in map(str.split, lines) if int(parent) == starter)]


def _of(pid: int, name: str) -> bytes:
    return Path(f"/proc/{pid}/{name}").read_bytes()


def test_a_check_gets_a_copy_of_the_inventory_that_is_removed_afterwards(house: House) -> None:
    file = house.settings.inventory / "hosts.yml"
    id = house.start(check=True, texts={file: (file.read_text(), "fleet: {hosts: {other: {}}}\n")})
    run = house.ended(id)
    called = house.called()
    assert called["inventory"] == [f"{run.folder}/inventory/hosts.yml"]
    assert "--check" in called["words"] and "--diff" in called["words"]
    house.until(lambda: not (run.folder / "inventory").exists())


@pytest.mark.parametrize("limit", ["@/etc/passwd", "gpu1,@/etc/passwd", "gpu1, @x", "gpu1:@x", " @x"])
def test_a_limit_reads_no_file(house: House, limit: str) -> None:
    with pytest.raises(FleetError, match="limit: expected names of hosts"):
        house.start(limit=limit)
    assert house.runs.all() == []


def test_a_full_disk_starts_nothing_and_leaves_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Path, *_given: Any, **_more: Any) -> None:
        raise OSError(28, "No space left on device", str(self))

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FleetError, match=r"request\.json: No space left on device; no run was started"):
        house.start()
    assert not [*(house.settings.folder / "runs").iterdir()]


def test_a_disk_that_is_full_after_the_process_began_ends_it(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    write = Path.write_text

    def full(self: Path, *given: Any, **more: Any) -> Any:
        if self.name == "process.json":
            raise OSError(28, "No space left on device", str(self))
        return write(self, *given, **more)

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(FleetError, match="No space left on device; no run was started"):
        house.start()
    time.sleep(0.5)
    assert not (house.folder / "bin/called").exists()


def test_a_folder_that_cannot_be_made_is_named(house: House) -> None:
    house.settings.folder.write_text("no folder")
    with pytest.raises(FleetError, match="no run was started"):
        house.start()
    assert house.runs.all() == []


@pytest.mark.parametrize(
    "id", ["", ".", "..", "../..", "../../etc", "/etc", "x", "a" * 5000, "\x00", f"{ID}/..", f"{ID}\n", f"../runs/{ID}"]
)
def test_an_id_from_a_browser_finds_no_other_folder(house: House, id: str) -> None:
    for folder in (house.settings.folder / "runs" / ID, house.settings.folder, house.folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "request.json").write_text(json.dumps({**asdict(Request("x", "alice")), "when": WHEN}))
    assert house.runs.run(id) is None
    house.runs.stop(id, "eve")


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "{", '{"playbook": "x"}', '{"a": 1}', "\xff"])
def test_a_broken_folder_is_no_run(house: House, text: str) -> None:
    folder = house.settings.folder / "runs" / ID
    folder.mkdir(parents=True)
    (folder / "request.json").write_text(text, encoding="latin-1")
    assert house.runs.all() == []


def history(house: House, count: int) -> None:
    for number in range(count):
        folder = house.settings.folder / "runs" / f"20261128-{number:06d}-beef"
        (folder / "artifacts/run").mkdir(parents=True)
        (folder / "request.json").write_text(json.dumps({**asdict(Request("x", "alice")), "when": WHEN}))
        (folder / "artifacts/run/rc").write_text("0")


def test_the_history_is_pruned_but_for_what_runs(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT", 3)
    history(house, 5)
    old = house.settings.folder / "runs/20261127-000000-beef"
    old.mkdir()
    (old / "request.json").write_text(json.dumps({**asdict(Request("old", "alice")), "when": WHEN}))
    began = module._began(os.getpid())
    (old / "process.json").write_text(json.dumps({"pid": os.getpid(), "began": began}))
    id = house.start()
    left = [run.id for run in house.runs.all()]
    assert left == [id, "20261128-000004-beef", "20261128-000003-beef", old.name]
    house.ended(id)


def test_the_log_of_a_run_is_its_end(house: House) -> None:
    history(house, 1)
    (run,) = house.runs.all()
    with run.log.open("wb") as file:
        file.truncate(100_000_000)
        file.seek(0, os.SEEK_END)
        file.write("ä".encode() * 300_000 + b"\nthe end\n")
    began = time.perf_counter()
    words = house.runs.log(run)
    assert time.perf_counter() - began < 2
    assert words.endswith("\nthe end\n") and len(words) < module.MOST_LOG + 100
    assert words.startswith("[the first 100,210,009 bytes are left out]\n")


def event(run: Run, number: int, text: str | None = None) -> None:
    run.events.mkdir(parents=True, exist_ok=True)
    data = {"host": "gpu1", "task": f"task {number}", "res": {"changed": True}}
    words = json.dumps({"counter": number, "event": "runner_on_ok", "event_data": data})
    (run.events / f"{number}-x.json").write_text(words if text is None else text)


def test_events_are_read_once_and_again_if_they_were_not_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    history(house, 1)
    (run,) = house.runs.all()
    assert house.runs.progress(run).tasks == 0
    read: list[str] = []
    inner = module._json
    monkeypatch.setattr(module, "_json", lambda file: (read.append(file.name), inner(file))[1])
    event(run, 1)
    event(run, 2, "{")
    assert house.runs.progress(run).hosts["gpu1"].ok == 1
    event(run, 2)
    (run.events / "x-partial.json").write_text('{"event_data": {}}')
    assert house.runs.progress(run).hosts["gpu1"].ok == 2
    assert house.runs.progress(run).hosts["gpu1"].ok == 2
    assert sorted(read) == ["1-x.json", "2-x.json", "2-x.json", "x-partial.json"]


def test_a_real_playbook_shows_its_hosts_and_faults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(ROOT / "roles/page/files"), str(ROOT / ".venv/src")]))
    house = House(tmp_path)
    text = "fleet: {hosts: {gpu1: {ansible_connection: local, fleet_models: 5}}}\n"
    (house.settings.inventory / "hosts.yml").write_text(text)
    (tmp_path / "ansible.cfg").write_text(f"[defaults]\ncollections_path={ROOT}/.venv/src\nnocolor=true\n")
    program = Path(sys.executable).with_name("ansible-playbook")
    runs = Runs(
        Settings(house.settings.inventory, tmp_path / "state", tmp_path, program, tmp_path / "ansible.cfg"),
        house.copies,
    )
    house.runs = runs
    run = house.ended(house.start("status", options={"fail_on": "{{ lookup('pipe', 'touch x') }}"}))
    assert run.state == FAILED
    progress = runs.progress(run)
    assert progress.ended and "fleet_models: expected" in " ".join(progress.hosts["gpu1"].faults)
    assert "\x1b" not in runs.log(run)

"""inference.fleet.watch: the loop, with the module's answers given."""

from __future__ import annotations

import json
import re
import shutil
import stat
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible_collections.inference.fleet.plugins.action import watch as action
from ansible_collections.inference.fleet.plugins.module_utils.watch.containers import Seen
from ansible_collections.inference.fleet.tests.unit.watch.fake_docker import inspected
from ansible_collections.inference.fleet.tests.unit.watch.test_course import answer


class Stopped(BaseException):
    """As Ctrl-C."""


class Connection:
    """A stand-in: the options that the action sets."""

    def __init__(self, transport: str = "ssh", **options: Any) -> None:
        self.transport = transport
        self.options = options
        self._shell = SimpleNamespace(tmpdir="/root/.ansible/tmp/x")

    def get_option(self, name: str) -> Any:
        return self.options.get(name)

    def set_option(self, name: str, value: Any) -> None:
        self.options[name] = value


class Run:
    """answers: of the module, call by call; an exception is raised. Then the run is stopped."""

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, *answers: Any, connection: Any = None, **arguments: Any
    ) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, Any]] = []
        self.shown: list[str] = []
        self.slept = 0.0
        self.now = 0.0
        self.connection = connection or Connection()
        display = SimpleNamespace(display=self.shown.append, warning=self.shown.append)
        monkeypatch.setattr(action, "Display", lambda: display)
        monkeypatch.setattr(action, "time", self)
        templar = SimpleNamespace(template=self._template)
        self.plugin = action.ActionModule(SimpleNamespace(args=arguments), self.connection, None, None, templar, None)
        monkeypatch.setattr(self.plugin, "_execute_module", self._execute)

    def __call__(self, **variables: Any) -> Any:
        task_vars = {"inventory_hostname": variables.pop("name", "gpu1"), **variables}
        try:
            return self.plugin.run(task_vars=task_vars)
        except Stopped:
            return None

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.now += seconds

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1795490400.0 + self.now

    def strftime(self, _form: str) -> str:
        return "12:00:00"

    def _execute(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        assert module_name == "inference.fleet.host_state"
        self.asked.append(dict(module_args))
        self.now += module_args["seconds"]
        if not self.answers:
            raise Stopped
        given = self.answers.pop(0)
        if callable(given) and not isinstance(given, type):
            given = given()
        if isinstance(given, BaseException):
            raise given
        return dict(given)

    @staticmethod
    def _template(value: Any) -> Any:
        if value == "{{ broken }}":
            raise AnsibleError("broken is undefined")
        return value


def has(*containers: dict[str, Any], ready: bool = True, **more: Any) -> dict[str, Any]:
    seen = [{**Seen.parse(one).plain(), "ready": ready and one["State"]["Status"] == "running"} for one in containers]
    return answer(json.dumps(seen), **{"gpus": 0, **more}, containers=seen)


DEAD = inspected(status="exited", exit_code=137)


def test_prints_a_line_for_each_change(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, has(inspected()), has(inspected()), has(DEAD), AnsibleConnectionFailure("lost"), has(DEAD))
    run()
    assert run.shown == [
        "12:00:00 gpu1: model chat: 1 of 1 replicas ready",
        "12:00:00 gpu1: container vllm-chat-1 died with exit code 137",
        "12:00:00 gpu1: model chat: 0 of 1 replicas ready",
        "12:00:00 gpu1: cannot be read: lost",
        "12:00:00 gpu1: can be read again",
        "12:00:00 gpu1: model chat: 0 of 1 replicas ready",
    ]
    assert run.asked[1]["seen"] == has(inspected())["digest"]


def test_a_hostile_name_does_not_control_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = {"managed-by": "inference.fleet", "model-name": "\x1b]0;x\x07\n" + "m" * 1_000_000}
    run = Run(monkeypatch, has(inspected(labels=labels)))
    run()
    (line,) = run.shown
    assert line.isprintable() and len(line) < 300


def test_writes_each_observation_as_a_whole_and_for_the_user_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    files: list[Any] = []

    def look() -> dict[str, Any]:
        files.append(json.loads((tmp_path / "dest/gpu1.json").read_text()))
        return has(DEAD)

    run = Run(monkeypatch, has(inspected()), look, dest=str(tmp_path / "dest"))
    run()
    file = tmp_path / "dest/gpu1.json"
    assert files[0]["containers"][0]["status"] == "running"
    assert (files[0]["time"], files[0]["host"], files[0]["fault"]) == (1795490400.0, "gpu1", None)
    assert json.loads(file.read_text())["containers"][0]["exit_code"] == 137
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 and stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert list(file.parent.iterdir()) == [file]
    assert run.shown == []


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (AnsibleConnectionFailure("Failed to connect:\n no route"), "Failed to connect: no route"),
        (AnsibleError("Missing sudo password"), "Missing sudo password"),
        ({"failed": True, "msg": "Docker does not answer"}, "Docker does not answer"),
        ({"failed": True, "msg": "failed", "module_stderr": "sudo: no\n"}, "failed: sudo: no"),
        ({"skipped": True}, "the module failed"),
        (KeyError("x"), "inference.fleet does not expect this: KeyError: 'x'"),
    ],
)
def test_a_host_that_cannot_be_read_is_a_fault_and_is_tried_again(
    fault: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def look() -> Any:
        seen.append(json.loads((tmp_path / "gpu1.json").read_text()))
        return has(inspected())

    run = Run(monkeypatch, fault, look, dest=str(tmp_path))
    run()
    assert seen[0].keys() == {"schema", "host", "time", "fault"}
    assert seen[0]["fault"].startswith(words)
    assert json.loads((tmp_path / "gpu1.json").read_text())["fault"] is None
    assert run.connection._shell.tmpdir is None, "after a reboot it is another folder"


def test_waits_longer_and_longer_for_a_host_that_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[float] = []
    run = Run(monkeypatch)

    def away() -> Any:
        times.append(run.now)
        return AnsibleConnectionFailure("lost")

    run.answers = [away] * 7
    run()
    pauses = [after - before for before, after in pairwise(times)]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert len(run.shown) == 1


def test_a_container_that_dies_again_and_again_is_no_load(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, *(has(inspected(restarts=number)) for number in range(100)))
    run()
    assert run.now >= 99 * action.SPACING_S


def test_ends_when_its_folder_is_gone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "dest"

    def remove() -> dict[str, Any]:
        shutil.rmtree(folder)
        return has(inspected())

    run = Run(monkeypatch, has(inspected()), remove, has(inspected()), dest=str(folder))
    assert run() == {"changed": False}
    assert len(run.asked) == 2 and not folder.exists()


def test_ends_when_the_run_was_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    parents = iter([7, 7, 7])
    monkeypatch.setattr(action.os, "getppid", lambda: next(parents, 1))
    run = Run(monkeypatch, *[has(inspected())] * 10)
    assert run() == {"changed": False}
    assert len(run.asked) < 3


def test_a_full_disk_does_not_end_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def full(*_given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(action, "replace", full)
    run = Run(monkeypatch, has(inspected()), has(DEAD), dest=str(tmp_path))
    run()
    assert run.shown == [f"{tmp_path}/gpu1.json: No space left on device"] * 2


@pytest.mark.parametrize(
    ("variables", "arguments"),
    [
        ({}, {}),
        ({"fleet_config_folder": "/srv/fleet"}, {"config_folder": "/srv/fleet"}),
        ({"fleet_cache": {"path": "/srv/cache"}}, {"cache": "/srv/cache"}),
        ({"fleet_config_folder": "{{ broken }}", "fleet_cache": "{{ broken }}"}, {}),
        ({"fleet_cache": "a fault of the inventory"}, {}),
        ({"fleet_cache": {"path": None}}, {}),
    ],
)
def test_an_inventory_with_faults_hides_no_host(
    variables: Any, arguments: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(monkeypatch)
    run(**variables)
    assert run.asked[0] == {"seconds": 0.0, "seen": "", "details": False, "figures": False, **arguments}


@pytest.mark.parametrize(
    ("given", "options"),
    [(None, action.KEEPALIVE), ("-o ServerAliveInterval=60", f"-o ServerAliveInterval=60 {action.KEEPALIVE}")],
)
def test_ssh_notices_a_host_without_power(given: str | None, options: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """ssh takes the first of two values, so the user's."""
    run = Run(monkeypatch, connection=Connection(ssh_extra_args=given))
    run()
    assert run.connection.options["ssh_extra_args"] == options


def test_another_connection_keeps_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run(monkeypatch, connection=Connection("local"))
    run()
    assert run.connection.options == {}


@pytest.mark.parametrize("seconds", ["x", 0, 61, None])
def test_a_wrong_wait_is_a_fault(seconds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = Run(monkeypatch, seconds=seconds)()
    assert answer["failed"] and answer["msg"].startswith("seconds: expected a number from 1 to 60, got ")


def test_a_folder_that_cannot_be_made_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    answer = Run(monkeypatch, dest=str(tmp_path / "file/dest"))()
    assert answer["msg"] == f"dest: {tmp_path}/file/dest: Not a directory"


NAMES = ["gpu1.example.com", "../../etc/passwd", ".hidden", "a/b", "fe80::1", "ü" * 300, "x" * 5000, ".", "..", "a\nb"]


@pytest.mark.parametrize("host", NAMES)
def test_any_name_of_a_host_is_a_file_in_the_folder(host: str) -> None:
    name = action.file_name(host)
    assert re.fullmatch(r"[A-Za-z0-9_~%][A-Za-z0-9_.~%-]*\.json", name) and len(name) < 256


def test_different_hosts_have_different_files() -> None:
    assert len({*map(action.file_name, NAMES)}) == len(NAMES)
    assert action.file_name("gpu1.example.com") == "gpu1.example.com.json"

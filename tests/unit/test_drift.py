"""The playbook drift: inference.fleet.host_versions, drift_report, and what keeps the playbook from a change."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.action import drift_report, service_container
from ansible_collections.inference.fleet.plugins.action import host_versions as action
from ansible_collections.inference.fleet.plugins.modules import host_versions as module
from ansible_collections.inference.fleet.tests.unit.running import Module

ROOT = Path(__file__).parents[2]
PLAYS = yaml.safe_load((ROOT / "playbooks/drift.yml").read_text())
Answer = dict[str, Any]
READ: Answer = {
    "changed": False,
    "fault": None,
    "system": "debian 12",
    "kernel": "6.1.0-18-amd64",
    "kernels": [],
    "docker": None,
    "driver": {"loaded": None, "library": None, "module": None},
    "collection": None,
    "clock": {"synchronized": True},
}


def made(plugin: Any, arguments: Answer, check: bool = True) -> Any:
    return plugin.ActionModule(Mock(args=arguments, check_mode=check), Mock(), Mock(), Mock(), Mock(), Mock())


# inference.fleet.host_versions on the controller


class Clock:
    """The controller's. A connection takes the next of `delays`; the host's clock is `ahead`."""

    def __init__(self, *delays: float, ahead: float = 0.0) -> None:
        self.now, self.delays, self.ahead = 1000.0, list(delays), ahead

    def time(self) -> float:
        return self.now

    def command(self, _text: str) -> Answer:
        delay = self.delays.pop(0)
        self.now += delay
        return {"rc": 0, "stdout": f"a banner of the host\n{self.now - delay / 2 + self.ahead:.3f}\n"}


def ask(monkeypatch: pytest.MonkeyPatch, clock: Clock, answer: Answer | Exception = READ) -> Answer:
    one = made(action, {})
    monkeypatch.setattr(action.time, "time", clock.time)
    one._execute_module = Mock(return_value=answer) if isinstance(answer, dict) else Mock(side_effect=answer)
    one._low_level_execute_command = clock.command
    result: Answer = one.run(task_vars={})
    assert not result.get("failed")
    return result


def test_the_fastest_of_three_connections_measures_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = ask(monkeypatch, Clock(4.0, 0.5, 2.0, ahead=-7.0))
    assert answer["clock"] == {"ahead": -7.0, "error": 0.25, "synchronized": True}
    assert answer["kernel"] == "6.1.0-18-amd64"


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        (AnsibleConnectionFailure("no route to host"), "no route to host"),
        ({"failed": True, "module_stderr": "no such python"}, "no such python"),
    ],
)
def test_a_host_that_cannot_be_read_does_not_end_the_play(
    monkeypatch: pytest.MonkeyPatch, answer: Any, fault: str
) -> None:
    assert ask(monkeypatch, Clock(), answer) == {"changed": False, "fault": fault}


def test_a_host_without_a_readable_clock_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    clock.command = Mock(return_value={"rc": 127, "stdout": "sh: date: not found"})  # type: ignore[method-assign]
    assert ask(monkeypatch, clock)["fault"].startswith("clock: expected seconds from `date +%s.%N`, got ")


# inference.fleet.host_versions on the host


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[], Answer]:
    monkeypatch.setattr(module, "BOOT", tmp_path / "boot")
    monkeypatch.setattr(module, "COLLECTION", tmp_path / "kit")
    monkeypatch.setattr(module, "engine", lambda: {"Version": "28.2.2"})
    (tmp_path / "boot").mkdir()
    (tmp_path / "kit").mkdir()
    return Module(module.main, capsys)


def test_reads_the_installed_kernels_but_none_for_rescue(host: Callable[[], Answer], tmp_path: Path) -> None:
    for name in ("vmlinuz-6.1.0-22-amd64", "vmlinuz-6.1.0-18-amd64", "vmlinuz-0-rescue-1a2b", "initrd.img-6.1.0"):
        (tmp_path / "boot" / name).touch()
    answer = host()
    assert answer["kernels"] == ["6.1.0-18-amd64", "6.1.0-22-amd64"]
    assert (answer["docker"], answer["fault"], answer["changed"]) == ("28.2.2", None, False)
    assert re.match(r"\w+ \d", answer["system"]) and re.match(r"\d", answer["kernel"])


@pytest.mark.parametrize(
    ("file", "text", "version"),
    [
        ("MANIFEST.json", '{"collection_info": {"version": "0.2.0"}}', "0.2.0"),
        ("galaxy.yml", 'name: fleet\nversion: "0.3.0"\n', "0.3.0"),
        ("galaxy.yml", "name: fleet\nversion: 0.3.0  # next\n", "0.3.0"),
        ("MANIFEST.json", "{", None),
        ("README.md", "", None),
    ],
)
def test_reads_the_version_of_the_collection(
    host: Callable[[], Answer], tmp_path: Path, file: str, text: str, version: str | None
) -> None:
    (tmp_path / "kit" / file).write_text(text)
    assert host()["collection"] == version


@pytest.mark.parametrize(("state", "synchronized"), [(0, True), (1, True), (5, False), (-1, None)])
def test_the_kernel_knows_whether_a_time_server_sets_the_clock(
    host: Callable[[], Answer], monkeypatch: pytest.MonkeyPatch, state: int, synchronized: bool | None
) -> None:
    monkeypatch.setattr(module.ctypes, "CDLL", lambda _name: Mock(adjtimex=lambda _buffer: state))
    assert host()["clock"] == {"synchronized": synchronized}


def test_without_docker_there_is_no_version(host: Callable[[], Answer], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "engine", lambda: None)
    assert host()["docker"] is None


# inference.fleet.drift_report


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    lines: list[str] = []
    monkeypatch.setattr(Display, "display", lambda _self, text: lines.append(text))
    return lines


def report(**arguments: Any) -> Answer:
    """Of gpu1, which has an exited container, and gpu2, which cannot be reached."""
    clock = {"ahead": 0.0, "error": 0.1, "synchronized": True}
    hosts = {
        "gpu2": {"__drift_host": {"changed": False, "fault": "no route to host"}},
        "gpu1": {
            "__drift_host": {**READ, "docker": "28.2.2", "clock": clock},
            "__fleet_host": {"checks": []},
            "__keys": {},
            "__drift_status": {"status": {"install_would": ["start vllm-a-1 (was exited)"], "models": []}},
        },
    }
    answer: Answer = made(drift_report, arguments).run(
        task_vars={"inventory_hostname": "gpu1", "hostvars": hosts, "ansible_play_hosts_all": list(hosts)}
    )
    return answer


def test_all_hosts_are_printed_also_one_that_cannot_be_reached(shown: list[str]) -> None:
    answer = report()
    assert shown == [answer["msg"]]
    assert re.match(r"gpu1\n  KIND .*\n  container  vllm-a-1 .*\n\ngpu2: no route to host$", answer["msg"])
    assert answer["failing"] == {"gpu1": "1 difference, see above", "gpu2": "1 difference, see above"}
    assert answer["metrics"].keys() == {"gpu1"}
    assert 'differences{kind="container"} 1\n' in answer["metrics"]["gpu1"]


def test_the_document_is_one_line_and_a_file(shown: list[str], tmp_path: Path) -> None:
    report(format="json", dest=str(tmp_path / "drift.json"))
    (line,) = shown
    assert line.startswith('{"schema"') and "\n" not in line
    assert json.loads(line) == json.loads((tmp_path / "drift.json").read_text())
    assert json.loads(line)["hosts"]["gpu2"]["fault"] == "no route to host"


def test_fails_for_no_host_if_asked_to_and_leaves_out_what_is_ignored(shown: list[str]) -> None:
    assert report(fail_on="never")["failing"] == {}
    assert report(ignore="container, clock")["failing"] == {"gpu2": "1 difference, see above"}


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"format": "yaml"}, "format: expected text or json, got 'yaml'"),
        ({"fail_on": "model"}, "fail_on: expected one of any, never, got 'model'"),
        ({"ignore": "clock,time"}, "ignore: expected some of host, container, "),
        ({"dest": "/no/such/folder/file"}, "dest: /no/such/folder/file: No such file or directory"),
    ],
)
def test_another_option_is_refused(shown: list[str], arguments: Answer, fault: str) -> None:
    answer = report(**arguments)
    assert answer["failed"] and fault in answer["msg"]


# What keeps the playbook from a change


@pytest.mark.parametrize("check", [True, False])
def test_check_mode_returns_what_differs_on_a_service(check: bool) -> None:
    one = made(service_container, {"name": "caddy", "image": "caddy:2"}, check)
    one._execute_module = Mock(return_value={"changed": False})
    one.run(task_vars={})
    assert one._execute_module.call_args.kwargs["module_args"].get("debug", False) is check


def test_the_play_that_compares_is_in_check_mode_with_its_handlers_and_takes_no_lock() -> None:
    compare = PLAYS[1]
    assert compare["check_mode"] is True
    assert "handlers" not in compare
    assert not re.search(r"host_lock|begin|check_mode: false", yaml.safe_dump(compare))


def test_the_only_file_on_a_host_is_that_of_the_metrics_and_only_if_asked_for() -> None:
    changing = [task for task in PLAYS[2]["tasks"] if "inference.fleet.host_files" in task]
    assert [one["path"] for one in changing[0]["inference.fleet.host_files"]["files"]] == [
        "{{ fleet.paths.metrics }}/drift.prom"
    ]
    assert len(changing) == 1 and changing[0]["when"].startswith("metric | bool and fleet.monitoring is not none")
    assert PLAYS[2]["vars"]["metric"] is False
    others = [task for task in PLAYS[2]["tasks"] if task not in changing]
    assert all("inference.fleet.drift_report" in task or "inference.fleet.show" in task for task in others)


COMPARED = ("postgres", "litellm", "caddy", "monitoring", "restore", "energy")
FILES = [
    *(path for role in COMPARED for path in sorted((ROOT / f"roles/{role}/tasks").glob("*.yml"))),
    *(ROOT / f"roles/fleet/tasks/{name}.yml" for name in ("state", "networks")),
]


@pytest.mark.parametrize("file", [path for path in FILES if path.name != "load_backup.yml"], ids=str)
def test_a_role_that_is_compared_leaves_check_mode_nowhere(file: Path) -> None:
    """`ansible_check_mode` is false in a play with `check_mode`: a task that reads it must read `__drift` too."""
    text = file.read_text()
    assert "check_mode: false" not in text
    for line in text.splitlines():
        assert "ansible_check_mode" not in line or "ansible_check_mode or __drift" in line


def test_every_role_of_install_that_writes_files_or_runs_services_is_compared() -> None:
    """Left out are the installation of packages, which inference.fleet.host_check compares, GPUs and models, which
    inference.fleet.status compares, and downloads and builds."""
    text = (ROOT / "playbooks/drift.yml").read_text()
    install = re.findall(r"inference\.fleet\.(\w+)$", (ROOT / "playbooks/install.yml").read_text(), re.MULTILINE)
    left_out = {"fleet", "mig", "recipes", "weights", "vllm_model"}
    assert set(install) - left_out == set(COMPARED)
    assert re.findall(r"drift_role: inference\.fleet\.(\w+)", text) == ["fleet", *COMPARED]


def test_what_the_report_reads_is_registered_somewhere() -> None:
    source = (ROOT / "plugins/module_utils/report/drift.py").read_text()
    read = set(re.findall(r'"(__\w+)"', source)) - {"__drift_faults", "__monitoring_faults"}
    tasks = "".join(path.read_text() for path in [*FILES, ROOT / "playbooks/drift.yml"])
    assert sorted(name for name in read if f"register: {name}\n" not in tasks) == []


def test_hosts_that_cannot_be_compared_are_reported_and_fail_the_run(tmp_path: Path) -> None:
    local = {"ansible_connection": "local", "ansible_become": False, "ansible_python_interpreter": "/no/such/python"}
    away = {"ansible_host": "127.0.0.1", "ansible_port": 1, "ansible_ssh_common_args": "-o ConnectTimeout=5"}
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"fleet": {"hosts": {"local": local, "away": away}}}))
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", str(tmp_path / "hosts.yml")]
    command += ["inference.fleet.drift", "-e", f"format=json dest={tmp_path}/drift.json metric=true"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 2, run.stdout
    told = json.loads((tmp_path / "drift.json").read_text())
    assert "/no/such/python" in told["hosts"]["local"]["fault"]
    assert "onnect" in told["hosts"]["away"]["fault"]
    assert re.search(r"local +: .*failed=1 .*rescued=0", run.stdout)

"""Output for people: inference.fleet.status, status_report, preflight, show and summary."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.action import preflight, show, status, status_report
from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import Restore
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

Answer = dict[str, Any]
FLEET = fleet(entry(), https={"names": ["gpu1.example.com"]}).public()
NO_MODELS: Answer = {"containers": [], "actions": [], "trouble": [], "unused_images": [], "digests": {}}


class Screen:
    """Runs actions for the host gpu1. shown: their output. asked: module -> its arguments, and check mode."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shown: list[str] = []
        self.asked: dict[str, tuple[Answer, bool]] = {}
        self.answers: dict[str, Answer | Exception] = {
            "inference.fleet.model_containers": NO_MODELS,
            "inference.fleet.host_rules": {"changed_rules": []},
            "community.docker.docker_host_info": {"containers": []},
        }
        self.printed: Mapping[str, str] = {}
        monkeypatch.setattr(Display, "display", lambda _self, text: self.shown.append(text))

    def run(self, plugin: Any, arguments: Answer, check: bool = False, **task_vars: Any) -> Answer:
        task = Mock(args=arguments, check_mode=check)
        action = plugin.ActionModule(task, Mock(), Mock(), Mock(), Mock(), Mock())

        def module(module_name: str, module_args: Answer, task_vars: Any) -> Answer:
            self.asked[module_name] = (module_args, task.check_mode)
            if isinstance(answer := self.answers[module_name], Exception):
                raise answer
            return answer

        def command(text: str) -> Answer:
            found = [printed for program, printed in self.printed.items() if text.startswith(program)]
            return {"rc": 0 if found else 1, "stdout": found[0] if found else "no such thing", "stderr": ""}

        action._execute_module = module
        action._low_level_execute_command = command
        answer: Answer = action.run(task_vars={"inventory_hostname": "gpu1", **task_vars})
        return answer


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    return Screen(monkeypatch)


# inference.fleet.status


def ask(screen: Screen, **arguments: Any) -> Answer:
    answer = screen.run(status, arguments, fleet=FLEET)
    assert answer["changed"] is False and not answer.get("failed")
    asked: Answer = answer["status"]
    return asked


def test_a_host_is_asked_in_check_mode_for_all_that_install_would_do(screen: Screen) -> None:
    ask(screen, models=[entry()])
    arguments, check_mode = screen.asked["inference.fleet.model_containers"]
    assert [model["name"] for model in arguments.pop("fleet")["models"]] == ["qwen3-8b"]
    assert arguments.keys() == {"secrets", "prune", "report"}
    assert arguments["prune"] is arguments["report"] is True
    assert check_mode is True


def test_a_host_is_asked_for_the_services_of_this_collection_that_do_not_run_too(screen: Screen) -> None:
    ask(screen)
    arguments, _check_mode = screen.asked["community.docker.docker_host_info"]
    assert arguments["containers_filters"] == {"label": ["managed-by=inference.fleet", "service"]}
    assert arguments["containers"] is arguments["containers_all"] is arguments["verbose_output"] is True


def test_what_the_host_says_is_its_status(screen: Screen) -> None:
    record = Restore(1_767_225_600.0, "the host itself", (), 1_767_225_601.0)
    found = {"actions": ["create a"], "trouble": ["no GPU"], "digests": {"sha256:1": "sha256:f2a1"}}
    screen.answers["inference.fleet.model_containers"] = {**NO_MODELS, **found}
    screen.answers["community.docker.docker_host_info"] = {
        "containers": [{"Names": ["/caddy"], "Status": "Up 1 second", "Image": "caddy:2", "ImageID": "sha256:1"}]
    }
    screen.printed = {
        "cat /var/lib/": json.dumps(record.plain()),
        "cat /etc/inference-fleet/caddy/drained": "2026-11-24T12:00:00Z\n",
        "systemctl show": "ActiveState=inactive\n",
    }
    asked = ask(screen)
    assert asked["drained_since"] == "2026-11-24T12:00:00Z"
    assert (asked["fault"], asked["install_would"], asked["gpu_trouble"]) == (None, ["create a"], ["no GPU"])
    caddy = {"name": "caddy", "status": "Up 1 second", "image": "caddy:2"}
    assert asked["services"] == [{**caddy, "image_id": "sha256:1", "digest": "sha256:f2a1"}]
    assert asked["last_restore"]["record"] == record.plain()
    assert (asked["last_restore"]["unit"], len(asked["last_restore"]["text"])) == ("inactive", 2)


@pytest.mark.parametrize(("printed", "since"), [({"cat /etc": "\n"}, "an unknown time"), ({}, None)])
def test_a_host_is_drained_while_the_file_exists(screen: Screen, printed: dict[str, str], since: str | None) -> None:
    screen.answers["inference.fleet.model_containers"] = NO_MODELS
    screen.printed = printed
    assert ask(screen)["drained_since"] == since


def test_a_host_that_lacks_its_rules_says_that_install_writes_them(screen: Screen) -> None:
    screen.answers["inference.fleet.host_rules"] = {"changed_rules": ["iptables"]}
    assert ask(screen)["install_would"] == ["write the rules of iptables"]
    assert screen.asked["inference.fleet.host_rules"] == ({"downloads": []}, True)


def test_a_host_without_a_record_and_without_systemd_says_so(screen: Screen) -> None:
    text = ["no restore has been recorded on this host"]
    assert ask(screen)["last_restore"] == {"record": None, "unit": None, "text": text}


def test_the_endpoint_begins_with_the_fleets_base_url(screen: Screen) -> None:
    assert ask(screen)["models"][0]["endpoint"] == "https://gpu1.example.com/v1"
    answer = screen.run(status, {}, fleet={**FLEET, "base_url": "https://[2001:db8::7]"})
    assert answer["status"]["models"][0]["endpoint"] == "https://[2001:db8::7]/v1"


DOWN: Answer = {
    "name": "vllm-qwen3-8b-1",
    "model": "qwen3-8b",
    "status": "exited",
    "ready": False,
    "device": "cpu",
    "devices": [],
    "image": "vllm",
    "image_id": "sha256:1",
    "started_at": "2026-11-24T02:40:11.81Z",
    "exit_code": 1,
    "restarts": 0,
    "log": ["ValueError"],
}


@pytest.mark.parametrize(
    ("arguments", "down"),
    [({}, ["qwen3-8b: 0 of 1 replicas answer"]), ({"fail_on": "never"}, [])],
)
def test_a_model_that_is_down_is_for_the_playbook_to_fail_with(
    screen: Screen, arguments: Answer, down: list[str]
) -> None:
    screen.answers["inference.fleet.model_containers"] = {**NO_MODELS, "containers": [DOWN]}
    assert screen.run(status, arguments, fleet=FLEET)["down"] == down
    assert "fail_on" not in screen.asked["inference.fleet.model_containers"][0]


def test_an_unknown_word_for_down_is_refused(screen: Screen) -> None:
    answer = screen.run(status, {"fail_on": "models"}, fleet=FLEET)
    assert answer == {"failed": True, "msg": "fail_on: expected one of model, replica, never, got 'models'"}


@pytest.mark.parametrize("module", ["inference.fleet.model_containers", "community.docker.docker_host_info"])
@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"failed": True, "msg": "Docker does not answer"}, "Docker does not answer"),
        (AnsibleConnectionFailure("no route to host"), "no route to host"),
    ],
)
def test_a_host_that_cannot_be_asked_is_told_of_with_the_others(
    screen: Screen, module: str, answer: Any, fault: str
) -> None:
    screen.answers[module] = answer
    assert (ask(screen)["fault"], ask(screen)["models"]) == (fault, [])


# inference.fleet.status_report


@pytest.fixture
def report(screen: Screen) -> Callable[..., Answer]:
    """A report of gpu2, whose status was read, and gpu1, on which an earlier task failed."""

    def run(check: bool = False, **arguments: Any) -> Answer:
        hosts = {"gpu2": {"asked": {"status": ask(screen)}}, "gpu1": {}}
        return screen.run(
            status_report, {"status": "asked", **arguments}, check, hostvars=hosts, ansible_play_hosts_all=list(hosts)
        )

    return run


def test_hosts_are_printed_one_after_the_other_in_one_piece(screen: Screen, report: Callable[..., Answer]) -> None:
    answer = report()
    (text,) = screen.shown
    assert text == answer["msg"]
    assert text.startswith("gpu2\n  MODEL ")
    assert text.endswith("\n\ngpu1: not asked: an earlier task failed on this host")


def test_images_that_differ_are_reported_below_all_hosts(screen: Screen) -> None:
    hosts = {}
    for name in ("gpu1", "gpu2"):
        found = {"containers": [{"Names": ["/caddy"], "Status": "Up", "Image": "caddy:2", "ImageID": f"sha256:{name}"}]}
        screen.answers["community.docker.docker_host_info"] = found
        hosts[name] = {"asked": {"status": ask(screen)}}
    screen.run(status_report, {"status": "asked"}, hostvars=hosts, ansible_play_hosts_all=list(hosts))
    assert screen.shown[-1].endswith(
        "\n\nimages that are not the same everywhere (docs/upgrades.md, Pinning images): "
        "caddy:2: gpu1 on gpu1; gpu2 on gpu2"
    )


def test_the_document_is_one_line(screen: Screen, report: Callable[..., Answer]) -> None:
    report(format="json")
    (text,) = screen.shown
    assert "\n" not in text
    made = json.loads(text)
    assert list(made["hosts"]) == ["gpu2", "gpu1"]
    assert made["hosts"]["gpu2"]["models"][0]["name"] == "qwen3-8b"


@pytest.mark.parametrize("kind", ["text", "json"])
def test_the_document_is_written_to_a_file_whatever_is_printed(
    report: Callable[..., Answer], tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "fleet.json"
    file.write_text("of before")
    assert report(format=kind, dest=str(file))["changed"] is False
    assert list(json.loads(file.read_text())["hosts"]) == ["gpu2", "gpu1"]
    assert (file.stat().st_mode & 0o777, list(tmp_path.iterdir())) == (0o644, [file])


def test_check_mode_writes_no_file(report: Callable[..., Answer], tmp_path: Path) -> None:
    report(check=True, dest=str(tmp_path / "fleet.json"))
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_fails_after_the_status_is_printed(
    screen: Screen, report: Callable[..., Answer], tmp_path: Path
) -> None:
    answer = report(dest=str(tmp_path / "none" / "fleet.json"))
    assert answer["failed"] is True
    assert answer["msg"] == f"dest: {tmp_path}/none/fleet.json: No such file or directory"
    assert len(screen.shown) == 1


def test_another_format_is_refused(screen: Screen, report: Callable[..., Answer]) -> None:
    assert report(format="yaml") == {"failed": True, "msg": "format: expected text or json, got 'yaml'"}
    assert screen.shown == []


# inference.fleet.preflight

GOOD = {"name": "disk", "state": "ok", "found": "5.0 GB free", "remedy": ""}
BAD = {"name": "port 443", "state": "fault", "found": "taken by nginx", "remedy": "stop that"}


def test_preflight_prints_a_table_below_the_hosts_name(screen: Screen) -> None:
    screen.answers["inference.fleet.host_check"] = {"checks": [GOOD, {**GOOD, "name": "clock", "state": "warn"}]}
    answer = screen.run(preflight, {"models": [], "force": True})
    assert not answer.get("failed")
    assert screen.shown == ["gpu1\n  ok       disk   5.0 GB free\n  warn     clock  5.0 GB free"]
    arguments, check_mode = screen.asked["inference.fleet.host_check"]
    assert check_mode  # in which host_check writes nothing
    assert arguments.pop("now") > 1e9
    assert arguments.pop("fleet")["models"] == []
    assert arguments == {"secrets": {}, "force": True, "thorough": True, "report": True}


def test_preflight_fails_with_what_install_would_stumble_over(screen: Screen) -> None:
    screen.answers["inference.fleet.host_check"] = {"checks": [GOOD, BAD]}
    answer = screen.run(preflight, {"models": []})
    assert answer["failed"] is True
    assert answer["msg"] == "install would stop before it changes gpu1; the lines with FAULT above say why"
    assert "ok       disk" in screen.shown[0] and "FAULT    port 443" in screen.shown[0]


def test_preflight_of_a_host_that_cannot_be_checked_is_that_failure(screen: Screen) -> None:
    failed = {"failed": True, "msg": "fleet_models[0].replicas: expected a whole number"}
    screen.answers["inference.fleet.host_check"] = failed
    assert screen.run(preflight, {"models": []}) == failed
    assert screen.shown == []


# inference.fleet.show


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"lines": "removed"}, "gpu1: removed"),
        ({"lines": ["removed"]}, "gpu1: removed"),
        ({"lines": ["a", "b"]}, "gpu1\n  a\n  b"),
        ({"lines": ["a"], "checks": [GOOD]}, "gpu1\n  a\n  ok       disk  5.0 GB free"),
        ({"lines": ["/tmp/a.csv", "/tmp/b.csv"], "head": "files"}, "files\n  /tmp/a.csv\n  /tmp/b.csv"),
        ({"lines": [7]}, "gpu1: 7"),
    ],
)
def test_lines_are_printed_as_they_are(screen: Screen, arguments: Answer, text: str) -> None:
    assert screen.run(show, arguments) == {"changed": False, "msg": text}
    assert screen.shown == [text]


# inference.fleet.summary

PLAY = """
- hosts: fleet
  gather_facts: false
  tasks:
    - block:
        - name: What the role vllm_model registers
          ansible.builtin.set_fact:
            __vllm_model: {actions: [create vllm-a-1 (missing)]}
          when: inventory_hostname != 'gpu3'
        - name: Break off
          ansible.builtin.fail:
          when: inventory_hostname == 'gpu2'
      always:
        - inference.fleet.summary:
"""


def test_each_host_ends_with_a_line_also_where_the_run_broke_off(tmp_path: Path) -> None:
    (tmp_path / "hosts.yml").write_text("fleet: {hosts: {gpu1: , gpu2: , gpu3: }}")
    (tmp_path / "play.yml").write_text(PLAY)
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.yml", "play.yml"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    stopped = "stopped: a task failed on this host or on another one, see above"
    assert sorted(line for line in run.stdout.splitlines() if line.startswith("gpu") and "ok=" not in line) == [
        "gpu1  created: vllm-a-1",
        f"gpu2  created: vllm-a-1; {stopped}",
        "gpu3  nothing changed",
    ]
    checked = subprocess.run([*command, "--check"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert "gpu3  check mode, nothing was changed\n" in checked.stdout

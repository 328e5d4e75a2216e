"""inference.fleet.service_takeover: what the module asks of Docker and of the kernel, and what it returns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import Container, Spec
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import service_takeover as module
from ansible_collections.inference.fleet.tests.unit.running import Module

SPEC = Spec("litellm", "sha256:1", (), (), {}, (), ("fleet-litellm",), (), {}, "on-failure", 0, "private")
GIVEN = {"name": "litellm", "network": "fleet-litellm", "port": 4000}


class Killed(BaseException):
    """The module's process was killed."""


class Host:
    """Docker, and the rule in the network of a container. calls: what was changed, in order."""

    def __init__(self, main: Module, proc: Path) -> None:
        self.main, self.proc = main, proc
        self.containers: dict[str, Container] = {}
        self.calls: list[str] = []
        self.left = 0
        self.refuses_rules = self.ended = self.refuses = False
        self.lives = -1  # calls before the module is killed; negative: it is not
        self.add("litellm")
        (proc / "meminfo").write_text("MemTotal: 9 kB\nMemAvailable:   8000000 kB\n")
        for process in (7, 8):
            (proc / str(process)).mkdir()
            (proc / str(process) / "status").write_text("Name: python\nVmRSS:\t  500000 kB\n")

    def add(self, name: str, status: str = "running", health: str = "healthy", alias: str = "") -> None:
        spec = replace(SPEC, name=name, aliases=(alias,) if alias else ())
        self.containers[name] = Container(f"id-{name}", spec, status, "172.18.0.2", health=health)

    def start_again(self) -> None:
        """A reboot: no container runs, and no rule is left, until the restore starts them."""
        self.refuses = False
        for name, container in self.containers.items():
            self.containers[name] = replace(container, status="exited", health="")

    def run(self, state: str, check: bool = False, **more: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.main(check, **{**GIVEN, "state": state, **more})
        return answer

    def inspect(self, name: str) -> Container | None:
        return self.containers.get(name)

    def is_well(self, container: Container) -> bool:
        return container.health == "healthy"

    def process(self, name: str) -> int:
        return 0 if self.ended else 7

    def processes(self, name: str) -> list[int]:
        return [7, 8, 9]  # the last one has ended

    def image_id(self, reference: str) -> str:
        return {"litellm:1": "sha256:1", "litellm:2": "sha256:2"}.get(reference, "")

    def set_weight(self, name: str, weight: int) -> None:
        self.call(f"weight {name} {weight}")

    def disconnect(self, name: str, network: str) -> None:
        self.call(f"disconnect {name} {network}")
        self.change(name, ())

    def connect(self, name: str, network: str, aliases: list[str]) -> None:
        self.call(f"connect {name} {network} {aliases}")
        self.change(name, tuple(aliases))

    def remove(self, container_id: str, name: str) -> None:
        assert container_id == self.containers[name].id
        self.call(f"remove {name}")
        self.containers[name] = replace(self.containers[name], status="exited", health="")
        self.refuses = self.refuses and name != "litellm"  # the rule ends with the container
        self.lived()  # Docker has stopped the container, and is asked to remove it
        del self.containers[name]

    def rename(self, name: str, new_name: str) -> None:
        self.call(f"rename {name} {new_name}")
        assert new_name not in self.containers
        self.containers[new_name] = self.containers.pop(name)

    def drain(self, process: int, port: int, seconds: float) -> int:
        self.call(f"drain {process} {port} {seconds}")
        if self.refuses_rules:
            raise FleetError("iptables: no permission")
        self.refuses = True
        self.lived()  # the module waits for the requests
        return self.left

    def accept(self, process: int, port: int) -> None:
        self.call(f"accept {process} {port}")
        self.refuses = False

    def call(self, what: str) -> None:
        self.lived()
        self.calls.append(what)

    def lived(self) -> None:
        if not self.lives:
            raise Killed
        self.lives -= 1

    def change(self, name: str, aliases: tuple[str, ...]) -> None:
        container = self.containers[name]
        self.containers[name] = replace(container, spec=replace(container.spec, aliases=aliases))

    def serves(self) -> bool:
        """Whether Caddy finds a LiteLLM that accepts connections."""
        previous, successor = self.containers.get("litellm"), self.containers.get("litellm-next")
        answers = bool(successor and successor.health == "healthy" and "litellm" in successor.spec.aliases)
        return answers or bool(previous and previous.health == "healthy" and not self.refuses)

    def killed(self, after: int, state: str) -> bool:
        """Whether the module was killed after so many steps."""
        self.lives = after
        try:
            self.run(state)
        except Killed:
            return True
        finally:
            self.lives = -1
        return False


@pytest.fixture
def host(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Host:
    host = Host(Module(module.main, capsys), tmp_path)
    monkeypatch.setattr(module, "Docker", lambda: host)
    monkeypatch.setattr(module, "PROC", tmp_path)
    monkeypatch.setattr(module.host_memory, "MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(module, "drain", host)
    monkeypatch.setattr(module, "PATIENCE_S", 0)
    monkeypatch.setattr(module, "read_starts", lambda: {"litellm": 23, "caddy": 1})
    return host


def test_the_successor_takes_over(host: Host) -> None:
    host.add("litellm-next")
    host.left = 2
    answer = host.run("taken", timeout=30)
    assert host.calls == [
        "weight litellm-next 1024",
        "disconnect litellm-next fleet-litellm",
        "connect litellm-next fleet-litellm ['litellm']",
        "drain 7 4000 30",
        "remove litellm",
        "rename litellm-next litellm",
    ]
    assert (answer["changed"], answer["cut"]) == (True, 2)
    assert answer["actions"] == ["connect", "drain", "remove", "rename"]


def test_where_the_host_refuses_the_rule_nothing_is_removed_and_the_previous_one_serves(host: Host) -> None:
    host.add("litellm-next")
    host.refuses_rules = True
    answer = host.run("taken")
    assert answer["msg"] == "iptables: no permission"
    assert host.calls[-1] == "accept 7 4000"
    assert set(host.containers) == {"litellm", "litellm-next"}


def test_a_previous_container_that_ended_meanwhile_needs_no_drain(host: Host) -> None:
    host.add("litellm-next", alias="litellm")
    host.ended = True
    assert host.run("taken")["cut"] == 0
    assert host.calls == ["remove litellm", "rename litellm-next litellm"]


@pytest.mark.parametrize("health", ["starting", "unhealthy"])
def test_one_that_is_not_ready_does_not_take_over(host: Host, health: str) -> None:
    host.add("litellm-next", health=health)
    assert "not ready" in host.run("taken")["msg"]
    assert host.calls == []


def test_a_left_over_successor_is_removed(host: Host) -> None:
    host.add("litellm-next")
    assert host.run("settled")["actions"] == ["discard"]
    assert host.calls == ["remove litellm-next"]


def test_a_takeover_that_was_cut_off_is_finished(host: Host) -> None:
    host.add("litellm-next", alias="litellm")
    assert host.run("settled")["actions"] == ["drain", "remove", "rename"]


def test_a_successor_that_serves_nobody_gives_the_clients_back(host: Host) -> None:
    host.add("litellm-next", alias="litellm", health="unhealthy")
    assert host.run("settled")["actions"] == ["accept", "discard"]
    assert host.calls == ["accept 7 4000", "remove litellm-next"]


def test_without_a_successor_nothing_is_settled(host: Host) -> None:
    answer = host.run("settled")
    assert (answer["changed"], answer["actions"], host.calls) == (False, [], [])


@pytest.mark.parametrize(("state", "changed"), [("taken", True), ("settled", False)])
def test_check_mode_changes_nothing(host: Host, state: str, changed: bool) -> None:
    assert host.run(state, check=True)["changed"] is changed
    host.add("litellm-next", alias="litellm")
    assert host.run(state, check=True)["changed"] is True
    assert host.calls == []


@pytest.mark.parametrize("check", [True, False])
def test_the_plan_counts_the_memory_of_all_processes(host: Host, check: bool) -> None:
    assert host.run("planned", check, image="litellm:1")["side_by_side"] is True
    (host.proc / "meminfo").write_text("MemAvailable:   1000000 kB\n")
    answer = host.run("planned", check, image="litellm:1")
    assert answer["side_by_side"] is False
    assert answer["line"].endswith("too little memory for two (need 1.8 GB, available 1.0 GB)")


@pytest.mark.parametrize("image", ["litellm:2", "not on this host"])
def test_the_plan_says_whether_the_image_changes(host: Host, image: str) -> None:
    assert host.run("planned", image=image)["same_image"] is False
    assert host.run("planned", image="litellm:1")["same_image"] is True


def test_further_reasons_are_in_the_line(host: Host) -> None:
    answer = host.run("planned", image="litellm:1", reasons=["the database gets another owner"])
    assert answer["line"].endswith("about 23 s (its last start took that long): the database gets another owner")


def test_the_plan_waits_for_a_container_that_is_starting(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.add("litellm", health="starting")
    monkeypatch.setattr(module, "PATIENCE_S", 60)
    monkeypatch.setattr(module.time, "sleep", lambda _seconds: host.add("litellm"))
    assert host.run("planned", image="litellm:1")["side_by_side"] is True


def test_the_plan_says_that_a_container_does_not_get_ready(host: Host) -> None:
    host.add("litellm", health="unhealthy")
    assert "it is not ready" in host.run("planned", image="litellm:1")["line"]


def test_a_first_start_is_no_replacement(host: Host) -> None:
    host.containers.clear()
    answer = host.run("planned", image="litellm:1")
    assert (answer["side_by_side"], answer["line"]) == (False, "litellm: starts; it does not run now")


# The module is killed between two calls to Docker and the kernel, and within a call; the next run's too.

POINTS = range(10)  # more than a takeover has


@pytest.mark.parametrize("again", POINTS)
@pytest.mark.parametrize("point", POINTS)
def test_a_run_killed_at_any_point_leaves_one_that_serves_and_the_next_run_leaves_one_container(
    host: Host, point: int, again: int
) -> None:
    host.add("litellm-next")
    killed = host.killed(point, "taken")
    assert killed == (point < 8)  # weight, disconnect, connect, rule, wait, stop, remove, rename
    assert host.serves()
    host.killed(again, "settled")
    assert host.serves()
    host.run("settled")
    assert host.serves()
    assert list(host.containers) == ["litellm"]
    assert host.run("settled")["changed"] is False


@pytest.mark.parametrize("again", POINTS)
@pytest.mark.parametrize("point", POINTS)
def test_a_successor_that_fails_meanwhile_costs_nobody_the_previous_one(host: Host, point: int, again: int) -> None:
    """Up to the moment at which the previous one is stopped."""
    host.add("litellm-next")
    host.killed(point, "taken")
    if point > 5 or "litellm-next" not in host.containers:
        return
    host.containers["litellm-next"] = replace(host.containers["litellm-next"], health="unhealthy")
    host.killed(again, "settled")
    host.run("settled")
    assert host.serves()
    assert [one.id for one in host.containers.values()] == ["id-litellm"]


@pytest.mark.parametrize("point", POINTS)
def test_after_a_reboot_one_is_left_to_start(host: Host, point: int) -> None:
    """The one that had taken over, whatever became of it."""
    host.add("litellm-next")
    host.killed(point, "taken")
    host.start_again()
    host.run("settled")
    assert {name: one.id for name, one in host.containers.items()} == {
        "litellm": "id-litellm" if point < 3 else "id-litellm-next"
    }

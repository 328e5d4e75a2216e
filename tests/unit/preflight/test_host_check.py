"""inference.fleet.host_check: the whole module, on a fictional host."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import OPTIONS
from ansible_collections.inference.fleet.plugins.module_utils.preflight.checks import Host
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import Nvidia
from ansible_collections.inference.fleet.plugins.modules import host_check
from ansible_collections.inference.fleet.tests.unit.preflight.hosts import GOOD
from ansible_collections.inference.fleet.tests.unit.running import FleetModule
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

COMMAND = "/usr/bin/nvidia-persistenced --verbose"


class World:
    """The host to find, and the arguments of the observation."""

    def __init__(self) -> None:
        self.host = GOOD
        self.asked: tuple[Any, ...] = ()

    def observe(self, fleet: Any, *arguments: Any) -> Host:
        self.asked = (len(fleet.models), *arguments)
        return self.host


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(host_check, "observe", found.observe)
    return found


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> FleetModule:
    return FleetModule(host_check.main, "host_check", capsys)


def test_a_good_cpu_host_has_nothing_to_do(world: World, run: FleetModule) -> None:
    answer = run(models=[entry()])
    assert {check["state"] for check in answer.pop("checks")} == {"ok"}
    networks = answer.pop("networks")
    assert [one["name"] for one in networks.pop("create")] == [net.name for net in fleet(entry()).networks]
    assert networks == {"recreate": {}, "new_caddy": False, "remove": [], "crowd": [], "ours": []}
    assert answer == {
        "drained_since": "",
        "packages": [],
        "system": {
            "family": "debian",
            "docker": None,
            "epel": False,
            "release": "12",
            "ca_folder": "/usr/local/share/ca-certificates",
            "ca_command": "update-ca-certificates",
        },
        "docker_version": "28.2.2",
        "docker_to_start": False,
        "rules": True,
        "site_to_do": [],
        "site_files": [],
        "site_leftover": [],
        "selinux": False,
        "firewalld": False,
        "services": [],
        "running": {},
        "watchers": [],
        "gpu_to_do": [],
        "persistence_command": "",
        "cdi_refresh": False,
        "nvidia_smi": False,
        "layout": {},
        "leaving": [],
        "service_faults": [],
        "removal_faults": [],
        "faults": [],
        "port_faults": [],
        "gpu_faults": [],
    }
    assert world.asked == (1, [80, 443], None, False)


def test_faults_are_told_in_one_message_and_nothing_beside_it(world: World, run: FleetModule) -> None:
    world.host = replace(GOOD, kernel="4.19.0", ports={443: "nginx (PID 812)"})
    assert run(models=[]) == {
        "failed": True,
        "msg": "kernel: found 4.19.0; 5.10 or later is needed: install one and reboot\n"
        "port 443: taken by nginx (PID 812); Caddy needs it: stop the other program, or change its port",
    }


def test_a_report_goes_on_with_the_faults_among_the_checks(world: World, run: FleetModule) -> None:
    world.host = replace(GOOD, ports={443: "nginx (PID 812)"})
    answer = run(models=[], report=True, thorough=True, now=1795519914.5)
    assert "failed" not in answer
    assert {
        "name": "port 443",
        "state": "fault",
        "found": "taken by nginx (PID 812)",
        "remedy": "Caddy needs it: stop the other program, or change its port",
    } in answer["checks"]
    assert world.asked == (0, [80, 443], 1795519914.5, True)


THREE = replace(GOOD, models=frozenset({"a", "b", "c"}))


@pytest.mark.parametrize("models", [[], [entry(name="new")], [entry(name="a", state="absent")]])
def test_an_inventory_that_removes_all_models_of_a_host_needs_a_word_more(
    models: list[dict[str, Any]], world: World, run: FleetModule
) -> None:
    world.host = THREE
    gone = "b, c" if models and models[0]["name"] == "a" else "a, b, c"
    message = (
        f"models: the inventory has none of the models of this host; install removes all of them: {gone}; "
        "check the inventory and its group_vars; if this is right, run again with -e prune=true"
    )
    assert run(models=models, remove_all=False) == {"failed": True, "msg": message}
    assert run(models=models, remove_all=False, report=True)["removal_faults"] == [message]
    allowed = run(models=models, remove_all=True)
    assert allowed["removal_faults"] == []
    assert [check["state"] for check in allowed["checks"] if check["name"] == "models"] == ["warn"]


@pytest.mark.parametrize(
    ("arguments", "models"),
    [
        ({"models": [entry(name="a")]}, "abc"),
        ({"models": [entry(name="a", state="stopped")]}, "abc"),
        ({"models": [entry(name=name, state="absent") for name in "abc"]}, "abc"),
        ({"models": [], "absent": ["a", "b", "c"]}, "abc"),
        ({"models": [entry(name="a")], "names": ["a"]}, "bc"),
        ({"models": []}, ""),
    ],
)
def test_what_keeps_a_model_or_removes_models_by_name_needs_no_word(
    arguments: dict[str, Any], models: str, world: World, run: FleetModule
) -> None:
    world.host = replace(GOOD, models=frozenset(models))
    assert "failed" not in run(**arguments, remove_all=False)


def test_says_which_services_have_a_container_of_the_fleets_own(world: World, run: FleetModule) -> None:
    there = frozenset({"litellm", "caddy", "postgres", "prometheus", "grafana", "web"})
    world.host = replace(GOOD, containers=there, foreign=frozenset({"litellm", "web"}))
    answer = run(models=[], report=True)
    assert answer["services"] == ["caddy", "grafana", "prometheus", "postgres"]
    assert answer["watchers"] == ["grafana", "prometheus"]


def test_says_what_the_role_has_to_do_for_gpus(world: World, run: FleetModule) -> None:
    world.host = replace(GOOD, nvidia=Nvidia(rule=False, configured=False, unit_command=COMMAND))
    answer = run(models=[entry(devices={"gpus": 1})], check=True)
    assert (answer["gpu_to_do"], answer["persistence_command"]) == (["links", "runtime"], COMMAND)


def test_a_faulty_inventory_is_told_with_its_paths(world: World, run: FleetModule) -> None:
    answer = run(models=[entry(replicas=0)])
    assert answer["msg"] == "fleet_models[0].replicas: expected a whole number of at least 1, got 0"
    assert world.asked == ()


@pytest.mark.parametrize("check", [True, False])
def test_answers_of_images_are_kept_only_outside_check_mode(
    world: World, run: FleetModule, monkeypatch: pytest.MonkeyPatch, check: bool
) -> None:
    given: list[Any] = []
    monkeypatch.setattr(host_check, "image_options", lambda _fleet, *more: given.extend(more) or {})
    run(check=check, models=[entry()])
    assert given == [OPTIONS, True, not check]

"""No task of any role or playbook can remove the volume that has PostgreSQL's data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker

ROOT = Path(__file__).parents[2]
FILES = sorted([*ROOT.glob("roles/*/tasks/*.yml"), *ROOT.glob("roles/*/handlers/*.yml"), *ROOT.glob("playbooks/*.yml")])
# Commands that remove volumes or their contents.
COMMANDS = re.compile(
    r"volume\s+(rm|remove|prune)|system\s+prune|down\s.*(-v\b|--volumes)|rm\s.*--volumes|/docker/volumes"
)
CONTAINER = ("docker_container", "service_container")
OURS = {"fleet-caddy-data", "fleet-caddy-config", "fleet-hf-cache"}  # can be created or downloaded again


def tasks(found: Any) -> Iterator[dict[str, Any]]:
    """Every task of a parsed YAML file, also in blocks."""
    for one in found or ():
        yield one
        for key in ("tasks", "pre_tasks", "post_tasks", "handlers", "block", "rescue", "always"):
            yield from tasks(one.get(key))


def removes(task: dict[str, Any]) -> str:
    """The parts of a task that could remove the volume; empty if none."""
    for key, options in task.items():
        name = key.rpartition(".")[2]
        given = options if isinstance(options, dict) else {}
        absent = given.get("state", "present") == "absent"
        if name == "docker_volume" and not absent and "state" in given and given["state"] != "present":
            return "a state that is worked out"
        if name == "docker_volume" and absent:
            looped = task.get("loop", [])
            names = looped if given.get("name") == "{{ item }}" and isinstance(looped, list) else [given.get("name")]
            if not set(names) <= OURS:
                return f"the volume {names}"
        if name == "docker_volume" and given.get("recreate", "never") != "never":
            return "recreate"
        if name == "docker_prune" and given.get("volumes"):
            return "docker_prune with volumes"
        if name in CONTAINER and absent and given.get("keep_volumes") is not True:
            return "a container with its volumes"
        if name in CONTAINER and given.get("keep_volumes", True) is not True:
            return "a container with its volumes"
        if name.startswith("docker_compose") and given.get("remove_volumes"):
            return "the volumes of a project"
        if COMMANDS.search(str(options)) and key not in ("name", "block", "tasks", "always", "rescue"):
            return f"the command {options}"
    return ""


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT)))
def test_no_task_can_remove_it(file: Path) -> None:
    assert [told for task in tasks(yaml.safe_load(file.read_text())) if (told := removes(task))] == []


@pytest.mark.parametrize(
    "task",
    [
        {"community.docker.docker_volume": {"name": "fleet-postgres", "state": "absent"}},
        {"community.docker.docker_volume": {"name": "{{ fleet.postgres.volume }}", "state": "absent"}},
        {"community.docker.docker_volume": {"name": "{{ item }}", "state": "absent"}, "loop": ["fleet-postgres"]},
        {"community.docker.docker_volume": {"name": "{{ item }}", "state": "absent"}, "loop": "{{ volumes }}"},
        {"community.docker.docker_volume": {"name": "x", "state": "{{ state }}"}},
        {"community.docker.docker_prune": {"volumes": True}},
        {"community.docker.docker_container": {"name": "postgres", "state": "absent"}},
        {"community.docker.docker_container": {"name": "postgres", "keep_volumes": False}},
        {"inference.fleet.service_container": {"name": "postgres", "state": "absent"}},
        {"ansible.builtin.command": "docker volume rm fleet-postgres"},
        {"ansible.builtin.command": {"argv": "docker system prune --volumes"}},
        {"ansible.builtin.shell": "docker compose down --volumes"},
        {"ansible.builtin.file": {"path": "/var/lib/docker/volumes/fleet-postgres", "state": "absent"}},
    ],
)
def test_such_a_task_would_be_found(task: dict[str, Any]) -> None:
    assert removes(task)


def test_all_tasks_are_looked_at() -> None:
    names = {task.get("name") for file in FILES for task in tasks(yaml.safe_load(file.read_text()))}
    assert {"Run PostgreSQL", "Remove Caddy, then the other services", "Restart docker"} <= names


def test_no_module_removes_volumes_but_those_with_compiled_code() -> None:
    calls = re.compile(r"remove_volume|prune_volumes|remove\(\s*v=|/volumes/.*DELETE")
    found = {path.name: calls.findall(path.read_text()) for path in (ROOT / "plugins").rglob("*.py")}
    assert {name: call for name, call in found.items() if call} == {"docker.py": ["remove_volume"]}


@pytest.mark.parametrize("name", ["fleet-postgres", "fleet-compiled-postgres", "fleet-compiled-vllm-a-1"])
def test_that_module_removes_no_other_volume(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        Docker.remove_compiled(None, name)  # type: ignore[arg-type]  # refused before the engine is asked

"""The controller parses the fleet of a host once in a run, and every module gets it in the newest schema.

mig_partition takes a layout that host_check worked out, and no part of an inventory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ansible import constants
from ansible_collections.inference.fleet.plugins.action import (
    host_check,
    model_cache,
    model_containers,
    recipe_image,
    validate,
)
from ansible_collections.inference.fleet.plugins.lookup import virtual_keys
from ansible_collections.inference.fleet.plugins.module_utils.inventory import migrations
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import parse_keys
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import unpack
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

ACTIONS = (host_check, model_cache, model_containers, recipe_image)
PLAYBOOK = """
- hosts: fleet
  gather_facts: false
  tasks:
    - inference.fleet.validate:
    - ansible.builtin.debug: {msg: "{{ lookup('inference.fleet.desired_state').fleet_models[0].name }}"}
    - ansible.builtin.debug: {msg: "{{ lookup('inference.fleet.given_secrets') | length }}"}
    - inference.fleet.host_check: {report: true, ports: []}
    - inference.fleet.host_check: {report: true, ports: []}
"""
CALLBACKS = Path(__file__).parents[2] / "lab" / "callbacks"


@pytest.fixture(autouse=True)
def of_its_own_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "DEFAULT_LOCAL_TMP", str(tmp_path))


def run(action: Any, variables: Mapping[str, Any], **arguments: Any) -> dict[str, Any]:
    """The options that the action gives its module on host gpu1, or its answer where it fails."""
    given: dict[str, Any] = {}
    plugin = action.ActionModule(
        SimpleNamespace(args=arguments, check_mode=True),
        *[None] * 3,
        templar=SimpleNamespace(template=lambda value: value),
        shared_loader_obj=None,
    )
    plugin._execute_module = lambda module_args, **_how: given.update(module_args) or given
    task_vars = {
        "inventory_hostname": "gpu1",
        "ansible_play_hosts": ["gpu1"],
        "groups": {"fleet": ["gpu1"]},
        "hostvars": {"gpu1": variables},
        **variables,
    }
    answer: dict[str, Any] = plugin.run(task_vars=task_vars)
    return answer


def test_a_run_parses_the_fleet_of_each_host_once(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(PLAYBOOK)
    host = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable, "fleet_models": [entry()]}
    (tmp_path / "hosts.json").write_text(json.dumps({"fleet": {"hosts": {"gpu1": host, "gpu2": host}}}))
    environment = {
        **os.environ,
        "ANSIBLE_CALLBACK_PLUGINS": str(CALLBACKS),
        "ANSIBLE_CALLBACKS_ENABLED": "count_parses",
        "ANSIBLE_LOCAL_TEMP": str(tmp_path / "controller"),
        "COUNT_PARSES": str(tmp_path / "count"),
    }
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts.json", "play.yml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert (tmp_path / "count").read_text().splitlines() == ["parsed"] * 2, "one for each of two hosts"
    assert list((tmp_path / "controller").rglob("*")) == [], "nothing of the fleet is left on the controller"


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__.rpartition(".")[2])
def test_a_module_gets_what_validate_read_and_the_fleet_is_not_parsed_again(
    action: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "failed" not in run(validate, {"fleet_models": [entry(name="validated")]})
    monkeypatch.setattr(Fleet, "parse", None)
    options = run(action, {"fleet_models": "whatever the variables are by now"})
    assert [model.name for model in unpack(options).models] == ["validated"]


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__.rpartition(".")[2])
def test_models_of_the_task_replace_those_of_the_inventory(action: Any) -> None:
    run(validate, {"fleet_models": [entry(name="validated")]})
    variables = {"fleet_images": {"vllm": "own/vllm:1"}, "fleet_keys": [{"alias": "app", "models": ["validated"]}]}
    read = unpack(run(action, variables, models=[entry(name="given")]))
    assert (read.models, read.images.vllm) == (fleet(entry(name="given")).models, "own/vllm:1")


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.__name__.rpartition(".")[2])
def test_without_validate_the_variables_of_the_host_count_and_their_faults_are_reported(action: Any) -> None:
    assert unpack(run(action, {"fleet_models": [entry(name="a")]})).models == fleet(entry(name="a")).models
    answer = run(action, {"fleet_models": [entry(replicas=0)], "fleet_modles": []})
    assert answer["failed"]
    assert [fault.partition(":")[0] for fault in answer["msg"].splitlines()] == [
        "fleet_models[0] (qwen3-8b).replicas",
        "fleet_modles",
    ]


def test_the_lookup_gives_virtual_keys_as_the_module_takes_them() -> None:
    keys = [
        {
            "alias": "app",
            "models": ["a"],
            "key": "sk-0123456789abcdef",
            "expires": "2099-01-31",
            "metadata": {"n": None},
        },
        {"alias": "gone", "state": "absent"},
    ]
    variables = {"fleet_models": [entry(name="a")], "fleet_keys": keys, "inventory_hostname": "gpu1"}
    lookup = virtual_keys.LookupModule(templar=SimpleNamespace(template=lambda value: value))
    assert parse_keys(lookup.run([], variables)) == parse_keys(keys)


def rename_weights(variables: migrations.Variables) -> migrations.Variables:
    """A schema 2 that calls `source` of a model `weights`, undone: what schema 1 calls `weights` is `source` now."""
    models = [
        {("source" if key == "weights" else key): value for key, value in model.items()}
        for model in variables.get("fleet_models") or ()
    ]
    return {**variables, "fleet_models": models}


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize("action", (validate, *ACTIONS), ids=lambda action: action.__name__.rpartition(".")[2])
def test_inventories_of_two_schemas_give_the_same_fleet(
    action: Any, schema: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "MIGRATIONS", {1: rename_weights})
    monkeypatch.setattr(migrations.migrate, "__defaults__", ({1: rename_weights},))
    written = {"name": "a", "type": "chat", ("weights" if schema == 1 else "source"): "own/a"}
    variables = {"fleet_schema": schema, "fleet_models": [written]}
    for prune in (False, True) if action is model_cache else (None,):
        answer = run(action, variables, **({} if prune is None else {"prune": prune}))
        assert "failed" not in answer, answer
        if action is validate:
            found = answer["ansible_facts"]["fleet"]["models"][0]["source"]
        else:
            found = unpack(answer).models[0].source
        assert found == "own/a"
        if prune:
            assert [other["source"] for other in answer["others"]] == ["own/a"]

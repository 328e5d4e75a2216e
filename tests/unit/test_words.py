"""tests/words.py refuses bad names and differing defaults, and accepts all others."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("words", ROOT / "tests/words.py")
assert _spec and _spec.loader
words = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(words)

BAD_NAMES = (
    "Start it anew",
    "Remove its configuration",
    "Build them, while no other run changes the host",
    "Wait until they answer",
    "Bring their API back",
    "Fail if those are missing",
    "Restart the old ones",
    "Do this",
    "Fail if this is missing",
    "Report that",
    "Have the node exporter hand that on",
    "Restart Docker where that is needed",
    "Record all that after a reboot",
    "Fail if one could not be built",
    "Find out whether one that nobody touched connects",
    "Replace the one before",
    "Print which one",
    "Use the one in the backup",
    "Have a value in the file of the admin",
    "Tell what went wrong",
    "Let LiteLLM know",
    "Say what was done",
    "See whether the database answers",
    "Be told which model",
    "Look at the clock",
    "Open the door",
    "Recreate the container anew",
    "Remove the keys of before",
    "Take one model away and leave the others alone",
    "Wait until each lets an admin in",
)
GOOD_NAMES = (
    "Recreate the LiteLLM container",
    "Remove the weights that no model uses",
    "Report the models that do not answer",
    "Check that the inventory has a group fleet",
    "Copy the wheels to this machine",
    "Install the packages of this host",
    "Restart replicas one at a time",
    "Start the models one by one",
    "Restore one host from a backup",
    "Rotate one secret of every host",
    "Wait until PostgreSQL answers",
    "Check that one replica answers",
    "Restart {{ them }}",
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_bad_name_is_refused(name: str) -> None:
    assert words.name_faults(name)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_a_good_name_is_accepted(name: str) -> None:
    assert words.name_faults(name) == []


def test_names_of_plays_blocks_and_tasks_are_found_with_their_lines() -> None:
    plays = """\
- name: play
  vars:
    fleet_models: [{name: not a task}]
  pre_tasks:
    - name: before
      ansible.builtin.debug: {msg: x}
  tasks:
    - name: block
      block:
        - name: task
          ansible.builtin.user: {name: not a task}
      rescue: [{name: rescue}]
      always: [{name: always}]
"""
    expected = [(1, "play"), (5, "before"), (8, "block"), (10, "task"), (12, "rescue"), (13, "always")]
    assert list(words.names(yaml.compose(plays))) == expected
    assert list(words.names(yaml.compose("platforms: [{name: it}]"))) == []
    assert list(words.names(yaml.compose("---\n"))) == []


@pytest.mark.parametrize(
    ("specified", "used", "fault"),
    [
        ({"a": 1}, {}, "a: argument_specs.yml has 1, defaults/main.yml has no default"),
        ({}, {"a": 1}, "a: argument_specs.yml has no default, defaults/main.yml has 1"),
        ({"a": 1}, {"a": 2}, "a: argument_specs.yml has 1, defaults/main.yml has 2"),
        ({"a": 1}, {"a": True}, "a: argument_specs.yml has 1, defaults/main.yml has True"),
        ({"a": [1]}, {"a": [1]}, None),
    ],
)
def test_a_default_that_differs_is_refused(specified: dict[str, Any], used: dict[str, Any], fault: str | None) -> None:
    assert list(words.differences(specified, used, "defaults/main.yml")) == ([fault] if fault else [])


@pytest.fixture
def options() -> dict[str, Any]:
    entries = yaml.safe_load((ROOT / "roles/fleet/meta/argument_specs.yml").read_text())["argument_specs"]
    own: dict[str, Any] = entries["main"]["options"]
    return own


def test_the_defaults_of_an_inventory_are_those_of_the_parser(options: dict[str, Any]) -> None:
    assert list(words.parser_differences(options)) == []


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("fleet_config_folder", "/etc/other"),
        ("fleet_config_folder", None),
        ("fleet_monitoring", True),
        ("fleet_toolkit_repository", {}),
        ("fleet_cache.min_free_gb", 10),
        ("fleet_cache.min_free_gb", None),
        ("fleet_secrets.salt_key", "sk-1"),
        ("fleet_models.replicas", 2),
        ("fleet_models.replicas", None),
        ("fleet_keys.state", "absent"),
    ],
)
def test_a_default_that_the_parser_does_not_have_is_refused(options: dict[str, Any], path: str, default: Any) -> None:
    name, _, inner = path.partition(".")
    option = options[name]["options"][inner] if inner else options[name]
    option["default"] = default
    if default is None:
        del option["default"]
    assert any(fault.startswith(name) for fault in words.parser_differences(options))


def test_a_tree_with_faults_fails_with_a_line_for_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    role = tmp_path / "roles/r"
    for folder in ("tasks", "meta", "defaults"):
        (role / folder).mkdir(parents=True)
    (role / "tasks/main.yml").write_text("- name: Start it\n")
    (role / "meta/argument_specs.yml").write_text("argument_specs: {main: {options: {a: {default: 1}}}}\n")
    (role / "defaults/main.yml").write_text("a: 2\n")
    assert words.main(tmp_path) == 1
    assert capsys.readouterr().out == (
        "roles/r/tasks/main.yml:1: 'Start it': 'it' stands for a thing; name the thing\n"
        "roles/r/meta/argument_specs.yml: a: argument_specs.yml has 1, defaults/main.yml has 2\n"
    )
    (role / "tasks/main.yml").write_text("- name: Start the service\n")
    (role / "defaults/main.yml").write_text("a: 1\n")
    assert words.main(tmp_path) == 0

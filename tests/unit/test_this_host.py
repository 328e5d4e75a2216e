"""inference.fleet.this_host: the inventory from a host's config.json, for the restore."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible import constants
from ansible.errors import AnsibleParserError
from ansible.inventory.data import InventoryData
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.plugins.inventory import this_host as plugin
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.tests.unit.samples import entry
from jinja2 import Template

COLLECTION = Path(plugin.__file__).parents[2]
HOST = socket.gethostname()
SECRET = "hf_0123456789abcdef"
STATE: dict[str, Any] = {"fleet_schema": 1, "fleet_models": [entry()], "fleet_hf_token": SECRET}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a config.json, and the inventory source of the role beside it."""
    (tmp_path / "config.json").write_text(json.dumps(STATE))
    (tmp_path / "this_host.fleet.yml").write_text("plugin: inference.fleet.this_host\npython: /usr/bin/python3.11\n")
    return tmp_path


@pytest.fixture(autouse=True)
def moved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_FLEET_CONFIG", str(folder))


def read(source: Path) -> InventoryData:
    """As Ansible's plugin loader and its inventory do it."""
    made = plugin.InventoryModule()
    made._load_name = plugin.InventoryModule.NAME
    options = yaml.safe_load(plugin.DOCUMENTATION)["options"]
    constants.config.initialize_plugin_configuration_definitions("inventory", made._load_name, options)
    inventory = InventoryData()
    assert made.verify_file(str(source))
    made.parse(inventory, DataLoader(), str(source))
    return inventory


def variables(source: Path) -> dict[str, Any]:
    found: dict[str, Any] = read(source).hosts[HOST].get_vars()
    return found


def refused(folder: Path) -> str:
    with pytest.raises(AnsibleParserError) as caught:
        read(folder / "this_host.fleet.yml")
    return str(caught.value)


# Data for Ansible


def test_there_is_one_host_in_the_group_fleet_and_it_is_this_one(folder: Path) -> None:
    inventory = read(folder / "this_host.fleet.yml")
    assert [host.name for host in inventory.groups["fleet"].get_hosts()] == [HOST]
    found = variables(folder / "this_host.fleet.yml")
    assert (found["ansible_connection"], found["ansible_python_interpreter"]) == ("local", "/usr/bin/python3.11")


@pytest.mark.parametrize(
    ("started", "by_itself"), [(os.getpid(), True), (1, False), ("", False)], ids=["this process", "another", "none"]
)
def test_it_restores_itself_where_systemd_started_ansible(
    folder: Path, monkeypatch: pytest.MonkeyPatch, started: object, by_itself: bool
) -> None:
    """1: for example a terminal that systemd started; its programs inherit the variables of the terminal's unit."""
    monkeypatch.setenv("SYSTEMD_EXEC_PID", str(started))
    assert variables(folder / "this_host.fleet.yml")["restore_by_itself"] is by_itself


def test_it_may_have_the_name_that_the_admins_inventory_gives_it(folder: Path) -> None:
    source = folder / "this_host.fleet.yml"
    with source.open("a") as more:
        more.write("name: gpu1.example.com\n")
    assert [host.name for host in read(source).groups["fleet"].get_hosts()] == ["gpu1.example.com"]


def test_its_variables_are_those_of_the_file_and_make_the_same_fleet(folder: Path) -> None:
    made = Fleet.parse({**STATE, "fleet_config_folder": str(folder)})
    (folder / "config.json").write_text(json.dumps(made.desired_state()))
    assert Fleet.parse(variables(folder / "this_host.fleet.yml")).desired_state() == made.desired_state()


def test_nothing_in_the_file_is_taken_for_a_template(folder: Path) -> None:
    """A chat template in a model's arguments looks like an Ansible template."""
    text = "{{ 6 * 7 }} {% for message in messages %}"
    state = {**STATE, "fleet_models": [entry(args={"chat-template": text})], "fleet_hf_token": text}
    (folder / "config.json").write_text(json.dumps(state))
    templar = Templar(DataLoader(), variables=variables(folder / "this_host.fleet.yml"))
    assert templar.template(trust_as_template("{{ 6 * 7 }}")) == 42
    assert templar.template(trust_as_template("{{ fleet_hf_token }}")) == text
    assert templar.template(trust_as_template("{{ fleet_models }}"))[0]["args"] == {"chat-template": text}


def test_the_folder_that_was_moved_counts_whatever_the_file_says(folder: Path) -> None:
    (folder / "config.json").write_text(json.dumps({**STATE, "fleet_config_folder": "/etc/elsewhere"}))
    assert variables(folder / "this_host.fleet.yml")["fleet_config_folder"] == str(folder)


def test_the_inventory_source_may_name_the_folder_itself(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INFERENCE_FLEET_CONFIG", "/nowhere")
    with (folder / "this_host.fleet.yml").open("a") as source:
        source.write(f"config_folder: {folder}\n")
    assert variables(folder / "this_host.fleet.yml")["fleet_config_folder"] == str(folder)


def test_without_a_word_the_folder_is_in_etc(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INFERENCE_FLEET_CONFIG")
    asked: list[Path] = []
    monkeypatch.setattr(plugin, "read_state", lambda file: asked.append(file) or STATE)
    read(folder / "this_host.fleet.yml")
    assert asked == [Path("/etc/inference-fleet/config.json")]


def test_other_inventories_are_left_to_other_plugins(folder: Path) -> None:
    (folder / "hosts.yml").write_text("all: {}\n")
    assert not plugin.InventoryModule().verify_file(str(folder / "hosts.yml"))


# Variables that config.json does not contain


def carried() -> list[str]:
    names: list[str] = yaml.safe_load((COLLECTION / "roles/restore/vars/main.yml").read_text())["__restore_options"]
    return names


def source_of_the_role(folder: Path, given: dict[str, Any]) -> Path:
    """this_host.fleet.yml, as the role writes it for a host whose inventory has these variables."""
    template = (COLLECTION / "roles/restore/templates/this_host.fleet.yml.j2").read_text()
    names = {"inventory_hostname": HOST, "hostvars": {HOST: given}, "__restore_options": carried(), "ansible_facts": {}}
    source = folder / "this_host.fleet.yml"
    source.write_text(Templar(DataLoader(), variables=names).template(trust_as_template(template)))
    return source


def test_options_of_roles_that_the_inventory_sets_go_with_the_host(folder: Path) -> None:
    source = source_of_the_role(folder, {"litellm_ready_timeout": 900, "caddy_ready_timeout": 30, "ntp": "elsewhere"})
    found = variables(source)
    assert (found["litellm_ready_timeout"], found["caddy_ready_timeout"]) == (900, 30)
    assert not {"postgres_ready_timeout", "ntp"} & found.keys()


def test_without_any_there_are_those_of_config_json(folder: Path) -> None:
    before = variables(folder / "this_host.fleet.yml")
    after = variables(source_of_the_role(folder, {}))
    assert after.keys() == before.keys()


def test_every_time_that_a_role_waits_for_its_service_is_one_of_them() -> None:
    specs = [yaml.safe_load(file.read_text()) for file in COLLECTION.glob("roles/*/meta/argument_specs.yml")]
    options = {name for spec in specs for entry in spec["argument_specs"].values() for name in entry["options"]}
    assert {name for name in options if name.endswith("_ready_timeout")} == set(carried()) - {"litellm_backup"}


def test_they_win_over_nothing_that_the_file_says_and_are_no_templates(folder: Path) -> None:
    with (folder / "this_host.fleet.yml").open("a") as more:
        more.write("variables: {fleet_schema: 99, note: '{{ 6 * 7 }}'}\n")
    found = variables(folder / "this_host.fleet.yml")
    assert found["fleet_schema"] == 1
    templar = Templar(DataLoader(), variables=found)
    assert templar.template(trust_as_template("{{ note }}")) == "{{ 6 * 7 }}"


# Incomplete files


REMEDY = "; run the playbook install from your machine to write the file again"
WHOLE = json.dumps(STATE).encode()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\n",
        b"\0" * 512,
        WHOLE[:-1],
        WHOLE[: WHOLE.index(SECRET.encode()) + 8],
        WHOLE[: len(WHOLE) // 2],
        WHOLE + WHOLE,
        WHOLE.replace(b'"hf_', b'"\xff\xfe'),
        WHOLE.replace(b'"hf_', b"hf_"),
        WHOLE.replace(b"hf_0", b"hf_\\x"),
    ],
)
def test_a_file_that_is_cut_off_or_damaged_is_named_and_not_shown(folder: Path, content: bytes) -> None:
    (folder / "config.json").write_bytes(content)
    message = refused(folder)
    assert message.startswith(f"{folder}/config.json: is damaged or was edited: not JSON (")
    assert message.endswith(REMEDY)
    assert SECRET[-6:] not in message


@pytest.mark.parametrize("content", [[], {}, [STATE], SECRET, None, {SECRET: 1}, {**STATE, "ansible_host": SECRET}])
def test_json_that_is_no_state_of_a_host_is_refused_and_not_shown(folder: Path, content: Any) -> None:
    (folder / "config.json").write_text(json.dumps(content))
    assert refused(folder) == f"{folder}/config.json: expected a mapping of fleet_* variables{REMEDY}"


def test_a_file_that_is_not_there_is_named(folder: Path) -> None:
    (folder / "config.json").unlink()
    assert refused(folder) == f"{folder}/config.json: cannot be read (No such file or directory){REMEDY}"


# With Ansible itself, set up as the role restore does it


def inventory_command(folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "collections").symlink_to(COLLECTION.parents[2])
    settings = Template((COLLECTION / "roles/restore/templates/ansible.cfg.j2").read_text())
    (folder / "ansible.cfg").write_text(
        settings.render(fleet={"paths": {"kit": folder, "run": "/run/inference-fleet"}})
    )
    environment = {
        **os.environ,
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"),
    }
    return subprocess.run(
        [sys.executable, "-m", "ansible", "inventory", "--list"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_ansible_finds_the_host_by_the_settings_of_the_role(folder: Path) -> None:
    done = inventory_command(folder)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["_meta"]["hostvars"][HOST]["fleet_schema"] == 1


def test_a_restore_from_a_file_that_is_cut_off_fails_instead_of_restoring_no_host(folder: Path) -> None:
    (folder / "config.json").write_bytes(WHOLE[: WHOLE.index(SECRET.encode()) + 8])
    done = inventory_command(folder)
    assert done.returncode != 0
    assert "/config.json: is damaged or was edited" in done.stderr
    assert SECRET[:8] not in done.stdout + done.stderr

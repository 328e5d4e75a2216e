"""The inventory as the page reads it: all of its forms, and all that can be wrong with it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.page.fleets import ONE, changed, encrypted, host, inventory, write
from fleet_page import inventory as module
from fleet_page.edits import entry_edit, variable_edit
from fleet_page.inventory import Inventory

ROOT = Path(__file__).resolve().parents[3]
HOSTS = "fleet: {hosts: {gpu1: {}, gpu2: {}}}\n"
MODELS = "fleet_models:\n  - {name: a, type: chat, source: Qwen/Qwen3-8B}\n"


def test_reads_the_example() -> None:
    found = Inventory(ROOT / "inventories/example").snapshot()
    assert not found.faults
    assert [*found.hosts] == ["gpu1.example.com", "gpu2.example.com"]
    assert all(one.fleet and one.models and not one.faults for one in found.hosts.values())


def test_reads_a_single_file() -> None:
    found = Inventory(ROOT / "inventories/quickstart/hosts.yml").snapshot()
    assert [one["name"] for one in found.hosts["this-machine"].models] == ["tiny-chat"]
    assert [*found.texts] == [ROOT / "inventories/quickstart/hosts.yml"]


def test_reads_a_folder_of_many_files(folder: Path) -> None:
    found = inventory(
        folder,
        {
            "one.yml": "fleet: {hosts: {gpu1: {}}}\n",
            "two.yaml": "fleet: {hosts: {gpu2: {}}}\n",
            "three.ini": "[fleet]\ngpu3\n",
            "four": "[fleet]\ngpu4\n",
            "group_vars/fleet/models.yml": MODELS,
            "group_vars/fleet/deeper/other.yml": "fleet_energy: false\n",
            "host_vars/gpu2.yml": "fleet_models: []\n",
        },
    ).snapshot()
    assert not found.faults
    assert {name: len(one.models) for name, one in found.hosts.items()} == {"gpu1": 1, "gpu2": 0, "gpu3": 1, "gpu4": 1}
    assert found.hosts["gpu1"].given["fleet_energy"] is False
    assert found.place("gpu1", "fleet_models").file == folder / "group_vars/fleet/models.yml"
    assert found.place("gpu2", "fleet_models").file == folder / "host_vars/gpu2.yml"
    assert found.sharing("gpu1", "fleet_models") == ["gpu1", "gpu3", "gpu4"]


def test_sees_each_change_on_disk(folder: Path) -> None:
    found = inventory(folder, {"hosts.yml": HOSTS, "group_vars/fleet.yml": MODELS})
    first = found.snapshot()
    assert found.snapshot() is first
    write(folder, {"host_vars/gpu2.yml": "fleet_models: []\n"})
    assert not host(found, "gpu2").models
    (folder / "host_vars/gpu2.yml").unlink()
    assert host(found, "gpu2").models
    write(folder, {"group_vars/all/x.yml": "fleet_energy: false\n"})
    assert host(found).given["fleet_energy"] is False


def test_follows_links_to_folders_and_ends_in_a_circle(folder: Path, tmp_path: Path) -> None:
    write(tmp_path, {"elsewhere/fleet.yml": MODELS})
    (folder / "group_vars").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/all").mkdir()
    (tmp_path / "elsewhere/all/again").symlink_to(tmp_path / "elsewhere")
    found = inventory(folder, {"hosts.yml": HOSTS})
    assert folder / "group_vars/fleet.yml" in found.snapshot().texts
    assert not found.proposal("x", [changed(found, "a", replicas=2)]).faults


def test_does_not_wait_for_a_pipe(folder: Path) -> None:
    write(folder, {"hosts.yml": HOSTS})
    os.mkfifo(folder / "pipe")
    (fault,) = Inventory(folder).snapshot().faults
    assert fault == f"{folder}/pipe: is a pipe or a socket, which Ansible waits for; move it out of the inventory"


def test_an_encrypted_value_is_no_fault_of_the_models(folder: Path) -> None:
    value = "\n".join(f"    {line}" for line in encrypted("sk-secret").splitlines())
    secrets = f"fleet_secrets:\n  master_key: !vault |\n{value}\n"
    found = inventory(folder, {"hosts.yml": HOSTS, "group_vars/fleet.yml": f"{MODELS}{secrets}"})
    one = host(found)
    assert one.fleet and [model["name"] for model in one.models] == ["a"]
    assert any("vault" in fault for fault in one.faults)
    proposal = found.proposal("x", [changed(found, "a", replicas=2)])
    assert not proposal.faults
    assert secrets in proposal.texts[folder / "group_vars/fleet.yml"][1]


def test_a_wholly_encrypted_file_is_a_fault_of_its_hosts(folder: Path) -> None:
    found = inventory(
        folder, {"hosts.yml": HOSTS, "host_vars/gpu1.yml": encrypted(MODELS), "host_vars/gpu2.yml": MODELS}
    )
    snapshot = found.snapshot()
    assert not snapshot.faults
    assert "vault" in " ".join(snapshot.hosts["gpu1"].faults).lower()
    assert snapshot.hosts["gpu2"].fleet and not snapshot.hosts["gpu2"].faults
    with pytest.raises(FleetError, match=r"host_vars/gpu1\.yml"):
        found.proposal("x", [variable_edit(snapshot, "gpu1", "fleet_energy", False, "x")])
    assert not found.proposal("x", [changed(found, "a", "gpu2", replicas=2)]).faults


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("fleet_models:\n  - name: a\n   type: chat\n", "line 3"),
        ("fleet_models: [\n", "line 2"),
        ("fleet_models: {{ x }}\n", "line 1"),
        ("a: 1\nb: 'x\n", "line"),
        ("a: \x07\n", "expected YAML"),
    ],
)
def test_broken_yaml_is_a_fault_with_its_file_and_line(folder: Path, text: str, line: str) -> None:
    found = inventory(folder, {"hosts.yml": HOSTS, "group_vars/fleet.yml": text}).snapshot()
    assert not found.hosts
    assert found.faults[0].startswith(f"{folder}/group_vars/fleet.yml: ") and line in found.faults[0]


def test_an_unreadable_file_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = inventory(folder, {"hosts.yml": HOSTS, "group_vars/fleet.yml": MODELS})
    (folder / "group_vars/fleet.yml").chmod(0)
    # Root reads everything.
    monkeypatch.setattr(module, "_text", lambda file: None if file.name == "fleet.yml" else file.read_text())
    monkeypatch.setattr(os, "access", lambda file, _mode: Path(file).name != "fleet.yml")
    (fault,) = found.snapshot().faults
    assert (
        fault == f"{folder}/group_vars/fleet.yml: cannot be read by the user of this service; check its group and mode"
    )


def test_a_file_that_cannot_be_copied_is_a_fault(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = inventory(folder, {"hosts.yml": ONE})
    edit = changed(found, "a", replicas=2)

    def refuse(source: Path, _target: Path) -> None:
        raise PermissionError(13, "Permission denied", str(source))

    monkeypatch.setattr(shutil, "copy2", refuse)
    with pytest.raises(FleetError, match=r"hosts\.yml: Permission denied; check its group and mode"):
        found.proposal("x", [edit])


@pytest.mark.parametrize(
    "files", [{}, {"hosts.yml": "all: {hosts: {gpu1: {}}}\n"}, {"hosts.yml": "fleet: {}\n"}, {"hosts.yml": ""}]
)
def test_without_a_host_of_the_group_the_page_says_what_is_missing(folder: Path, files: dict[str, str]) -> None:
    found = inventory(folder, files).snapshot()
    assert not found.hosts
    assert found.faults == (f"{folder}: has no host in the group fleet; add one, as inventories/example shows",)


def test_an_inventory_that_is_gone_is_a_fault(tmp_path: Path) -> None:
    assert Inventory(tmp_path / "nowhere.yml").snapshot().faults


def test_a_template_as_list_of_models_is_shown_and_not_changed(folder: Path) -> None:
    text = "fleet_models: '{{ mine }}'\nmine:\n  - {name: a, type: chat, source: Qwen/Qwen3-8B}\n"
    found = inventory(folder, {"hosts.yml": HOSTS, "group_vars/fleet.yml": text})
    assert [one["name"] for one in host(found).models] == ["a"]
    with pytest.raises(FleetError, match=r"fleet\.yml: fleet_models is written as a template or an alias"):
        entry_edit(found.snapshot(), "gpu1", "fleet_models", "a", {"name": "a"}, "x")


@pytest.mark.parametrize("value", ["5", "text", "[1, 2]", "{a: b}", "null", "[{}]", "[[]]"])
def test_models_that_are_no_list_of_mappings_are_a_fault_and_no_crash(folder: Path, value: str) -> None:
    found = inventory(folder, {"hosts.yml": HOSTS, "group_vars/fleet.yml": f"fleet_models: {value}\n"})
    one = host(found)
    assert all(isinstance(model, dict) for model in one.models)
    assert bool(one.faults) == (value != "null") or one.fleet

"""Where a variable is written: the same place wins as in Ansible."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.inventory.helpers import sort_groups
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.vars.manager import VariableManager
from ansible_collections.inference.fleet.plugins.plugin_utils.page.places import (
    HostNames,
    Place,
    new_place,
    place_of,
    places,
)

HOSTS = {
    "all": {"vars": {"fleet_x": "source all"}},
    "site": {"children": {"fleet": {"vars": {"fleet_x": "source child"}}}, "vars": {"fleet_x": "source site"}},
    "fleet": {"hosts": {"gpu1": {"fleet_x": "source host"}, "gpu2": None}},
}
FILES = {
    "hosts.yml": HOSTS,
    "group_vars/all.yml": {"fleet_x": "all"},
    "group_vars/all/more.yml": {"fleet_x": "all, more"},
    "group_vars/site/a.yaml": {"fleet_x": "site a"},
    "group_vars/site/b": {"fleet_x": "site b"},
    "group_vars/fleet": {"fleet_x": "fleet"},
    "group_vars/other.yml": {"fleet_x": "other"},
    "group_vars/fleet.yml.bak": {"fleet_x": "backup"},
    "host_vars/gpu1.yml": {"fleet_x": "host"},
    "host_vars/gpu1.json": {"fleet_x": "host json"},
    "host_vars/gpu2.yml": {"fleet_y": 1},
}


def written(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(yaml.safe_dump(FILES[name]))


def seen(folder: Path, host: str) -> tuple[list[Place], dict[Path, Any], Any]:
    """The places of the host, the data of the files, and Ansible's value."""
    loader = DataLoader()
    inventory = InventoryManager(loader=loader, sources=[str(folder / "hosts.yml")])
    of_ansible = VariableManager(loader=loader, inventory=inventory)
    found = inventory.get_host(host)
    names = HostNames(host, tuple(group.name for group in sort_groups(found.get_groups())))
    data = {file: yaml.safe_load(file.read_text()) for file in folder.rglob("*") if file.is_file()}
    sources = {folder / "hosts.yml": data[folder / "hosts.yml"]}
    value = of_ansible.get_vars(host=found, include_hostvars=False).get("fleet_x")
    return places(names, sources, [file for file in data if file.name != "hosts.yml"]), data, value


@pytest.mark.parametrize("count", range(len(FILES)))
def test_the_place_that_wins_in_ansible(count: int, tmp_path: Path) -> None:
    """The files of ever more special places, so each wins once; some cannot be there together."""
    names = [name for name in list(FILES)[1:] if name not in ("group_vars/all.yml", "host_vars/gpu1.json")][:count]
    written(tmp_path, ("hosts.yml", *names))
    for host in ("gpu1", "gpu2"):
        found, data, value = seen(tmp_path, host)
        place = place_of("fleet_x", found, data)
        assert place
        at = data[place.file]
        for key in place.of("fleet_x"):
            at = at[key]
        assert at == value


def test_each_pair_of_files(tmp_path: Path) -> None:
    for number, pair in enumerate(itertools.combinations(list(FILES)[1:], 2)):
        if {"group_vars/all.yml", "group_vars/all/more.yml"} <= set(pair):
            continue
        folder = tmp_path / str(number)
        written(folder, ("hosts.yml", *pair))
        found, data, value = seen(folder, "gpu1")
        place = place_of("fleet_x", found, data)
        assert place
        at = data[place.file]
        for key in place.of("fleet_x"):
            at = at[key]
        assert at == value, pair


def test_a_new_variable_goes_to_the_file_of_the_host(tmp_path: Path) -> None:
    written(tmp_path, ("hosts.yml", "group_vars/fleet", "host_vars/gpu2.yml"))
    for host in ("gpu1", "gpu2"):
        found, data, _value = seen(tmp_path, host)
        assert place_of("fleet_z", found, data) is None
        expected = Place(tmp_path / "host_vars" / f"{host}.yml")
        assert new_place(HostNames(host, ("all", "fleet")), found, tmp_path) == expected

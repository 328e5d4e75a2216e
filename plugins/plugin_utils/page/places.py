# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Where a host's variables are written: the files of an inventory, and the place in each, by Ansible's precedence.

The order is that of Ansible ("Understanding variable precedence", for inventories): variables of groups in the files of
the inventory, `group_vars/all`, `group_vars/GROUP`, variables of the host in the files of the inventory,
`host_vars/HOST`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import Path as Keys

ALL = "all"
ENDINGS = (".yml", ".yaml", ".json", "")  # that Ansible reads below group_vars and host_vars


@dataclass(frozen=True)
class Place:
    """A mapping of variables. keys: its path in the file, () for the whole file."""

    file: Path
    keys: Keys = ()

    def of(self, variable: str) -> Keys:
        return (*self.keys, variable)


@dataclass(frozen=True)
class HostNames:
    """A host, and its groups from the most general to the most special one, as Ansible sorts them."""

    name: str
    groups: tuple[str, ...]


def places(host: HostNames, sources: Mapping[Path, Any], files: Iterable[Path]) -> list[Place]:
    """All mappings that have variables of the host, the one that wins last.

    sources: the files of the inventory with their data. files: all files below the folders group_vars and host_vars.
    """
    special = [group for group in host.groups if group != ALL]
    files = sorted(files)
    return [
        *(place for group in (ALL, *special) for place in _in_sources(sources, "vars", group)),
        *(Place(file) for group in (ALL, *special) for file in _below(files, "group_vars", group)),
        *_in_sources(sources, "hosts", host.name),
        *(Place(file) for file in _below(files, "host_vars", host.name)),
    ]


def place_of(variable: str, found: Sequence[Place], data: Mapping[Path, Any]) -> Place | None:
    """The place whose value of the variable wins. data: of each file."""
    return next((place for place in reversed(found) if _has(data.get(place.file), place.of(variable))), None)


def new_place(host: HostNames, found: Sequence[Place], folder: Path) -> Place:
    """Where a variable goes that the host does not have yet: the file of the host, if it has one, else a new one."""
    own = [place for place in found if _name_below(place.file, "host_vars") == host.name]
    return own[-1] if own else Place(folder / "host_vars" / f"{host.name}.yml")


def _in_sources(sources: Mapping[Path, Any], kind: str, name: str) -> Iterator[Place]:
    """Groups in files of the inventory's plugin `yaml`; kind: `vars` of a group, or `hosts` that it has."""
    for file, data in sources.items():
        for group, keys, entry in _groups(data):
            own = entry.get(kind)
            if kind == "vars" and group == name and isinstance(own, Mapping):
                yield Place(file, (*keys, kind))
            if kind == "hosts" and isinstance(own, Mapping) and isinstance(own.get(name), Mapping):
                yield Place(file, (*keys, kind, name))


def _groups(data: Any, keys: Keys = ()) -> Iterator[tuple[str, Keys, Mapping[str, Any]]]:
    for group, entry in data.items() if isinstance(data, Mapping) else ():
        if isinstance(group, str) and isinstance(entry, Mapping):
            yield group, (*keys, group), entry
            yield from _groups(entry.get("children"), (*keys, group, "children"))


def _below(files: Iterable[Path], folder: str, name: str) -> Iterator[Path]:
    """`folder/name`, with any ending, or all files of a folder of this name."""
    yield from (file for file in files if _name_below(file, folder) == name)


def _name_below(file: Path, folder: str) -> str | None:
    """The group or host that a file below group_vars or host_vars is for."""
    parts = file.parts
    if folder not in parts:
        return None
    first, *deeper = parts[len(parts) - parts[::-1].index(folder) :]
    if file.suffix not in ENDINGS or any(part.startswith(".") or part.endswith("~") for part in (first, *deeper)):
        return None
    return first if deeper else next(first.removesuffix(one) for one in ENDINGS if first.endswith(one))


def _has(data: Any, keys: Keys) -> bool:
    for key in keys:
        if not isinstance(data, Mapping) or key not in data:
            return False
        data = data[key]
    return True

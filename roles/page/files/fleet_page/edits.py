# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An edit of the inventory: which file it changes, the difference, and the secrets that no page shows. Pure."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import is_secret, is_secret_name
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.places import HostNames, Place, new_place, place_of
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import Path as Keys
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import compose, edited, read, removed

HIDDEN = "••••••"
SECRET_VARIABLES = ("fleet_secrets", "fleet_hf_token")  # beside those with such a name, and URLs with a password
SHORTEST_SECRET = 4
ENTRY = ("name", "alias")


@dataclass(frozen=True)
class Host:
    """A host of the inventory. given: its templated fleet variables. fleet: None if they have faults that prevent it.
    faults: in the words of the collection. places: where its variables may be written, the one that wins last."""

    names: HostNames
    given: Mapping[str, Any] = field(default_factory=dict)
    fleet: Fleet | None = None
    faults: tuple[str, ...] = ()
    places: tuple[Place, ...] = ()

    @property
    def models(self) -> list[Mapping[str, Any]]:
        """The entries of fleet_models, as they are in the inventory."""
        found = self.given.get("fleet_models")
        return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []

    def entries(self, variable: str) -> list[Mapping[str, Any]]:
        found = self.given.get(variable)
        return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


@dataclass(frozen=True)
class Snapshot:
    """The inventory at one moment. texts: of its files. data: of the files that have YAML. hosts: of the group fleet.
    faults: that concern all of it. digest: another one if a file changed."""

    folder: Path
    hosts: Mapping[str, Host] = field(default_factory=dict)
    texts: Mapping[Path, str] = field(default_factory=dict)
    data: Mapping[Path, Any] = field(default_factory=dict)
    faults: tuple[str, ...] = ()
    digest: str = ""

    def place(self, host: str, variable: str) -> Place:
        """Where the variable of the host is written, or where it goes."""
        names, places = self.hosts[host].names, self.hosts[host].places
        return place_of(variable, places, self.data) or new_place(names, places, self.folder)

    def sharing(self, host: str, variable: str) -> list[str]:
        """All hosts that get the variable from the same place."""
        place = self.place(host, variable)
        return [name for name in self.hosts if self.place(name, variable) == place]

    @cached_property
    def secrets(self) -> frozenset[str]:
        """The texts in the inventory that no page shows."""
        found: set[str] = set()
        for host in self.hosts.values():
            for name, value in host.given.items():
                found.update(_secrets(value, name))
        for text in self.texts.values():
            found.update(secrets_in(text))
        return _long_enough(found)

    def entry(self, host: str, variable: str, name: str) -> dict[str, Any]:
        """An entry of a list as it is written, with templates. Raises FleetError if there is none."""
        found = self.written(host, variable)
        entry = next((one for one in found if name_of(one) == name), None) if isinstance(found, list) else None
        if entry is None:
            raise FleetError(
                f"{name}: {variable} of {host} is written as a template, or has no such entry; edit the file by hand"
            )
        return dict(entry)

    def written(self, host: str, variable: str) -> Any:
        """The value as it is written, with templates; None if it is not."""
        place = self.place(host, variable)
        value = self.data.get(place.file)
        for key in place.of(variable):
            value = value.get(key) if isinstance(value, Mapping) else None
        return value


@dataclass(frozen=True)
class Edit:
    """Another value in a file, or, if it is removed, none. what: for people, such as `add model qwen3-8b on gpu1`."""

    file: Path
    path: Keys
    value: Any
    what: str
    removed: bool = False

    def applied(self, text: str) -> str:
        """Raises FleetError if text alone cannot express the edit."""
        return removed(text, self.path) if self.removed else edited(text, self.path, self.value)


@dataclass(frozen=True)
class Proposal:
    """What an edit would make of the inventory. texts: file -> before (None for a new file) and after."""

    what: str
    texts: Mapping[Path, tuple[str | None, str]]
    after: Snapshot
    hosts: tuple[str, ...] = ()
    faults: tuple[str, ...] = ()

    @property
    def changes(self) -> bool:
        return any(before != after for before, after in self.texts.values())

    def difference(self) -> str:
        """In the form of `diff -u`, without secrets."""
        lines: list[str] = []
        for file, (before, after) in self.texts.items():
            parts = (before or "").splitlines(), after.splitlines()
            lines += difflib.unified_diff(*parts, f"{file} (now)", f"{file} (then)", lineterm="", n=3)
        previous = (one for text, _after in self.texts.values() for one in secrets_in(text or ""))
        return without_secrets("\n".join(lines), {*self.after.secrets, *_long_enough(previous)})


def variable_edit(snapshot: Snapshot, host: str, variable: str, value: Any, what: str) -> Edit:
    """value: None removes the variable."""
    place = snapshot.place(host, variable)
    return Edit(place.file, place.of(variable), value, what, removed=value is None)


def entry_edit(
    snapshot: Snapshot, host: str, variable: str, name: str | None, entry: Mapping[str, Any] | None, what: str
) -> Edit:
    """An entry of a list, such as a model. name: of the entry that is changed or, with entry None, removed; None for a
    new entry. Raises FleetError if the list is written as a template."""
    place = snapshot.place(host, variable)
    written = snapshot.written(host, variable)
    if written is None and name is None:
        return Edit(place.file, place.of(variable), [dict(entry or {})], what)
    if not isinstance(written, list):
        raise FleetError(
            f"{place.file}: {variable} is written as a template or an alias, which the page cannot change; edit the "
            "file by hand"
        )
    if name is None:
        return Edit(place.file, (*place.of(variable), len(written)), dict(entry or {}), what)
    index = next((number for number, one in enumerate(written) if name_of(one) == name), None)
    if index is None:
        raise FleetError(f"{place.file}: {variable} has no entry {name} any more; look at the inventory again")
    return Edit(place.file, (*place.of(variable), index), entry and dict(entry), what, removed=entry is None)


def digest_of(value: Any) -> str:
    """Another one for another value of the inventory. It shows no secret."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


CHANGED_MEANWHILE = "somebody changed it after you opened the form; open the form again to see the new values"


def name_of(entry: Any) -> str | None:
    found = next((entry[key] for key in ENTRY if key in entry), None) if isinstance(entry, Mapping) else None
    return found if isinstance(found, str) else None


def is_secret_field(name: str) -> bool:
    return name in SECRET_VARIABLES or is_secret_name(name.upper())


def secrets_in(text: str) -> Iterator[str]:
    """The secrets of a YAML file, as values and as they are written there: quoted, or line by line."""
    try:
        root = compose(text)
    except FleetError:
        return
    if root is not None:
        yield from _written_secrets(text, root, "", False)


def _written_secrets(text: str, node: yaml.Node, name: str, hidden: bool) -> Iterator[str]:
    hidden = hidden or is_secret_field(name)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield from _written_secrets(text, value, str(key.value), hidden)
    elif isinstance(node, yaml.SequenceNode):
        for one in node.value:
            yield from _written_secrets(text, one, name, hidden)
    elif not node.tag.startswith("!") and (hidden or is_secret(name, node.value)) and not is_template(node.value):
        as_written = text[node.start_mark.index : node.end_mark.index]
        yield from (node.value, *node.value.splitlines(), *map(str.strip, as_written.splitlines()))


def is_template(value: str) -> bool:
    """Whether all of it is a template, which shows no secret."""
    return value.strip().startswith("{{") and value.strip().endswith("}}")


def _long_enough(found: Iterable[str]) -> frozenset[str]:
    return frozenset(one for one in found if len(one) >= SHORTEST_SECRET)


def _secrets(value: Any, name: str, hidden: bool = False) -> Iterator[str]:
    hidden = hidden or is_secret_field(name)
    if isinstance(value, Mapping):
        for key, one in value.items():
            yield from _secrets(one, str(key), hidden)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _secrets(one, name, hidden)
    elif isinstance(value, str) and (hidden or is_secret(name, value)):
        yield from (value, *value.splitlines())


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    for one in sorted(secrets, key=len, reverse=True):
        text = text.replace(one, HIDDEN)
    return text


def parsed(text: str) -> Any:
    """The data of a file, None if it is no YAML; its fault is Ansible's to report."""
    try:
        return read(text)
    except FleetError:
        return None

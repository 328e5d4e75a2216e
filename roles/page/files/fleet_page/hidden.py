# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A value of the inventory as a form shows it, without its secrets, and back again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import is_secret
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import below
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import Tagged

from fleet_page.edits import HIDDEN, is_secret_field, is_template, name_of


class _Missing:
    """No value before."""


MISSING = _Missing()


def masked(value: Any, name: str, hidden: bool = False) -> Any:
    """The value without its secrets, and without values of Ansible Vault. hidden: all of it is secret."""
    hidden = hidden or is_secret_field(name)
    if isinstance(value, Tagged):
        return HIDDEN
    if isinstance(value, Mapping):
        return {key: masked(one, str(key), hidden) for key, one in value.items()}
    if isinstance(value, list):
        return [masked(one, name, hidden) for one in value]
    return HIDDEN if _hides(name, value, hidden) else value


def _hides(name: str, value: Any, hidden: bool) -> bool:
    if isinstance(value, str):
        return bool(value) and (hidden or is_secret(name, value)) and not is_template(value)
    return hidden and isinstance(value, (int, float)) and not isinstance(value, bool)


def unmasked(value: Any, before: Any, path: str, name: str | None = None, hidden: bool = False) -> Any:
    """The value with what was hidden, as it was before. path: of the value, for faults; name: its key, if it differs.

    Raises FleetError where a hidden secret is at a place that had none, such as another list.
    """
    name = path if name is None else name
    hidden = hidden or is_secret_field(name)
    if isinstance(value, str) and HIDDEN in value:
        if value != HIDDEN or before is MISSING:
            raise FleetError(f"{path}: {HIDDEN} stands for a secret that is not known here; enter the whole value")
        return before
    if isinstance(value, Mapping):
        old = before if isinstance(before, Mapping) else {}
        return {
            key: unmasked(one, old.get(key, MISSING), below(path, key), str(key), hidden) for key, one in value.items()
        }
    if isinstance(value, list):
        olds = _partners(value, before if isinstance(before, list) else [], name, hidden)
        return [
            unmasked(one, old, f"{path}[{index}]", name, hidden)
            for index, (one, old) in enumerate(zip(value, olds, strict=True))
        ]
    return value


def _partners(new: Sequence[Any], old: Sequence[Any], name: str, hidden: bool) -> list[Any]:
    """For each entry the one that it was before: that shows the same, has the same name, or has the same place."""
    shapes = [masked(one, name, hidden) for one in old]
    found: list[Any] = [MISSING] * len(new)
    free = {*range(len(old))}
    for index, one in enumerate(new):
        same = [number for number, shape in enumerate(shapes) if shape == one]
        alike = sum(other == one for other in new)
        # Of several that show the same, nobody knows which one was removed.
        if same and (len(same) == alike or all(old[number] == old[same[0]] for number in same)):
            number = same[min(sum(other == one for other in new[:index]), len(same) - 1)]
            found[index] = old[number]
            free.discard(number)
    for index, one in enumerate(new):
        if found[index] is MISSING:
            named = [number for number in free if name_of(one) is not None and name_of(old[number]) == name_of(one)]
            number = named[0] if named else index if len(new) == len(old) else -1
            if number in free:
                found[index] = old[number]
                free.discard(number)
    return found

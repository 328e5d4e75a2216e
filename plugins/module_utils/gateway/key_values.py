# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The admin's file of keys: which values are to be added before keys are made, and which are to go. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import token_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

Lists = Mapping[str, Sequence[Mapping[str, Any]]]  # host -> its `fleet_keys`


@dataclass(frozen=True)
class FilePlan:
    """new: aliases that need a value. gone: aliases whose value is to go. warnings: for a person."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def plan_file(kept: Mapping[str, str], path: str, observed: Mapping[str, Mapping[str, Any]], lists: Lists) -> FilePlan:
    """One value for an alias, whatever the hosts that have it.

    kept: alias -> value, as the file has them. observed: host -> what litellm_key returned of it in
    check mode, of the hosts of the play. lists: of all hosts that share the file. Raises FleetError
    where a host would get another value than the one that an application uses on others already.
    """
    missing = {alias for answer in observed.values() for alias in answer["missing"]}
    new = sorted(missing - kept.keys())
    faults = [*_unknown_values(new, path, observed, lists), *_two_values(kept, path, observed, lists)]
    if faults:
        raise FleetError(*faults)
    absent = {alias for host in observed for alias in _aliases(lists, host, absent=True)}
    present = {alias for host in lists for alias in _aliases(lists, host)}
    return FilePlan(
        new=tuple(new),
        gone=tuple(sorted((absent - present) & kept.keys())),
        warnings=tuple(_other_values(kept, path, observed, lists)),
    )


def _unknown_values(
    new: Sequence[str], path: str, observed: Mapping[str, Mapping[str, Any]], lists: Lists
) -> Iterator[str]:
    for alias in new:
        lacking = [host for host, answer in observed.items() if alias in answer["missing"]]
        having = [
            host for host, answer in observed.items() if alias in answer["tokens"] and alias in _aliases(lists, host)
        ]
        if having:
            yield (
                f"{alias}: {', '.join(lacking)} has no such key yet and {path} has no value for it, while "
                f"{', '.join(having)} has the key already; put its value into that file, or have the key removed "
                f"everywhere (state: absent) and then made anew"
            )


def _two_values(
    kept: Mapping[str, str], path: str, observed: Mapping[str, Mapping[str, Any]], lists: Lists
) -> Iterator[str]:
    for host in observed:
        for alias, key in _aliases(lists, host).items():
            if key.get("key") and key["key"] != kept.get(alias, key["key"]):
                yield f"{alias}: the inventory of {host} gives it a value and {path} has another; take one of them away"


def _other_values(
    kept: Mapping[str, str], path: str, observed: Mapping[str, Mapping[str, Any]], lists: Lists
) -> Iterator[str]:
    for host, answer in observed.items():
        for alias, key in _aliases(lists, host).items():
            token = answer["tokens"].get(alias)
            if token and alias in kept and not key.get("key") and token != token_of(kept[alias]):
                yield (
                    f"{alias}: the key on {host} is another one than {path} has; it was left alone. To have the one of "
                    f"the file there, have it removed on that host (state: absent) and run again"
                )


def _aliases(lists: Lists, host: str, absent: bool = False) -> dict[str, Mapping[str, Any]]:
    """The keys of a host that are to be there, or those that are not, by alias."""
    return {str(key["alias"]): key for key in lists.get(host, ()) if (key.get("state") == "absent") is absent}

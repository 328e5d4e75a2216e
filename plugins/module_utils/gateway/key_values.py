# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The admin's key file: which values to add before keys are created, and which to remove. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import token_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

Lists = Mapping[str, Sequence[Mapping[str, Any]]]  # host -> its `fleet_keys`


@dataclass(frozen=True)
class FilePlan:
    """new: aliases that need a value. gone: aliases whose value is to be removed. warnings: for display."""

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def plan_file(kept: Mapping[str, str], path: str, observed: Mapping[str, Mapping[str, Any]], lists: Lists) -> FilePlan:
    """Plans the file's values: one value per alias for all hosts.

    kept: alias -> value in the file. observed: host of the play -> what litellm_key returned for it
    in check mode. lists: of all hosts that share the file. Raises FleetError where a host would get
    another value than applications already use on other hosts.
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
                f"{', '.join(having)} has the key already; put its value into that file, or remove the key "
                f"on all hosts (state: absent) and then recreate it"
            )


def _two_values(
    kept: Mapping[str, str], path: str, observed: Mapping[str, Mapping[str, Any]], lists: Lists
) -> Iterator[str]:
    for host in observed:
        for alias, key in _aliases(lists, host).items():
            if key.get("key") and key["key"] != kept.get(alias, key["key"]):
                yield f"{alias}: the inventory of {host} gives it a value and {path} has another; remove one of them"


def _other_values(
    kept: Mapping[str, str], path: str, observed: Mapping[str, Mapping[str, Any]], lists: Lists
) -> Iterator[str]:
    for host, answer in observed.items():
        for alias, key in _aliases(lists, host).items():
            token = answer["tokens"].get(alias)
            if token and alias in kept and not key.get("key") and token != token_of(kept[alias]):
                yield (
                    f"{alias}: the key on {host} differs from the one in {path} and was not changed. To use the key of "
                    f"the file, remove the key on that host (state: absent) and run again"
                )


def _aliases(lists: Lists, host: str, absent: bool = False) -> dict[str, Mapping[str, Any]]:
    """The keys that a host should have, or those it should not have (absent), by alias."""
    return {str(key["alias"]): key for key in lists.get(host, ()) if (key.get("state") == "absent") is absent}

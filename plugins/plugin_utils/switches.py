# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Options that are true or false, as a user writes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

# Those of the playbooks' options that are true or false: docs/playbooks.md.
SWITCHES = (
    "fleet_break_lock",
    "follow",
    "metric",
    "mig_force",
    "other_host",
    "prune",
    "prune_cache_confirm",
    "prune_images_confirm",
    "prune_images_foreign",
    "uninstall_confirm",
    "update",
)


def switch(options: Mapping[str, Any], name: str, default: bool = False) -> bool:
    """Raises FleetError for a value that is neither true nor false."""
    value = options.get(name, default)
    try:
        return bool(boolean(value))
    except TypeError:
        raise FleetError(f"{name}: expected true or false, got {show(value)}") from None


def switch_faults(extra: Mapping[str, Any]) -> list[str]:
    """The faults of the options in the variables of the command line, as they were written."""
    faults = []
    for name in SWITCHES:
        try:
            switch(extra, name)
        except FleetError:
            faults.append(f"-e {name}={extra[name]}: expected true or false")
    return faults

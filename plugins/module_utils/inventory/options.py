# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The options that every module shares that takes a host's models, and the fleet they make."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import is_secret_name

# The other half of doc_fragments/fleet.py.
SPEC: Mapping[str, Any] = dict(
    models=dict(type="list", elements="dict", required=True),
    absent=dict(type="list", elements="str", default=[]),
    images=dict(type="dict", default={}),
    recipes=dict(type="dict", default={}),
    cache=dict(type="dict", default={}),
    mig=dict(type="raw", default={}),
)


def fleet_from(params: Mapping[str, Any]) -> Fleet:
    """Raises FleetError as Fleet.parse does, with the paths of the inventory."""
    variables = {
        f"fleet_{option}": params.get(option)
        for option in (*SPEC, "hf_token", "postgres", "monitoring")
        if option != "absent"
    }
    return Fleet.parse({**variables, "fleet_absent_models": params["absent"]})


def secret_values(models: list[Any]) -> set[str]:
    """What Ansible must not show of the models' environments."""
    environments = (model.get("env") for model in models)
    return {
        str(value)
        for env in environments
        if isinstance(env, Mapping)
        for name, value in env.items()
        if is_secret_name(str(name)) and value
    }

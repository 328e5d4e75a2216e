# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.model_cache, with progress lines. Documented in modules/model_cache.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import below
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import to_wire
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import of_hosts
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch
from ansible_collections.inference.fleet.plugins.plugin_utils.watched import Watched


class ActionModule(Watched):
    module = "model_cache"

    def more(self, fleet: Fleet, arguments: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        """The models of the other hosts, without their environments. Raises FleetError for a model with a fault,
        since the weights that it uses are unknown."""
        if not switch(arguments, "prune"):
            return {}
        given = arguments.get("others")
        others = of_hosts("fleet_models", task_vars) if given is None else given
        models = [
            Model.parse(one, below("others", one.get("name") if isinstance(one, Mapping) else index))
            for index, one in enumerate(others)
        ]
        return {"others": [to_wire(replace(model, env=())) for model in models]}

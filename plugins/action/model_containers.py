# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.model_containers, with progress lines. Documented in modules/model_containers.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch
from ansible_collections.inference.fleet.plugins.plugin_utils.watched import Watched
from ansible_collections.inference.fleet.plugins.plugin_utils.with_fleet import WithFleet


class ActionModule(Watched):
    module = "model_containers"

    def carry_out(self, task_vars: Any) -> dict[str, Any]:
        # A restore at boot has no reader, and depends on as little as possible.
        if switch(self.arguments, "keep_going"):
            return WithFleet.carry_out(self, task_vars)
        return super().carry_out(task_vars)

    def is_settled(self, planned: Mapping[str, Any]) -> bool:
        waits = switch(self.arguments, "wait", True)
        loading = [one for one in planned.get("containers", ()) if one["wanted"] and not one["ready"]]
        return super().is_settled(planned) and planned.get("remembered", True) and not (waits and loading)

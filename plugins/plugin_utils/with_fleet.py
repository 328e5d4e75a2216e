# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The base of actions whose module needs the host's fleet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import NEEDS, pack
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_of
from ansible_collections.inference.fleet.plugins.plugin_utils.locked import Locked


class WithFleet(Locked):
    """Runs the module named by `module` with the options `fleet` and `secrets`.

    The fleet is the one that inference.fleet.validate parsed in this run. In a task with `models`, or in a run
    without inference.fleet.validate, the action parses the variables of the host.
    """

    arguments: Mapping[str, Any]  # of the module

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = dict(self._task.args)
        try:
            fleet = fleet_of(task_vars, self._templar, self._loader, arguments.pop("models", None))
            self.arguments = {**arguments, **pack(fleet, NEEDS[self.module]), **self.more(fleet, arguments, task_vars)}
        except FleetError as error:
            return {"failed": True, "msg": str(error)}
        return self.carry_out(task_vars)

    def more(self, fleet: Fleet, arguments: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        """Further options, which only the controller knows. arguments: those of the task."""
        return {}

    def carry_out(self, task_vars: Any) -> dict[str, Any]:
        return self._module(self.arguments, task_vars)

    def _module(self, arguments: Mapping[str, Any], task_vars: Any, **how: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=f"inference.fleet.{self.module}", module_args=dict(arguments), task_vars=task_vars, **how
        )
        return answer

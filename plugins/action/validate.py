# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.validate: runs on the controller, touches no host. Documented in modules/validate.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.engine.recipes import select_recipes
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, select
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import certificates
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_variables


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        variables, unread = fleet_variables(task_vars or {}, self._templar, self._loader)
        model, recipe = (self._task.args.get(option) for option in ("model", "recipe"))
        # Role argument specs take no null for a list or a mapping, and say so without a path.
        empty = [
            f"{name}: expected a value, got nothing; take the line out" for name in variables if variables[name] is None
        ]
        try:
            fleet = Fleet.parse(variables)
            # A name that another host of the play has is no fault of this one.
            if model and not any(
                isinstance(one, Mapping) and one.get("name") == model for one in _given("fleet_models", task_vars)
            ):
                select(fleet, model)
            if recipe is not None and recipe not in _given("fleet_recipes", task_vars):
                select_recipes(fleet, [recipe])
            verdict = certificates.check(fleet.https, datetime.now(timezone.utc))
            lenient = self._task.args.get("certificates") == "warn"
            if faults := [*empty, *unread, *(() if lenient else verdict.faults)]:
                raise FleetError(*faults)
        except FleetError as error:
            # A file that cannot be read is told once, not as text that is no PEM too.
            paths = {fault.partition(":")[0] for fault in unread}
            others = [fault for fault in error.faults if fault.partition(":")[0] not in paths]
            told = "\n".join(dict.fromkeys([*empty, *unread, *others]))
            return {"failed": True, "msg": f"nothing was touched; the inventory of this host has faults:\n{told}"}
        return {
            "changed": False,
            "ansible_facts": {"fleet": fleet.public()},
            "warnings": [*verdict.warnings, *verdict.faults],
        }


def _given(variable: str, task_vars: dict[str, Any]) -> Iterator[Any]:
    """What of a variable the hosts of the play have, entry by entry; of a mapping the keys."""
    for host in task_vars["ansible_play_hosts"]:
        value = task_vars["hostvars"][host].get(variable)
        yield from value if isinstance(value, (list, tuple, Mapping)) else ()

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.validate: runs on the controller, touches no host. Documented in modules/validate.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.model import unbuilt
from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import PREFIX, Fleet, select
from ansible_collections.inference.fleet.plugins.module_utils.model.parse import FleetError


class ActionModule(ActionBase):
    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        variables = {
            name: self._templar.template(value) for name, value in (task_vars or {}).items() if name.startswith(PREFIX)
        }
        asked_for = self._task.args.get("model")
        # Role argument specs take no null for a list or a mapping, and say so without a path.
        empty = [
            f"{name}: expected a value, got nothing; take the line out" for name in variables if variables[name] is None
        ]
        try:
            fleet = Fleet.parse(variables)
            if asked_for and not _is_anywhere(asked_for, task_vars):
                select(fleet, asked_for)
            if faults := [*empty, *unbuilt.refused(fleet)]:
                raise FleetError(*faults)
        except FleetError as error:
            told = "\n".join(dict.fromkeys([*empty, *error.faults]))
            return {"failed": True, "msg": f"nothing was touched; the inventory of this host has faults:\n{told}"}
        public = fleet.public()
        reached_by = [task_vars.get("ansible_host"), task_vars["inventory_hostname"], "localhost"]
        public["https"]["names"] = list(fleet.https.names) or list(dict.fromkeys(filter(None, reached_by)))
        return {"changed": False, "ansible_facts": {"fleet": public}, "warnings": unbuilt.ignored(fleet)}


def _is_anywhere(model: str, task_vars: dict[str, Any]) -> bool:
    """Whether any host of the play has a model of that name."""
    return any(
        isinstance(one, Mapping) and one.get("name") == model
        for host in task_vars["ansible_play_hosts"]
        for one in task_vars["hostvars"][host].get("fleet_models") or ()
    )

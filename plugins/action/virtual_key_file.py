# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.virtual_key_file: runs on the controller, changes no host. Documented in the module of this name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.gateway.converge import new_value
from ansible_collections.inference.fleet.plugins.module_utils.gateway.key_values import FilePlan, plan_file
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import of_hosts
from ansible_collections.inference.fleet.plugins.plugin_utils.key_store import KeyStore


class ActionModule(ActionBase):
    _supports_check_mode = True
    _supports_diff = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        observed = json.loads(
            json.dumps(self._task.args["observed"])
        )  # converts Ansible's text types to str, which YAML can write
        try:
            file = KeyStore(self._task.args["path"], self._loader, self._task.args.get("vault_password_file"))
            with nullcontext() if self._task.check_mode else file.locked():
                kept = file.read()
                plan = plan_file(kept, str(file.path), observed, _lists(task_vars))
                changed = bool(plan.new or plan.gone or file.stale)
                if changed and not self._task.check_mode:
                    file.write(_values(kept, plan))
        except FleetError as error:
            return {"failed": True, "msg": f"no key was changed:\n{error}"}
        return {
            "changed": changed,
            "path": str(file.path),
            "encrypted": file.encrypted,
            "new": list(plan.new),
            "gone": list(plan.gone),
            "aliases": sorted({*kept, *plan.new} - {*plan.gone}),
            "warnings": list(plan.warnings),
            "diff": _diff(kept, plan, str(file.path)),
        }


def _lists(task_vars: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """`fleet_keys` of every host of the fleet. Lists of hosts outside this run are not validated."""
    hosts = dict.fromkeys([*task_vars["groups"].get("fleet", ()), *task_vars["ansible_play_hosts"]])
    given = {str(host): of_hosts("fleet_keys", task_vars, [host]) for host in hosts}
    return {host: [key for key in keys if isinstance(key, Mapping) and "alias" in key] for host, keys in given.items()}


def _values(kept: Mapping[str, str], plan: FilePlan) -> dict[str, str]:
    made = {alias: new_value() for alias in plan.new}
    return {alias: value for alias, value in {**kept, **made}.items() if alias not in plan.gone}


def _diff(kept: Mapping[str, str], plan: FilePlan, path: str) -> dict[str, str]:
    """Shows aliases only."""
    after = {*kept, *plan.new} - {*plan.gone}
    texts = ["".join(f"{alias}: (secret)\n" for alias in sorted(aliases)) for aliases in (kept, after)]
    return {"before": texts[0], "after": texts[1], "before_header": path, "after_header": path}

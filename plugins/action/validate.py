# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.validate: runs on the controller, touches no host. Documented in modules/validate.py."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.engine.recipes import select_recipes
from ansible_collections.inference.fleet.plugins.module_utils.engine.versions import with_entry
from ansible_collections.inference.fleet.plugins.module_utils.inventory.access import check_rotates
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, foreign, select
from ansible_collections.inference.fleet.plugins.module_utils.inventory.migrations import migrate, migration_warnings
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import certificates, failures
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import (
    budget_warnings,
    fleet_variables,
    name_warnings,
    named,
    of_hosts,
    parse_fleet,
    remember,
    url_names,
    with_page,
)


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        variables, unread = fleet_variables(task_vars or {}, self._templar, self._loader)
        unread = [named(fault, task_vars or {}) for fault in unread]
        # Role argument specs refuse null for a list or a mapping, but their message has no path.
        paths = {fault.partition(":")[0] for fault in unread}
        empty = [
            f"{name}: expected a value, got nothing; remove the line"
            for name, value in variables.items()
            if value is None and name not in paths
        ]
        version = self._task.args.get("entry")  # of the model `model`
        try:
            if version is not None:
                variables = dict(migrate(variables))
                models, secret = variables.get("fleet_models") or (), self._task.args.get("entry_secrets") or ()
                variables["fleet_models"] = with_entry(models, self._task.args["model"], version, secret)
            fleet = parse_fleet(variables)
            verdict = certificates.check(fleet.https, datetime.now(timezone.utc))
            authorities = certificates.check_authorities(fleet.ca_bundle, datetime.now(timezone.utc))
            lenient = self._task.args.get("certificates") == "warn"
            if faults := [*empty, *unread, *authorities.faults, *(() if lenient else verdict.faults)]:
                raise FleetError(*faults)
        except FleetError as error:
            # Reports a value that cannot be read only once, not also as missing or as invalid PEM text.
            others = [
                fault for fault in error.faults if not any(path.startswith(fault.partition(":")[0]) for path in paths)
            ]
            lines = "\n".join(map(with_page, dict.fromkeys([*empty, *unread, *others])))
            what = "the inventory of this host" if version is None else "the inventory with the previous version"
            return {"failed": True, "msg": f"nothing was touched; {what} has faults:\n{lines}"}
        try:
            self._check_names(fleet, task_vars or {})
        except FleetError as error:
            return {"failed": True, "msg": f"nothing was touched; -e {error}"}
        remember(fleet, task_vars or {})
        own = url_names(fleet, task_vars, self._templar)
        strangers = [f"{name}: not a variable of inference.fleet; it has no effect" for name in foreign(variables)]
        names = [*name_warnings(fleet, task_vars, self._templar), *budget_warnings(fleet)]
        older = migration_warnings(variables)
        return {
            "changed": False,
            "ansible_facts": {"fleet": fleet.public(*own[:1])},
            "warnings": [*verdict.warnings, *verdict.faults, *authorities.warnings, *names, *older, *strangers],
        }

    def _check_names(self, fleet: Fleet, task_vars: dict[str, Any]) -> None:
        """Raises FleetError for a name in the task's options that no host of the play has."""
        hosts = task_vars.get("ansible_play_hosts", ())
        model, recipe = (self._task.args.get(option) for option in ("model", "recipe"))
        if model and not any(
            isinstance(one, Mapping) and one.get("name") == model for one in of_hosts("fleet_models", task_vars, hosts)
        ):
            select(fleet, model)
        if recipe is not None and recipe not in of_hosts("fleet_recipes", task_vars, hosts):
            select_recipes(fleet, [recipe])
        for secret in self._task.args.get("rotate") or ():
            check_rotates(secret)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.status: reads the status of one host without changes. Documented in modules/status.py."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.errors import AnsibleError
from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import SHOW_UNIT, last_restore
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import RESTORE_RECORD, drained_since
from ansible_collections.inference.fleet.plugins.module_utils.report.status import (
    FAIL_ON,
    down_models,
    host_status,
    without_status,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.with_fleet import WithFleet

UNIT = shlex.join(SHOW_UNIT)
SERVICES = {
    "containers": True,
    "containers_all": True,
    "verbose_output": True,  # else without the ID of the image
    "containers_filters": {"label": ["managed-by=inference.fleet", "service"]},
}


class ActionModule(WithFleet):
    """Returns the reason if a host's status cannot be read, instead of a failure, so that the report has all hosts."""

    module = "model_containers"

    def carry_out(self, task_vars: Any) -> dict[str, Any]:
        self._task.check_mode = True
        arguments = dict(self.arguments)
        if (fail_on := arguments.pop("fail_on", "model")) not in FAIL_ON:
            return {"failed": True, "msg": f"fail_on: expected one of {', '.join(FAIL_ON)}, got {fail_on!r}"}
        try:
            models = _good(self._module({**arguments, "prune": True, "report": True}, task_vars))
            downloads = {"downloads": task_vars["fleet"]["download_addresses"]}
            rules = _good(self._execute_module("inference.fleet.host_rules", downloads, task_vars=task_vars))
            services = _good(
                self._execute_module("community.docker.docker_host_info", dict(SERVICES), task_vars=task_vars)
            )
            # Without a record, or without systemd, the output is empty.
            file = self._low_level_execute_command(f"cat {shlex.quote(task_vars['fleet']['paths']['drained'])}")
            drained = drained_since(None if file["rc"] else str(file["stdout"]))
            restore = last_restore(self._printed(f"cat {RESTORE_RECORD}"), self._printed(UNIT))
        except (AnsibleError, FleetError) as error:
            return {"changed": False, "status": without_status(str(error)), "down": []}
        models["actions"] = [*models["actions"], *(f"write the rules of {one}" for one in rules["changed_rules"])]
        found = host_status(task_vars["fleet"], models, services["containers"], restore, drained)
        return {"changed": False, "status": found, "down": down_models(found["models"], str(fail_on))}

    def _printed(self, command: str) -> str:
        answer = self._low_level_execute_command(command)
        return str(answer["stdout"]) if answer["rc"] == 0 else ""


def _good(answer: dict[str, Any]) -> dict[str, Any]:
    if answer.get("failed"):
        raise FleetError(str(answer.get("msg") or answer.get("module_stderr") or "the module failed"))
    return answer

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.status: asks one host how its models are, and changes nothing. Documented in modules/status.py."""

from __future__ import annotations

from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import last_restore
from ansible_collections.inference.fleet.plugins.module_utils.report.status import host_status, without_status
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

RECORD = "/var/lib/inference-fleet/restore.json"
UNIT = (
    "systemctl show inference-fleet-restore.service --timestamp=unix "
    "--property=ActiveState,Result,ExecMainExitTimestamp"
)
SERVICES = {
    "containers": True,
    "containers_all": True,
    "containers_filters": {"label": ["managed-by=inference.fleet", "service"]},
}


class ActionModule(ActionBase):
    """What keeps a host from being asked is returned, not raised: the report is of all hosts."""

    _supports_check_mode = True

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        self._task.check_mode = True
        fleet = task_vars["fleet"]
        base_url = fleet.get("base_url") or f"https://{fleet['https']['names'][0]}"
        try:
            models = self._models(task_vars)
            services = self._module("community.docker.docker_host_info", SERVICES, task_vars)
            # A host without a record or without systemd prints nothing.
            restore = last_restore(self._printed(f"cat {RECORD}"), self._printed(UNIT))
        except (AnsibleError, FleetError) as error:
            return {"changed": False, "status": without_status(str(error))}
        status = host_status({**fleet, "base_url": base_url}, models, services["containers"], restore)
        return {"changed": False, "status": status}

    def _models(self, task_vars: Any) -> dict[str, Any]:
        arguments = {**self._task.args, "prune": True, "report": True}
        return self._module("inference.fleet.model_containers", arguments, task_vars)

    def _module(self, name: str, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=name, module_args=dict(arguments), task_vars=task_vars
        )
        if answer.get("failed"):
            raise FleetError(str(answer.get("msg") or answer.get("module_stderr") or f"{name} failed"))
        return answer

    def _printed(self, command: str) -> str:
        answer = self._low_level_execute_command(command)
        return str(answer["stdout"]) if answer["rc"] == 0 else ""

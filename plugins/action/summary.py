# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.summary: prints what a run did to a host, or to all hosts. Documented in modules/summary.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.hosts import outcomes, report
from ansible_collections.inference.fleet.plugins.module_utils.report.summary import changes, fault, summary
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        if "recorded" in self._task.args:
            text = self._of_all(str(self._task.args["recorded"]), task_vars)
            Display().display(text)
            return {"changed": False, "msg": text}
        host = task_vars["inventory_hostname"]
        # In an `always`, ansible_play_hosts lacks the hosts on which a task failed.
        failed = switch(self._task.args, "failed")
        text = summary(task_vars, self._task.check_mode, failed or host not in task_vars["ansible_play_hosts"])
        if not switch(self._task.args, "record"):
            Display().display(f"{host}  {text}")
        task = task_vars.get("ansible_failed_task") or {}
        why = (fault(task_vars) or f"{task.get('name')}: see above") if failed else ""
        return {"changed": False, "msg": f"{host}  {text}", "did": changes(task_vars), "fault": why}

    def _of_all(self, variable: str, task_vars: Mapping[str, Any]) -> str:
        """The lines of all hosts; and if a host failed in a run of several batches, which hosts have what."""
        hosts = {host: task_vars["hostvars"][host] for host in task_vars["groups"].get("fleet", ())}
        batches = {host: own["__fleet_batch"] for host, own in hosts.items() if "__fleet_batch" in own}
        recorded = {host: hosts[host][variable] for host in batches if variable in hosts[host]}
        found = outcomes(batches, recorded, self._task.check_mode)
        lines = [recorded[host]["msg"] for host in found if host in recorded]
        complete = len(recorded) == len(batches) and not any(one["fault"] for one in recorded.values())
        if not complete and len(set(batches.values())) > 1:
            lines.append(f"stopped after the first failure: {report(found)}")
        return "\n".join(lines)

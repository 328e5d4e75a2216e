# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.service_container: community.docker.docker_container for the run that holds the host's lock.
Documented in modules/service_container.py."""

from __future__ import annotations

from typing import Any

from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.locked import FAULTS, Locked, guard


class ActionModule(Locked):
    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        given = dict(self._task.args)
        if "image" in given:
            given.setdefault("security_opts", ["no-new-privileges"])
        if self._task.check_mode:
            given.setdefault("debug", True)  # returns what differs, without diff mode, for inference.fleet.drift_report
        answer: dict[str, Any] = self._execute_module(
            module_name="community.docker.docker_container", module_args=given, task_vars=task_vars
        )
        # Ansible adds `module_stdout` to the result of a module that has not answered.
        fault = FAULTS.get(answer.get("rc", 0)) if "module_stdout" in answer else None
        return {"failed": True, "msg": fault} if fault else answer

    def _compute_environment_string(self, raw_environment_out: Any = None) -> str:
        words = super()._compute_environment_string(raw_environment_out)
        return f"{words} {guard(self.lock)}" if self.lock and not self._task.check_mode else words

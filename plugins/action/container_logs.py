# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.container_logs. Documented in modules/container_logs.py."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.logs import since_seconds
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch

POLL_SECONDS = 2
LOST_AT_MOST = 30


class ActionModule(ActionBase):
    """With `follow`, runs the module again and again: nothing is left on the host if the run is interrupted."""

    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = dict(self._task.args)
        follow = switch(arguments, "follow")
        arguments.pop("follow", None)
        if since := arguments.get("since"):
            arguments["since"] = str(since_seconds(str(since), time.time()))
        answer = self._read(arguments, task_vars)
        lost = 0
        while follow and not answer.get("failed"):
            arguments["after"] = answer["after"]
            time.sleep(POLL_SECONDS)
            try:
                answer = self._read(arguments, task_vars)
                lost = 0
            except AnsibleConnectionFailure:
                lost += 1
                if lost == LOST_AT_MOST:
                    raise
        return answer

    def _read(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="inference.fleet.container_logs", module_args=arguments, task_vars=task_vars
        )
        host = task_vars["inventory_hostname"]
        text = "\n".join(f"{host} {name}: {line}" for name, line in answer.pop("lines", ()))
        if text:
            Display().display(text)
        return answer if answer.get("failed") else {**answer, "changed": False}

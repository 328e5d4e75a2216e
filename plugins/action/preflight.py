# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.preflight: runs host_check and prints its checks. Documented in modules/preflight.py."""

from __future__ import annotations

import time
from typing import Any

from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.table import check_lines, headed
from ansible_collections.inference.fleet.plugins.plugin_utils.with_fleet import WithFleet


class ActionModule(WithFleet):
    module = "host_check"

    def carry_out(self, task_vars: Any) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        self._task.check_mode = True  # of host_check: it writes nothing
        answer = self._module({**self.arguments, "thorough": True, "report": True, "now": time.time()}, task_vars)
        if answer.get("failed"):
            return answer
        checks = answer["checks"]
        text = headed(host, check_lines(checks))
        Display().display(text)
        if any(check["state"] == "fault" for check in checks):
            message = f"install would stop before it changes {host}; the lines with FAULT above say why"
            return {"failed": True, "changed": False, "msg": message}
        return {"changed": False, "checks": checks, "msg": text}

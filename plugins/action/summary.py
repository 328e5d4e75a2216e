# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.summary: prints what a run did to a host. Documented in modules/summary.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.summary import summary
from ansible_collections.inference.fleet.plugins.plugin_utils import failures


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        host = task_vars["inventory_hostname"]
        # In an `always`, ansible_play_hosts lacks the hosts on which a task failed.
        ended_early = host not in task_vars["ansible_play_hosts"]
        text = f"{host}  {summary(task_vars, self._task.check_mode, ended_early)}"
        Display().display(text)
        return {"changed": False, "msg": text}

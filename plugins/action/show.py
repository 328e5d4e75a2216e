# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.show: prints text on the controller. Documented in modules/show.py."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.table import check_lines, headed
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        lines = self._task.args.get("lines", [])
        lines = [lines] if isinstance(lines, str) else [str(line) for line in lines]
        lines += check_lines(self._task.args.get("checks", []))
        text = headed(str(self._task.args.get("head", task_vars["inventory_hostname"])), lines)
        if switch(self._task.args, "fail"):
            return {"failed": True, "msg": "\n".join(lines)}
        Display().display(text)
        return {"changed": False, "msg": text}

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.restore_log: the clock, and the steps so far."""

from __future__ import annotations

import getpass
import socket
import time
from dataclasses import replace
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import ITSELF, Restore
from ansible_collections.inference.fleet.plugins.plugin_utils import failures

_FACT = "__restore_so_far"  # not fleet_…: these names belong to the inventory


class ActionModule(ActionBase):
    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        state = self._task.args.get("state", "step")
        host = task_vars["inventory_hostname"]
        if state == "begun":
            restore = Restore(time.time(), _who(task_vars))
            if (answer := self._record(restore, task_vars)).get("failed"):
                Display().warning(f"{host}: {answer['msg']}")  # serving is more important than the record
            return _so_far(restore)
        if _FACT not in task_vars:
            return {"failed": True, "msg": f"state: {state} without an earlier state: begun in the same play"}
        restore = Restore.parse(task_vars[_FACT])
        if state == "step" or self._task.args.get("fault"):
            restore = restore.after(self._task.args.get("step"), time.time(), self._task.args.get("fault") or None)
            Display().display(f"{host}: {restore.steps[-1]}")
        if state == "step":
            return _so_far(restore)
        restore = replace(restore, ended=time.time())
        verdict = "check mode, nothing was done" if self._task.check_mode else restore.verdict()
        text = "\n".join([f"{host}: {verdict}", *restore.lines()])
        if (answer := self._record(restore, task_vars)).get("failed"):
            return {**answer, "msg": f"{text}\n{answer['msg']}"}
        if restore.faults:
            return {"failed": True, "msg": text}
        Display().display(text)
        return {"changed": False, "msg": text}

    def _record(self, restore: Restore, task_vars: Any) -> dict[str, Any]:
        arguments = {
            "record": restore.plain(),
            "metrics": restore.metrics(),
            **{key: self._task.args[key] for key in ("path",) & self._task.args.keys()},
        }
        answer: dict[str, Any] = self._execute_module(
            module_name="inference.fleet.restore_log", module_args=arguments, task_vars=task_vars
        )
        return answer


def _so_far(restore: Restore) -> dict[str, Any]:
    return {"changed": False, "ansible_facts": {_FACT: restore.plain()}}


def _who(task_vars: Any) -> str:
    return ITSELF if task_vars.get("restore_by_itself") else f"{getpass.getuser()}@{socket.gethostname()}"

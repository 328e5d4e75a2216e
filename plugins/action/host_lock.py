# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.host_lock: identifies this run, and whether a holder still runs."""

from __future__ import annotations

import time
from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.system.work import RESUMABLE, STOPPABLE, who
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.this_run import FACT, has_ended, this_run

POLL_SECONDS = 2
RESTORE_SECONDS = 600
WORK_SECONDS = 1800  # for a module of a run that was killed


class ActionModule(ActionBase):
    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        owner = this_run()
        wait = given = int(self._task.args.get("wait", 0))
        take_over = boolean(self._task.args.get("take_over", False))
        restores = bool(given and take_over)  # no admin can retry
        stops = RESUMABLE if restores else STOPPABLE if take_over else ()
        arguments = {**self._task.args, "owner": owner, "stops": list(stops)}
        patient = {**arguments, "take_over": take_over and not wait}
        answer = self._take(patient, owner, task_vars)
        if answer.get("held"):
            wait = wait or _patience(answer["holder"])
        deadline = time.monotonic() + wait
        if answer.get("held") and wait:
            Display().display(f"waiting for {wait} s at most: the lock is held by {who(answer['holder'])}")
        while answer.get("held") and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS)
            answer = self._take(patient, owner, task_vars)
        if answer.get("held") and take_over:
            warning = f"took over the lock of {who(answer['holder'])}, which did not release it within {wait} s"
            answer = {**self._take(arguments, owner, task_vars), "warnings": [warning]}
        if take_over or not given:  # a backup that waited works beside the module of a run that was killed
            answer = self._alone(answer, arguments, owner, task_vars, restores)
        if not answer.get("failed") and not self._task.check_mode:
            # Beside the facts of Ansible, such as the interpreter that the first task found.
            taken = "" if arguments.get("state") == "absent" else owner["run"]
            answer["ansible_facts"] = {**answer.get("ansible_facts", {}), FACT: taken}
        return answer

    def _alone(
        self, answer: dict[str, Any], arguments: dict[str, Any], owner: dict[str, Any], task_vars: Any, restores: bool
    ) -> dict[str, Any]:
        """The answer when no module of a run that was killed, or that lost the lock, works on the host any more."""
        limit = RESTORE_SECONDS if restores else WORK_SECONDS
        deadline = time.monotonic() + limit
        shown = False
        while (works := answer.get("works")) and not answer.get("failed"):
            who_works = f"{works['module']} (PID {works['pid']}) of a run that was killed still works on the host"
            if time.monotonic() >= deadline:
                if restores and arguments["stops"] != list(STOPPABLE):
                    arguments = {**arguments, "stops": list(STOPPABLE)}
                    answer = {**answer, **self._take(arguments, owner, task_vars)}
                    continue
                self._take({**arguments, "state": "absent"}, owner, task_vars)
                how = "wait for the module to end, or stop it with -e fleet_break_lock=true"
                return {"failed": True, "msg": f"{who_works}: {how}"}
            if not shown:
                Display().display(f"waiting for {limit} s at most: {who_works}")
            shown = True
            time.sleep(POLL_SECONDS)
            answer = {**answer, **self._take(arguments, owner, task_vars)}
        return answer

    def _take(self, arguments: dict[str, Any], owner: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """held: whether another run holds the lock."""
        answer = self._lock(arguments, task_vars)
        if answer.get("failed") or arguments.get("state") == "absent":
            return answer
        gone = answer.get("holder")
        if gone and has_ended(gone, owner):
            # If two runs find the same ended holder, the slower run finds the lock of the faster one.
            stops = arguments["stops"] or list(RESUMABLE)
            answer = self._lock({**arguments, "replaces": gone, "stops": stops}, task_vars)
            answer["warnings"] = [f"took over the lock of {who(gone)}, which has ended without releasing it"]
        holder = answer.get("holder")
        if not holder or holder.get("run") == owner["run"]:
            return answer
        how = "wait for that run to end; if its machine is gone, run again with -e fleet_break_lock=true"
        fault = f"{arguments.get('path', 'the lock')} is held by {who(holder)}: {how}"
        return {"failed": True, "msg": fault, "held": True, "holder": holder}

    def _lock(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="inference.fleet.host_lock", module_args=arguments, task_vars=task_vars
        )
        return answer


def _patience(holder: dict[str, Any]) -> int:
    """Seconds to wait for a holder even without `wait`: a restore that the host runs by itself ends soon;
    this run may have caused it by starting Docker."""
    return RESTORE_SECONDS if holder["command"].endswith("reboot_restore") else 0

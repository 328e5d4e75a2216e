# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The base of actions for long-running modules, which shows their progress."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import RUN
from ansible_collections.inference.fleet.plugins.plugin_utils.with_fleet import WithFleet

POLL_SECONDS = 2
LOST_AT_MOST = 30
LONGEST_S = 7 * 24 * 3600


class Watched(WithFleet):
    """Runs the module in check mode, then in the background if there is work to do, and shows its progress lines.

    Without work, or in check mode, there is only the first call. If the controller disappears, the
    background job continues, and the next run finds its results.
    """

    def carry_out(self, task_vars: Any) -> dict[str, Any]:
        planned = self._plan(task_vars)
        if self._task.check_mode or self.is_settled(planned):
            return planned
        progress = f"{RUN}/progress-{secrets.token_hex(4)}"
        started = self._start({**self.arguments, "progress": progress}, task_vars)
        if not started.get("ansible_job_id"):
            return {**started, "failed": True}
        try:
            answer = self._watch(started["ansible_job_id"], progress, task_vars)
        finally:
            self._low_level_execute_command(f"rm -f {progress}")
        self._job(started["ansible_job_id"], "cleanup", task_vars)
        return {key: value for key, value in answer.items() if key not in ("ansible_job_id", "finished", "started")}

    def is_settled(self, planned: Mapping[str, Any]) -> bool:
        """Whether there is no work to do. planned: the module's result in check mode."""
        return not planned.get("changed")

    def _watch(self, job: str, progress: str, task_vars: Any) -> dict[str, Any]:
        """The module's result, after its end. Retries a lost connection up to LOST_AT_MOST times."""
        shown = lost = 0
        while True:
            time.sleep(POLL_SECONDS)
            try:
                answer = self._job(job, "status", task_vars)
                shown = self._show(progress, shown, task_vars["inventory_hostname"])
            except AnsibleConnectionFailure:
                lost += 1
                if lost == LOST_AT_MOST:
                    raise
                continue
            lost = 0
            if answer.get("finished") or answer.get("failed"):
                return answer

    def _plan(self, task_vars: Any) -> dict[str, Any]:
        check_mode = self._task.check_mode
        self._task.check_mode = True
        try:
            return self._module(self.arguments, task_vars)
        finally:
            self._task.check_mode = check_mode

    def _start(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        """Starts the module as `async:` does, but so that the executor does not poll afterwards."""
        self._task.async_val = LONGEST_S
        try:
            return self._module(arguments, task_vars, wrap_async=True)
        finally:
            self._task.async_val = 0

    def _job(self, job: str, mode: str, task_vars: Any) -> dict[str, Any]:
        folder = self._remote_expand_user(self.get_shell_option("async_dir", default="~/.ansible_async"))
        arguments = {"jid": job, "mode": mode, "_async_dir": folder}
        answer: dict[str, Any] = self._execute_module(
            module_name="ansible.legacy.async_status", module_args=arguments, task_vars=task_vars
        )
        return answer

    def _show(self, path: str, shown: int, host: str) -> int:
        """Displays the lines after the first `shown`. Returns the new number of lines."""
        lines = self._low_level_execute_command(f"cat {path} 2>/dev/null || true")["stdout"].splitlines()
        for line in lines[shown:]:
            Display().display(f"  {host}: {line}")
        return max(shown, len(lines))

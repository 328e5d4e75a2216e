# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The base of actions whose module changes a host: it gives the module the identity of the run, for the host's lock."""

from __future__ import annotations

import shlex
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.system.work import FOLDER, LOST, TRIES, VARIABLE
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.this_run import lock_of_this_run

BUSY, NOT_OWN = 75, 76  # exit codes of `guard`
FAULTS = {
    BUSY: f"{FOLDER}/work: another module still works on the host after {TRIES} s: wait for its end, then run again",
    NOT_OWN: f"{FOLDER}/lock: expected the lock of this run, got the lock of another run or none: {LOST}",
}


def guard(lock: str, folder: str = FOLDER, tries: int = TRIES) -> str:
    """The beginning of a command line that runs the rest of the line as the only module that works on the host, if the
    run `lock` still holds the host's lock. As `working` of system/work, with the same mark."""
    script = (
        f'grep -qsF "\\"$0\\"" {folder}/lock || exit {NOT_OWN}; '
        f"echo $$ $(cut -d' ' -f22 /proc/$$/stat) service_container > {folder}/work; "
        'exec "$@"'
    )
    work = f"flock --wait {tries} --conflict-exit-code {BUSY} {folder}/work"
    return f"{work} sh -c {shlex.quote(script)} {lock}"


class Locked(ActionBase):
    """Runs the module named by `module` with the options of the task."""

    _supports_check_mode = True
    module = ""
    lock = ""  # this run's identity if it has taken the host's lock; otherwise the module checks nothing

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name=f"inference.fleet.{self.module}",
            module_args=dict(self._task.args),
            task_vars=task_vars,
            wrap_async=bool(self._task.async_val),
        )
        return answer

    def _execute_module(self, *given: Any, task_vars: Any = None, **how: Any) -> Any:
        self.lock = lock_of_this_run(task_vars or {})
        return super()._execute_module(*given, task_vars=task_vars, **how)

    def _compute_environment_string(self, raw_environment_out: Any = None) -> str:
        words = super()._compute_environment_string(raw_environment_out)
        return f"{words} {VARIABLE}={self.lock}".strip() if self.lock else words

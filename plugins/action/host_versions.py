# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.host_versions: the module, and the host's clock. Documented in modules/host_versions.py."""

from __future__ import annotations

import time
from typing import Any

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures

_TRIES = 3


class ActionModule(ActionBase):
    """Returns the reason if a host cannot be read, instead of a failure, so that the report has all hosts."""

    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = self._execute_module("inference.fleet.host_versions", task_vars=task_vars)
            if answer.get("failed"):
                raise FleetError(str(answer.get("msg") or answer.get("module_stderr") or "the module failed"))
            error, ahead = min(self._ahead() for _try in range(_TRIES))
        except (AnsibleError, FleetError) as fault:
            return {"changed": False, "fault": str(fault)}
        return {**answer, "clock": {**answer["clock"], "ahead": round(ahead, 3), "error": round(error, 3)}}

    def _ahead(self) -> tuple[float, float]:
        """The largest error, and the seconds that the host's clock is ahead: the host reads its clock at some moment
        of the command."""
        begun = time.time()
        answer = self._low_level_execute_command("date +%s.%N")
        took = time.time() - begun
        try:
            return took / 2, float(answer["stdout"].split()[-1]) - (begun + took / 2)
        except (ValueError, IndexError):
            raise FleetError(f"clock: expected seconds from `date +%s.%N`, got {answer['stdout']!r}") from None

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.energy_usage. Documented in modules/energy_usage.py."""

from __future__ import annotations

import base64
import gzip
import shlex
import zlib
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import ENERGY
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.energy import Period, usage

# Arguments: the names of the first and the last file, and the folder. The clock's time is printed last.
_READ = (
    'cd "$3" 2>/dev/null && ls | awk -v first="$1" -v last="$2" \'/^energy-.*[.]csv$/ && $0 >= first && $0 <= last\''
    " | xargs --no-run-if-empty cat | gzip --fast | base64 --wrap=0; date +:%s"
)


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        folder = arguments.get("folder", ENERGY)
        try:
            today = datetime.now(timezone.utc).date()
            period = Period.parse(arguments.get("period"), arguments.get("first"), arguments.get("last"), today)
            command = shlex.join(["sh", "-c", _READ, "sh", *period.files(), folder])
            answer = self._low_level_execute_command(command)
            packed, _colon, now = answer["stdout"].strip().rpartition(":")
            if answer["rc"] or not now.isdigit():
                raise FleetError(f"{folder}: cannot be read: {(answer['stderr'] or answer['stdout']).strip()}")
            data = gzip.decompress(base64.b64decode(packed)) if packed else b""
        except (ValueError, OSError, EOFError, zlib.error):
            message = f"{folder}: the host's answer is incomplete, or has output of a login script"
            return {"failed": True, "msg": message}
        found = usage(data.decode("ascii", "replace").splitlines(), period, float(now))
        days = {"first": str(period.first), "last": str(period.last)}
        return {"changed": False, "sums": [list(one) for one in found.sums], "note": found.note, **days}

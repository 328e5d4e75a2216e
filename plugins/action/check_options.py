# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.check_options: runs on the controller, touches no host. Documented in modules/check_options.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.vars import load_extra_vars
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.batches import batches
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch_faults


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        extra = load_extra_vars(self._loader)
        if faults := [*switch_faults(extra), *_batch_faults(extra, task_vars or {})]:
            raise FleetError("nothing was done; " + "; ".join(faults))
        return {"changed": False}


def _batch_faults(extra: Mapping[str, Any], task_vars: Mapping[str, Any]) -> list[str]:
    """The faults of `batch` and `canary`, each alone, so that one does not hide the other."""
    fleet = task_vars.get("groups", {}).get("fleet", ())
    hosts = [host for host in task_vars.get("ansible_play_hosts_all", ()) if host in fleet]
    faults = []
    for option in ("batch", "canary"):
        try:
            batches(hosts, **{option: extra.get(option, "")})
        except FleetError as error:
            faults += [f"-e {fault}" for fault in error.faults]
    return faults if hosts else []  # without a host of the group fleet, the next check fails

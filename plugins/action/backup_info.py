# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.backup_info: runs on the controller, touches no host. Documented in modules/backup_info.py."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.backup_file import Vault, read
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_of
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        path, host = Path(arguments["path"]).expanduser(), str(task_vars["inventory_hostname"])
        try:
            backup = read(path, Vault(self._loader, arguments.get("vault_password_file")))
            about = backup.about
            if about.host != host and not switch(arguments, "other_host"):
                raise FleetError(
                    f"{path}: is of another host: {about.in_words}; to restore that host as {host}, "
                    f"run again with -e other_host=true"
                )
            given = fleet_of(task_vars, self._templar, self._loader).secrets.salt_key
            if given and given != backup.secrets.get("salt_key", given):
                raise FleetError(
                    "fleet_secrets.salt_key: differs from the backup's, and the data in the backup is encrypted with "
                    "that one; remove it from the inventory, or give the backup's salt key"
                )
        except FleetError as error:
            return {"failed": True, "msg": f"nothing was touched; {error}"}
        return {
            "changed": False,
            "path": str(path),
            "in_words": about.in_words,
            "about": asdict(about),
            "secrets": sorted(backup.secrets),
        }

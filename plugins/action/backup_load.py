# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.backup_load. Documented in modules/backup_load.py."""

from __future__ import annotations

import shlex
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.backup_file import Vault, read
from ansible_collections.inference.fleet.plugins.plugin_utils.database_dump import RESTORED, Database, name_before
from ansible_collections.inference.fleet.plugins.plugin_utils.locked import FAULTS, Locked, guard
from ansible_collections.inference.fleet.plugins.plugin_utils.this_run import lock_of_this_run


class ActionModule(Locked):
    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        self.lock = lock_of_this_run(task_vars)
        result = {"changed": True, "database": RESTORED, "before": name_before(datetime.now(timezone.utc))}
        if self._task.check_mode:
            return {**result, "empty_before": False}
        try:
            path = Path(arguments["path"]).expanduser()
            vault = Vault(self._loader, arguments.get("vault_password_file"))
            backup = read(path, vault)
            database = Database(self._remote)
            found, wanted = database.version(), backup.about.postgres
            if _major(found) < _major(wanted):
                raise FleetError(
                    f"the backup was made by PostgreSQL {wanted}, which {found} on this host cannot read; "
                    f"set fleet_images.postgres to version {_major(wanted)} or later, and also fleet_postgres.volume "
                    f"to a new name"
                )
            empty = database.is_empty()
            try:
                database.begin()
                read(path, vault, database.append)
                database.load(backup.dump)
            finally:
                database.discard()
        except FleetError as error:
            return {"failed": True, "msg": f"the database in use was not changed: {error}"}
        return {**result, "empty_before": empty}

    def _remote(self, command: str, data: bytes) -> dict[str, Any]:
        """Only while this run holds the host's lock."""
        guarded = f"{guard(self.lock)} sh -c {shlex.quote(command)}" if self.lock else command
        answer: dict[str, Any] = self._low_level_execute_command(guarded, in_data=data)
        if self.lock and answer["rc"] in FAULTS:
            raise FleetError(FAULTS[answer["rc"]])
        return answer


def _major(version: str) -> int:
    return int(version.partition(".")[0])

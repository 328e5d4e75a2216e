# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.host_backup. Documented in modules/host_backup.py."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible.plugins.action import ActionBase
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import About, Backup, Dump, stamp
from ansible_collections.inference.fleet.plugins.plugin_utils.backup_file import Folder, Vault, read
from ansible_collections.inference.fleet.plugins.plugin_utils.database_dump import (
    COPY,
    Database,
    TooLarge,
    read_secrets,
)
from ansible_collections.inference.fleet.plugins.plugin_utils.switches import switch
from ansible_collections.inference.fleet.plugins.plugin_utils.vault_stream import PartReader

ROOT = Path(__file__).parents[2]  # the collection's


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        host = str(task_vars["inventory_hostname"])
        try:
            vault = Vault(self._loader, arguments.get("vault_password_file"))
            if switch(arguments, "copy") and not vault.has_password():
                return _copy(Database(self._remote), int(arguments["max_mb"]) * 10**6, self._task.check_mode)
            vault.require_password()
            folder = Folder(arguments["folder"])
            _refuse_as_inventory(folder.path, task_vars.get("ansible_inventory_sources") or ())
            database = Database(self._remote)
            about = About(
                host,
                stamp(datetime.now(timezone.utc)),
                database.version(),
                _version(),
                switch(arguments, "spend_logs"),
            )
            path, keep = folder.path_of(host, about.made), int(arguments["keep"])
            result = {"changed": True, "path": str(path), "database": "", "postgres": about.postgres, "warnings": []}
            if self._task.check_mode:
                coming = [str(one) for one in folder.old(host, keep, path.name)]
                return {**result, "size": None, "spend_logs": about.spend_logs, "removed": coming}
            secrets = read_secrets(self._remote, arguments["config_folder"])
            try:
                dump, without = _dump(database, about.spend_logs, int(arguments["max_mb"]) * 10**6)
                about = replace(about, spend_logs=about.spend_logs and not without)
                _write(Backup(about, secrets, dump), path, folder, vault, database)
            finally:
                database.discard()
            old = folder.old(host, keep)
            for one in old:
                one.unlink()
        except FleetError as error:
            return {"failed": True, "msg": f"no backup of {host} was made, and none was removed: {error}"}
        return {
            **result,
            "size": path.stat().st_size,
            "spend_logs": about.spend_logs,
            "removed": [str(one) for one in old],
            "warnings": [f"{path} has no spend logs: {without}"] if without else [],
        }

    def _remote(self, command: str, data: bytes) -> dict[str, Any]:
        answer: dict[str, Any] = self._low_level_execute_command(command, in_data=data)
        return answer


def _copy(database: Database, max_bytes: int, check: bool) -> dict[str, Any]:
    """What the action returns after a copy of the database beside it."""
    postgres = database.version()
    if not check:
        try:
            database.load(database.dump(False, max_bytes))
            database.keep_loaded()
        finally:
            database.discard()
    result = {"changed": True, "path": "", "database": COPY, "size": None, "postgres": postgres}
    return {**result, "spend_logs": False, "removed": []}


def _dump(database: Database, spend_logs: bool, max_bytes: int) -> tuple[Dump, str]:
    """Also returns why the spend logs are left out although they were asked for; empty if they are not."""
    without = ""
    try:
        if spend_logs:
            return database.dump(True, max_bytes), ""
    except TooLarge as error:
        without = f"with them, {error}; raise max_mb, or keep fewer days of them (fleet_litellm.spend_log_days)"
    try:
        return database.dump(False, max_bytes), without
    except TooLarge as error:
        raise FleetError(f"{error}, and that without spend logs; raise max_mb, or free space") from None


def _write(backup: Backup, path: Path, folder: Folder, vault: Vault, database: Database) -> None:
    """Gives the file its final name, which makes it a backup, after it was read back completely."""
    part = folder.begin(backup.about.host, vault, backup, PartReader(database.parts(backup.dump)))
    try:
        if read(part, vault) != backup:
            raise FleetError(f"{part}: the file on the disk differs from what was written; check the disk")
        folder.finish(part, path)
    finally:
        part.unlink(missing_ok=True)


def _refuse_as_inventory(folder: Path, sources: Any) -> None:
    """Raises FleetError for a folder that Ansible would read as an inventory."""
    for source in map(Path, map(str, sources)):
        below = folder.resolve()
        if source.is_dir() and below.is_relative_to(source.resolve()):
            parts = below.relative_to(source.resolve()).parts
            if not parts or not parts[0].startswith("."):
                raise FleetError(
                    f"fleet_backup.folder: {folder} is in the folder of an inventory, where Ansible reads every file; "
                    f"set another folder, or one whose name begins with a dot"
                )


def _version() -> str:
    """This collection's version, from the installed collection or a checkout."""
    manifest = ROOT / "MANIFEST.json"
    if manifest.exists():
        return str(json.loads(manifest.read_text())["collection_info"]["version"])
    return str(yaml.safe_load((ROOT / "galaxy.yml").read_text())["version"])

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.restore_kit: finds the collections and copies them to the host."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ansible.utils.collection_loader._collection_finder import _get_collection_path
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.collection_archive import collection_files, digest, pack
from ansible_collections.inference.fleet.plugins.plugin_utils.locked import Locked


class ActionModule(Locked):
    TRANSFERS_FILES = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        roots = {}
        for name in self._task.args.get("collections", ()):
            try:
                roots[name] = Path(_get_collection_path(name)).resolve()
            except ValueError:
                return {"failed": True, "msg": f"collections: {name} is not installed on the machine that runs Ansible"}
        files = collection_files(roots)
        arguments = {**self._task.args, "digest": digest(files)}
        answer = self._run_module(arguments, task_vars)
        if answer.get("failed") or not answer["changed"] or self._task.check_mode:
            return answer
        if self._connection._shell.tmpdir is None:  # the module created a temporary folder, unless it was pipelined
            self._make_tmp_path()
        archive = self._connection._shell.join_path(self._connection._shell.tmpdir, "collections.tar.gz")
        with tempfile.NamedTemporaryFile(suffix=".tar.gz") as packed:
            packed.write(pack(files))
            packed.flush()
            self._transfer_file(packed.name, archive)
        self._fixup_perms2((self._connection._shell.tmpdir, archive))
        return self._run_module({**arguments, "archive": archive}, task_vars)

    def _run_module(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="inference.fleet.restore_kit", module_args=arguments, task_vars=task_vars
        )
        return answer

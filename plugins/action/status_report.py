# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.status_report: prints the status of all hosts of the play. Documented in modules/status_report.py."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.status import (
    difference_lines,
    document,
    status_text,
    without_status,
)
from ansible_collections.inference.fleet.plugins.module_utils.report.table import headed
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.replaced import replace


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        if (kind := arguments.get("format", "text")) not in ("text", "json"):
            return {"failed": True, "msg": f"format: expected text or json, got {kind!r}"}
        results = {
            host: task_vars["hostvars"][host].get(arguments["status"]) or {}
            for host in task_vars["ansible_play_hosts_all"]
        }
        hosts = {host: one.get("status") or without_status(one.get("msg")) for host, one in results.items()}
        now = datetime.now(timezone.utc)
        # One line, so that a program can find it in Ansible's output.
        text_json = json.dumps(document(hosts, now))
        blocks = [status_text(host, one, now) for host, one in hosts.items()]
        if differences := difference_lines(hosts):
            blocks.append(
                headed("images that are not the same everywhere (docs/upgrades.md, Pinning images)", differences)
            )
        text = "\n\n".join(blocks)
        Display().display(text_json if kind == "json" else text)
        if (dest := arguments.get("dest")) and not self._task.check_mode:
            try:
                replace(Path(dest), f"{text_json}\n")
            except OSError as error:
                return {"failed": True, "msg": f"dest: {dest}: {error.strerror}"}
        return {"changed": False, "msg": text}

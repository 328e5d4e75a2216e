# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.drift_report: prints what differs on all hosts of the play. Documented in modules/drift_report.py."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.report.drift import (
    FAIL_ON,
    KINDS,
    between_hosts,
    counts,
    document,
    drift_text,
    failing,
    host_entry,
    metrics_text,
)
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.replaced import replace


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        kind, fail_on = arguments.get("format", "text"), arguments.get("fail_on", "any")
        ignored = [word.strip() for word in str(arguments.get("ignore", "")).split(",") if word.strip()]
        if kind not in ("text", "json"):
            return {"failed": True, "msg": f"format: expected text or json, got {kind!r}"}
        if fail_on not in FAIL_ON:
            return {"failed": True, "msg": f"fail_on: expected one of {', '.join(FAIL_ON)}, got {fail_on!r}"}
        if unknown := [word for word in ignored if word not in KINDS]:
            return {"failed": True, "msg": f"ignore: expected some of {', '.join(KINDS)}, got {', '.join(unknown)}"}
        hosts = {host: host_entry(task_vars["hostvars"][host], ignored) for host in task_vars["ansible_play_hosts_all"]}
        between = [] if "hosts" in ignored else between_hosts(hosts)
        now = datetime.now(timezone.utc)
        # One line, so that a program can find it in Ansible's output.
        text_json, text = json.dumps(document(hosts, between, now)), drift_text(hosts, between)
        Display().display(text_json if kind == "json" else text)
        if dest := arguments.get("dest"):
            try:
                replace(Path(dest), f"{text_json}\n")
            except OSError as error:
                return {"failed": True, "msg": f"dest: {dest}: {error.strerror}"}
        return {
            "changed": False,
            "msg": text,
            "failing": failing(hosts, between) if fail_on == "any" else {},
            "metrics": {
                host: metrics_text(counts(host, one, between), now) for host, one in hosts.items() if not one["fault"]
            },
        }

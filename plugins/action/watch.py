# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.watch: observes one host until the run is ended. Documented in modules/watch.py."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Optional
from urllib.parse import quote

from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.watch.changes import change_lines
from ansible_collections.inference.fleet.plugins.module_utils.watch.course import WAIT_S, Course
from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import text
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.replaced import replace

SPACING_S = 1.0  # from the start of a call to the start of the next one, however often something changes
KEEPALIVE = "-o ServerAliveInterval=5 -o ServerAliveCountMax=3"
_LONGEST_NAME = 200


class ActionModule(ActionBase):
    """Never ends by itself, except when the folder `dest` or the process of the run is gone."""

    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        host = task_vars["inventory_hostname"]
        wait = _seconds(arguments.get("seconds", WAIT_S))
        show = _writer(Path(arguments["dest"]), host) if arguments.get("dest") else _printer(host)
        self._notice_lost_hosts()
        course, fixed, parent = Course(host, wait), self._of_inventory(task_vars), os.getppid()
        while os.getppid() == parent:
            began = time.monotonic()
            try:
                answer = self._ask({**course.request(began), **fixed}, task_vars)
                seen, pause = course.take(answer, time.monotonic(), time.time()), SPACING_S
            except Exception as error:  # whatever it is, the host is tried again
                seen, pause = course.fail(_words(error), time.time())
                began = time.monotonic()
                self._connection._shell.tmpdir = None  # after a reboot it is gone
            if not show(seen):
                break
            while (left := began + pause - time.monotonic()) > 0 and os.getppid() == parent:
                time.sleep(min(left, 1.0))
        return {"changed": False}

    def _ask(self, arguments: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self._execute_module(
            module_name="inference.fleet.host_state", module_args=arguments, task_vars=task_vars
        )
        if answer.get("failed") or "digest" not in answer:
            said = (answer.get(key) for key in ("msg", "module_stderr", "module_stdout"))
            raise FleetError(": ".join(str(one).strip().rstrip(".") for one in said if one) or "the module failed")
        return answer

    def _of_inventory(self, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """A variable with a fault counts as not given: what runs on a host is shown with any inventory."""
        found: dict[str, Any] = {}
        with suppress(AnsibleError):
            if folder := self._templar.template(task_vars.get("fleet_config_folder")):
                found["config_folder"] = str(folder)
        with suppress(AnsibleError):
            cache = self._templar.template(task_vars.get("fleet_cache"))
            if isinstance(cache, Mapping) and cache.get("path"):
                found["cache"] = str(cache["path"])
        return found

    def _notice_lost_hosts(self) -> None:
        """ssh itself waits for a host that lost its power until the kernel gives up, a quarter of an hour later."""
        if getattr(self._connection, "transport", "") == "ssh":
            given = self._connection.get_option("ssh_extra_args") or ""
            self._connection.set_option("ssh_extra_args", f"{given} {KEEPALIVE}".strip())


def file_name(host: str) -> str:
    """Of a host's observation. A name in an inventory may contain any character."""
    name = quote(host, safe="")
    if len(name) > _LONGEST_NAME:
        name = hashlib.sha256(host.encode()).hexdigest()
    return f"{name.replace('.', '%2E', 1) if name.startswith('.') else name}.json"


def _writer(folder: Path, host: str) -> Callable[[Mapping[str, Any]], bool]:
    """Writes each observation; returns False once the folder is gone."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise FleetError(f"dest: {folder}: {error.strerror}") from error
    path = folder / file_name(host)

    def write(seen: Mapping[str, Any]) -> bool:
        try:
            replace(path, f"{json.dumps(seen, allow_nan=False)}\n", 0o600)
        except OSError as error:
            if not folder.is_dir():
                return False
            Display().warning(f"{path}: {error.strerror}")
        return True

    return write


def _printer(host: str) -> Callable[[Mapping[str, Any]], bool]:
    before: Optional[Mapping[str, Any]] = None

    def show(seen: Mapping[str, Any]) -> bool:
        nonlocal before
        for line in change_lines(before, seen):
            Display().display(text(f"{time.strftime('%H:%M:%S')} {host}: {line}", 1000))
        before = seen
        return True

    return show


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 1 <= seconds <= 60:
        raise FleetError(f"seconds: expected a number from 1 to 60, got {value!r}")
    return seconds


def _words(error: Exception) -> str:
    return str(error) if isinstance(error, AnsibleError) else fault_of(error)

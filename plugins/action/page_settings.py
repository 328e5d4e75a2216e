# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The controller's half of inference.fleet.page_settings: checks the options, and finds what nobody gave."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.locked import Locked
from ansible_collections.inference.fleet.plugins.plugin_utils.page.options import Options

FOLDER = "/var/lib/inference-fleet-page"
VARIABLE = "INFERENCE_FLEET_PAGE_FOLDER"


class ActionModule(Locked):
    module = "page_settings"

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        given = dict(self._task.args)
        given["inventory"] = _inventory(given.get("inventory"), task_vars or {})
        given["folder"] = given.get("folder") or os.environ.get(VARIABLE) or FOLDER
        options = Options.parse(given)
        person = runner(os.environ)
        arguments = {
            **given,
            **options.settings,
            "users": options.users if options.users is not None else {person: "change"} if person != "root" else {},
            "keep_users": options.users is None,
            "passwords": options.passwords,
            "oidc": options.oidc,
        }
        answer: dict[str, Any] = self._execute_module(
            module_name="inference.fleet.page_settings", module_args=arguments, task_vars=task_vars
        )
        return answer


def runner(environment: Mapping[str, str]) -> str:
    """The person who runs ansible-playbook, also by way of sudo or doas."""
    return environment.get("SUDO_USER") or environment.get("DOAS_USER") or getpass.getuser()


def _inventory(given: Any, variables: Mapping[str, Any]) -> str:
    """Raises FleetError if there is no such file or folder."""
    sources = variables.get("ansible_inventory_sources") or [""]
    path = os.path.abspath(os.path.expanduser(str(given or sources[0])))
    if not (given or sources[0]) or not os.path.exists(path):
        raise FleetError(
            f"page_inventory: expected a file or a folder of this machine that the page shows and edits, found no "
            f"{given or sources[0] or 'inventory of this run'}; name it with -i, or with -e page_inventory=PATH"
        )
    return path

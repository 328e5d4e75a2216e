# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: this_host
short_description: The host that Ansible runs on, with the variables of its own config.json
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - For the boot-time restore of a host. There is one host, in the group C(fleet), with a local connection. It has
    the variables that the last converge wrote to C(config.json), those of O(variables), and C(restore_by_itself),
    which is true if systemd runs Ansible, so that nobody waits at a terminal.
  - Nothing in that file is a template. A damaged file gives no inventory; to make this an error instead of a
    warning, C(ansible.cfg) has C(unparsed_is_failed) in the section C(inventory).
  - The inventory source is a file whose name ends in C(.fleet.yml) or C(.fleet.yaml).
options:
  plugin:
    description: The name of this plugin.
    required: true
    choices: [inference.fleet.this_host]
  config_folder:
    description: The folder with C(config.json). Overrides C(fleet_config_folder) in the file.
    type: path
    default: /etc/inference-fleet
    env:
      - name: INFERENCE_FLEET_CONFIG
  name:
    description: The host's name in the inventory that C(config.json) was written from. By default its own name.
    type: str
  python:
    description: The Python that modules run with, which has the Docker SDK.
    type: str
    default: /usr/bin/python3
  variables:
    description: Further variables of the host that are not in C(config.json), such as options of roles.
    type: dict
    default: {}
"""

EXAMPLES = r"""
# /opt/inference-fleet/this_host.fleet.yml, as the role restore writes it
plugin: inference.fleet.this_host
name: gpu1.example.com
python: /usr/bin/python3
variables: {litellm_ready_timeout: 900}

# Show the variables of a restore, with another configuration folder:
# INFERENCE_FLEET_CONFIG=/srv/fleet ansible-inventory -i /opt/inference-fleet/this_host.fleet.yml --list
"""

import json
import os
import socket
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin
from ansible.utils.unsafe_proxy import wrap_var
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import PREFIX

_REMEDY = "run the playbook install from your machine to write the file again"


class InventoryModule(BaseInventoryPlugin):
    NAME = "inference.fleet.this_host"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith((".fleet.yml", ".fleet.yaml"))

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        self._read_config_data(path)
        folder = self.get_option("config_folder")
        variables = read_state(Path(folder, "config.json"))
        name = self.get_option("name") or socket.gethostname()
        host = self.inventory.add_host(name, group=self.inventory.add_group("fleet"))
        for name, value in {**self.get_option("variables"), **variables, f"{PREFIX}config_folder": folder}.items():
            self.inventory.set_variable(host, name, wrap_var(value))
        # systemd.exec(5): the process that systemd itself started. A terminal may inherit the ID of its own unit.
        by_itself = os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid())
        self.inventory.set_variable(host, "restore_by_itself", by_itself)
        self.inventory.set_variable(host, "ansible_connection", "local")
        self.inventory.set_variable(host, "ansible_python_interpreter", self.get_option("python"))


def read_state(file: Path) -> dict[str, Any]:
    """The fleet_* variables in the file. Raises AnsibleParserError, without showing the file's content."""
    try:
        state = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise AnsibleParserError(f"{file}: cannot be read ({error.strerror}); {_REMEDY}") from None
    except ValueError as error:
        raise AnsibleParserError(f"{file}: is damaged or was edited: not JSON ({error}); {_REMEDY}") from None
    if not isinstance(state, dict) or not state or not all(name.startswith(PREFIX) for name in state):
        raise AnsibleParserError(f"{file}: expected a mapping of fleet_* variables; {_REMEDY}")
    return state

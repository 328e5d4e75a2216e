#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_environment
short_description: Install the ansible-core that a host uses for its boot-time restore, or that the page uses
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Creates a Python environment with C(ansible-core) beside the one in use. When the new environment is complete and
    runs, the link C(venv) is pointed to it and the previous one is removed. Otherwise the previous one stays in use.
  - The environment uses the system's Python. If a system upgrade replaces that Python, the environment is recreated.
  - pip takes C(ansible-core) from the source in the host's C(/etc/pip.conf).
  - ansible-core needs Python 3.11. If the system's Python is older, C(/usr/bin/python3.12) or C(/usr/bin/python3.11) is
    used instead.
options:
  path:
    description: The folder. C(venv) in it is the link.
    type: path
    default: /opt/inference-fleet
  ansible_core:
    description: The version, in full.
    type: str
    required: true
  requirements:
    description:
      - Requirements for pip, C(ansible-core) of that version and all that it needs. Each has a version and the SHA-256
        of its files. pip installs no other file and builds no package. Other pins of the same version get a new
        environment.
    type: str
    required: true
  purpose:
    description: What the environment is for. Messages name the variables of the role of the same name.
    type: str
    choices: [restore, page]
    default: restore
    version_added: 0.3.0
  imports:
    description: Folders of which Python in the environment also imports.
    type: list
    elements: path
    default: []
    version_added: 0.3.0
  proxy:
    description: The proxy for pip, in the form of the variable C(fleet_proxy). No command line contains the proxy.
    type: dict
    suboptions:
      url:
        description: The URL of the proxy.
        type: str
        required: true
      no_proxy:
        description: What is reached without the proxy.
        type: list
        elements: str
        default: []
  host_certificates:
    description: Whether pip trusts the certificates that the host trusts, instead of its own list.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Reports whether an environment would be created, without testing whether it can be installed.
  diff_mode:
    support: full
    description: Shows the versions.
"""

EXAMPLES = r"""
- name: Install ansible-core for the boot-time restore
  inference.fleet.restore_environment:
    ansible_core: 2.19.14
    requirements: "{{ lookup('ansible.builtin.file', 'requirements.txt') }}"
"""

RETURN = r"""
ansible_core:
  description: The previous version; null if there was none, or only for another Python.
  returned: success
  type: str
  sample: 2.19.13
"""

import os
from functools import partial
from pathlib import Path
from typing import Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.boot.environment import (
    LINK,
    ansible_core,
    check_pins,
    digest,
    pins,
    python_for_ansible,
    renew,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Proxy
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import KIT
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import bundle

SPEC = dict(
    path=dict(type="path", default=KIT),
    ansible_core=dict(type="str", required=True),
    requirements=dict(type="str", required=True),
    purpose=dict(type="str", choices=["restore", "page"], default="restore"),
    imports=dict(type="list", elements="path", default=[]),
    proxy=dict(
        type="dict",
        options=dict(
            url=dict(type="str", required=True, no_log=True), no_proxy=dict(type="list", elements="str", default=[])
        ),
    ),
    host_certificates=dict(type="bool", default=False),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    folder, version, python = Path(module.params["path"]), module.params["ansible_core"], python_for_ansible()
    requirements, purpose = module.params["requirements"], module.params["purpose"]
    check_pins(requirements, version, purpose)
    before = ansible_core(folder / LINK, python)
    changed = before != version or pins(folder / LINK) != digest(requirements)
    # The settings of the boot-time restore: Ansible's temporary files go to the same place.
    environment = {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    if module.params["proxy"]:
        environment.update(Proxy(**module.params["proxy"]).environment)
    if module.params["host_certificates"]:
        environment["PIP_CERT"] = bundle() or ""
    command = partial(module.run_command, environ_update=environment, handle_exceptions=False)
    diff = dict(before=_line(before, pins(folder / LINK)), after=_line(version, digest(requirements)))
    if changed and not module.check_mode:
        os.umask(0o022)  # all users may read the environment, whatever umask root has here
        renew(folder, version, requirements, python, command, purpose, module.params["imports"])
    module.exit_json(changed=changed, ansible_core=before, diff=diff)


def _line(version: Optional[str], digest_of_pins: Optional[str]) -> str:
    """The text for Ansible's diff mode."""
    return f"ansible-core {version}, pins {(digest_of_pins or 'none')[:8]}\n" if version else "no ansible-core\n"


if __name__ == "__main__":
    main()

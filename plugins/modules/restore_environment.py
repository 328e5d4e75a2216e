#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_environment
short_description: Have on a host the ansible-core that it restores itself with
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Makes a Python environment with C(ansible-core) beside the one in use. The link C(venv) leads to it once it is
    whole and runs; only then is the one before removed. Where it cannot be had, the one before stays in use.
  - An environment is made for the Python that the system has. Where another release brings another one, this one is
    made anew.
  - pip takes C(ansible-core) from where C(/etc/pip.conf) of the host says.
options:
  path:
    description: The folder. C(venv) in it is the link.
    type: path
    default: /opt/inference-fleet
  ansible_core:
    description: The version, in full.
    type: str
    required: true
attributes:
  check_mode:
    support: full
    description: Says whether an environment is to be made, and makes none. Whether it can be had is not tried.
  diff_mode:
    support: full
    description: Shows the versions.
"""

EXAMPLES = r"""
- name: Have what the host restores itself with
  inference.fleet.restore_environment:
    ansible_core: 2.19.14
"""

RETURN = r"""
ansible_core:
  description: The version that was in use before; null where none was, or one for another Python.
  returned: success
  type: str
  sample: 2.19.13
"""

from functools import partial
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.boot.environment import LINK, PYTHON, ansible_core, renew
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import KIT
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    path=dict(type="path", default=KIT),
    ansible_core=dict(type="str", required=True),
)


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    folder, version, python = Path(module.params["path"]), module.params["ansible_core"], Path(PYTHON).resolve()
    before = ansible_core(folder / LINK, python)
    # The settings with which the host restores itself: temporary files of Ansible go where its own do.
    environment = {"ANSIBLE_CONFIG": str(folder / "ansible.cfg"), "LC_ALL": "C.UTF-8"}
    run = partial(module.run_command, environ_update=environment, handle_exceptions=False)
    if before != version and not module.check_mode:
        try:
            renew(folder, version, python, run)
        except (FleetError, OSError) as error:
            module.fail_json(msg=str(error))
    diff = dict(before=f"ansible-core {before or 'none'}\n", after=f"ansible-core {version}\n")
    module.exit_json(changed=before != version, ansible_core=before, diff=diff)


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: service_ready
short_description: Wait until a container's health check is good
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Waits until Docker reports the container as healthy. One that dies meanwhile, or is not healthy in time, fails the
    task at once, with the end of its log in the message.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
options:
  name:
    description: The container. It must have a health check.
    type: str
    required: true
  timeout:
    description: Seconds to wait at most.
    type: int
    required: true
attributes:
  check_mode:
    support: full
    description: Nothing is waited for, since a container that is missing was not made either.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Wait until PostgreSQL answers
  inference.fleet.service_ready:
    name: postgres
    timeout: 300
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.converge import wait_until_ready
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.model.parse import FleetError

SPEC = dict(name=dict(type="str", required=True), timeout=dict(type="int", required=True))


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    if module.check_mode:
        module.exit_json()
    name, timeout = module.params["name"], module.params["timeout"]
    try:
        fault = wait_until_ready(name, Docker(), lambda container: container.health == "healthy", timeout)
    except FleetError as error:
        fault = str(error)
    if fault:
        module.fail_json(msg=fault)
    module.exit_json()


if __name__ == "__main__":
    main()

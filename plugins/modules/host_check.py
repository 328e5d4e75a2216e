#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Find out whether a host can take its models, before anything is touched
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Looks at the system's release, Docker, the folders that models are read from, the ports that Caddy needs and the
    space for weights, and fails with every fault that it finds in one message.
  - Needs nothing but Python on the host. Changes nothing.
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  ports:
    description: TCP ports that nothing but the fleet's own Caddy may listen on.
    type: list
    elements: int
    default: [80, 443]
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Look before anything is touched
  inference.fleet.host_check:
    models: "{{ fleet_models }}"
  register: host
"""

RETURN = r"""
packages:
  description: Debian's names of the packages that the fleet needs and the host lacks.
  returned: success
  type: list
  elements: str
  sample: [docker.io, iptables, python3-docker]
docker_version:
  description: The version of the engine that answers; null where none does.
  returned: success
  type: str
  sample: 28.2.2
docker_to_start:
  description: Whether systemd has to be told to run Docker, now or at every boot.
  returned: success
  type: bool
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.host.checks import host_faults
from ansible_collections.inference.fleet.plugins.module_utils.host.linux import observe
from ansible_collections.inference.fleet.plugins.module_utils.model.options import SPEC as FLEET_SPEC
from ansible_collections.inference.fleet.plugins.module_utils.model.options import fleet_from, secret_values
from ansible_collections.inference.fleet.plugins.module_utils.model.parse import FleetError

SPEC = dict(FLEET_SPEC, ports=dict(type="list", elements="int", default=[80, 443]))


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.no_log_values.update(secret_values(module.params["models"]))
    try:
        fleet = fleet_from(module.params)
    except FleetError as error:
        module.fail_json(msg=str(error))
    host = observe(fleet, module.params["ports"])
    faults = host_faults(fleet, host)
    if faults:
        module.fail_json(msg="\n".join(faults))
    module.exit_json(
        packages=host.missing_packages, docker_version=host.docker_version, docker_to_start=host.docker_to_start
    )


if __name__ == "__main__":
    main()

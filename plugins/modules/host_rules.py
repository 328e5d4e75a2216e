#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_rules
short_description: Keep the containers of models from services of the host and from metadata services
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Writes two chains of iptables and ip6tables in the table C(mangle). C(INFERENCE-FLEET-IN) refuses connections of
    containers in the networks of models and downloads to the host itself, its published ports included.
    C(INFERENCE-FLEET-OUT) refuses packets that leave a network without a way out, and connections from networks with a
    way out to the metadata services of clouds. Answers to connections of the host, and DNS from networks with a way
    out, pass.
  - The rules name prefixes of network devices, so they stay the same when models come and go. No other rule of the
    host changes. All rules of a version of IP change in one step.
  - The rules do not survive a boot; the restore at boot writes them before it starts a model.
  - A host without IPv6 gets no rules for IPv6.
options:
  state:
    description: Whether the host has the rules.
    type: str
    choices: [present, absent]
    default: present
  downloads:
    description:
      - Where containers that download weights, and builds of images, get them from, by address; C(download_addresses)
        of the fact C(fleet). Those that are addresses of this host, such as a proxy on it, may be reached by these
        containers.
    type: list
    elements: dict
    default: []
    suboptions:
      address:
        description: The address of a hub or a proxy.
        type: str
        required: true
      port:
        description: The TCP port.
        type: int
        required: true
attributes:
  check_mode:
    support: full
    description: Changes nothing.
  diff_mode:
    support: none
    description: RV(changed_rules) says what changes.
"""

EXAMPLES = r"""
- name: Write the host's rules for the networks of models
  inference.fleet.host_rules:
"""

RETURN = r"""
changed_rules:
  description: The commands whose rules were changed.
  returned: success
  type: list
  elements: str
  sample: [iptables, ip6tables]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_rules import apply_rules
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run

SPEC = dict(
    state=dict(type="str", choices=["present", "absent"], default="present"),
    downloads=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(address=dict(type="str", required=True), port=dict(type="int", required=True)),
    ),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True), alone="host_rules")


def _work(module: AnsibleModule) -> None:
    downloads = [(one["address"], one["port"]) for one in module.params["downloads"]]
    changed = apply_rules(module.params["state"] == "present", module.check_mode, downloads)
    module.exit_json(changed=bool(changed), changed_rules=changed)


if __name__ == "__main__":
    main()

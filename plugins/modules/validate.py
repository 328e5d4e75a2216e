# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: validate
short_description: Check a host's inventory and give its fleet as plain data
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Reads every variable of the host that begins with C(fleet_), brings it up to the newest schema, checks all of it,
    and fills in the defaults. Runs on the controller; the host is not contacted.
  - Files that C(fleet_https) names are read on the controller, and decrypted where Ansible Vault encrypted them.
    Relative paths are below the folder of the inventory. Certificates and key are checked for match, order, time and
    names.
  - Fails with every fault in one message, each with its path, what was found and what would be right.
  - Sets the fact C(fleet), from which the roles of this collection work. It holds no secret. The modules of this
    collection get the parsed fleet from their action plugins for the rest of the run.
options:
  model:
    description: A model that at least one host of the play must have; a name that none has is a fault.
    type: str
  recipe:
    description: A recipe that at least one host of the play must have, unless it is one of the collection's own.
    type: str
  rotate:
    description: Secrets that the run is about to replace. One that never rotates is a fault.
    type: list
    elements: str
    default: []
  certificates:
    description:
      - What faults of the certificates in C(fleet_https) are, such as one that has expired. Playbooks that put none
        in place only warn of them.
    type: str
    choices: [fail, warn]
    default: fail
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Check the inventory of every host before any of them is touched
  inference.fleet.validate:
  any_errors_fatal: true
"""

RETURN = r"""
ansible_facts:
  description: The fact C(fleet).
  returned: success
  type: dict
  contains:
    fleet:
      description: The host's fleet, defaults filled in, without secrets and without the models' environments.
      type: dict
"""

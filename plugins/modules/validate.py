# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: validate
short_description: Check a host's inventory and set the fact fleet
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Reads every variable of the host that begins with C(fleet_), migrates them to the newest schema, checks them, and
    adds the defaults. Runs on the controller; the host is not contacted.
  - Files in C(fleet_https) are read on the controller, and decrypted if Ansible Vault encrypted them. Relative paths
    are below the folder of the inventory. Certificates and key are checked for match, order, time and names.
  - Fails with every fault in one message, each with its path, the found value and what is expected.
  - Sets the fact C(fleet) for the roles of this collection. The fact contains no secrets. For the rest of the run, the
    modules of this collection get the parsed fleet from their action plugins.
options:
  model:
    description: A model that at least one host of the play must have.
    type: str
  entry:
    description:
      - The keys of another version of the model O(model), as M(inference.fleet.previous_version) returns them. They
        replace those of the model's entry in C(fleet_models), for the rest of the run.
    type: dict
    version_added: 0.2.0
  entry_secrets:
    description: Variables of the model's C(env) that have secret values. With O(entry), they stay as they are.
    type: list
    elements: str
    default: []
    version_added: 0.2.0
  recipe:
    description: A recipe that at least one host of the play must have, unless it is a recipe of the collection.
    type: str
  rotate:
    description: Secrets that the run will replace. A secret that never rotates is a fault.
    type: list
    elements: str
    default: []
  certificates:
    description:
      - Whether faults of the certificates in C(fleet_https), such as an expired certificate, fail the task or are
        warnings. Playbooks that install no certificates use V(warn).
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
- name: Check the inventory of every host before any change
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
      description: The host's fleet with defaults, without secrets and without the models' environments.
      type: dict
"""

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_key_file
short_description: Generate values for virtual keys in a file of the admin, before the keys are created
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - LiteLLM shows a key only once. So the values of new keys are first generated and written to a file on the
    controller; after an interrupted run, the next run completes the rest.
  - The file is YAML, alias to key, mode 0600, and replaced as a whole. All hosts of a play share one file, so that
    an application has the same key on each; run this once per play (C(run_once)). The file is locked meanwhile.
  - If a host lacks a key, the file has no value for it, and another host of the play already has the key, the task
    fails, since the application would have two keys.
  - A value is removed from the file if a host of the play has its alias as V(absent) in C(fleet_keys), and no host of
    the group C(fleet) has the alias as present. Other values in the file do not change.
  - Runs on the controller; no host is contacted. Returns no key, so the task needs no C(no_log).
options:
  path:
    description:
      - The file. In an inventory's folder its name should begin with a dot, otherwise Ansible reads it as an inventory.
    type: path
    required: true
  observed:
    description: Every host of the play to its result of M(inference.fleet.litellm_key) in check mode.
    type: dict
    required: true
  vault_password_file:
    description:
      - A file with a password, or a program that prints it. If given, the file is encrypted by Ansible Vault.
      - Otherwise an encrypted file is decrypted with the passwords given to C(ansible-playbook), and stays encrypted
        with the same password.
    type: path
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Nothing is generated or written.
  diff_mode:
    support: full
    description: Shows the added and removed aliases.
seealso:
  - module: inference.fleet.litellm_key
  - plugin: inference.fleet.virtual_key_values
    plugin_type: lookup
"""

EXAMPLES = r"""
- name: See which keys LiteLLM lacks
  inference.fleet.litellm_key:
    keys: "{{ fleet_keys }}"
  check_mode: true
  register: keys

- name: Generate a value for each missing key
  inference.fleet.virtual_key_file:
    path: "{{ inventory_dir }}/.fleet-keys.yml"
    observed: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'keys'))) }}"
  run_once: true
"""

RETURN = r"""
path:
  description: The file, links resolved.
  returned: success
  type: str
encrypted:
  description: Whether the file is encrypted by Ansible Vault.
  returned: success
  type: bool
new:
  description: Aliases with a generated value; in check mode those that would get one.
  returned: success
  type: list
  elements: str
gone:
  description: Aliases whose value was removed from the file, or in check mode would be.
  returned: success
  type: list
  elements: str
aliases:
  description: All aliases in the file afterwards.
  returned: success
  type: list
  elements: str
"""

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: virtual_key_file
short_description: Have values for virtual keys in a file of the admin, before the keys are made
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - LiteLLM shows a key once. So the values of keys that are to be made are generated and written to a file on the
    controller first; a run that is cut off anywhere after that is put right by the next.
  - The file is YAML, alias to key, mode 0600. It is replaced as a whole. One file serves all hosts of a play, so that
    an application has the same key on each; run this once a play (C(run_once)). Two plays that use one file take turns.
  - Where a host lacks a key, the file has no value for it, and another host of the play has the key already, the task
    fails, since the application would have two keys then.
  - The value of an alias that C(fleet_keys) of a host of the play has as V(absent), and that of no host of the group
    C(fleet) as present, is taken out of the file. Other values in it are left alone.
  - Runs on the controller; no host is contacted. It returns no key, so the task needs no C(no_log).
options:
  path:
    description:
      - The file. In the folder of an inventory its name should begin with a dot, or Ansible takes it for one more
        inventory.
    type: path
    required: true
  observed:
    description: Host to what M(inference.fleet.litellm_key) returned of it in check mode, of every host of the play.
    type: dict
    required: true
  vault_password_file:
    description:
      - A file with a password, or a program that prints it. With it the file is encrypted by Ansible Vault.
      - Without it a file that is encrypted already is opened with the passwords that C(ansible-playbook) was given, and
        stays encrypted with the one that opened it.
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
    description: Shows the aliases that come and go.
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

- name: Have a value for each of them
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
  description: Whether Ansible Vault encrypts it.
  returned: success
  type: bool
new:
  description: Aliases that a value was generated for, or would be in check mode.
  returned: success
  type: list
  elements: str
gone:
  description: Aliases whose value was taken out of the file, or would be in check mode.
  returned: success
  type: list
  elements: str
aliases:
  description: All aliases that the file then has.
  returned: success
  type: list
  elements: str
"""

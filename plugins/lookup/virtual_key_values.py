# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: virtual_key_values
short_description: The values of virtual keys from the admin's file
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns the file of M(inference.fleet.virtual_key_file) as one dictionary of aliases to values; empty if the file
    does not exist.
  - A file encrypted by Ansible Vault is decrypted with O(vault_password_file) or with the passwords given to
    C(ansible-playbook).
  - As a lookup, its value is in no task result, so a task whose option has C(no_log) needs no C(no_log) itself.
options:
  _terms:
    description: The file's path.
    required: true
  vault_password_file:
    description: A file with the password, or a program that prints it.
    type: path
seealso:
  - module: inference.fleet.virtual_key_file
  - module: inference.fleet.litellm_key
"""

EXAMPLES = r"""
- name: Create the missing keys with the values of the file
  inference.fleet.litellm_key:
    keys: "{{ fleet_keys }}"
    values: "{{ lookup('inference.fleet.virtual_key_values', 'inventories/mine/.fleet-keys.yml') }}"
"""

RETURN = r"""
_raw:
  description: Alias to value, as one dictionary.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising
from ansible_collections.inference.fleet.plugins.plugin_utils.key_store import KeyStore


class LookupModule(LookupBase):
    @raising(AnsibleLookupError)
    def run(self, terms: Any, variables: Any = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        return [KeyStore(str(terms[0]), self._loader, self.get_option("vault_password_file")).read()]

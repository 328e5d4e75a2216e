# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: virtual_keys
short_description: The virtual keys of a host's inventory
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns C(fleet_keys) of the host as M(inference.fleet.litellm_key) takes them, in the newest schema.
  - A lookup puts the values of keys into no task result.
seealso:
  - module: inference.fleet.litellm_key
"""

EXAMPLES = r"""
- name: Create, change and remove the keys
  inference.fleet.litellm_key:
    keys: "{{ query('inference.fleet.virtual_keys') }}"
"""

RETURN = r"""
_raw:
  description: The keys.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import to_wire
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_of


class LookupModule(LookupBase):
    @raising(AnsibleLookupError)
    def run(self, terms: Any, variables: Any = None, **kwargs: Any) -> list[Any]:
        keys = fleet_of(variables, self._templar, self._loader).keys
        return [{name: value for name, value in to_wire(key).items() if value is not None} for key in keys]

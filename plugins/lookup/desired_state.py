# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: desired_state
short_description: The desired state of a host, with secrets
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns the host's fleet in the form of an inventory, with defaults, secrets and the models' environments, as one
    dictionary. C(/etc/inference-fleet/config.json) has this content.
  - Certificates and the key from files in C(fleet_https) are included as text.
  - A lookup puts the secrets into no task result. The task that uses it needs C(no_log).
seealso:
  - module: inference.fleet.validate
"""

EXAMPLES = r"""
- name: Write the desired state to the host
  ansible.builtin.copy:
    content: "{{ lookup('inference.fleet.desired_state') | to_nice_json }}"
    dest: /etc/inference-fleet/config.json
    mode: "0600"
  no_log: true
"""

RETURN = r"""
_raw:
  description: The desired state, as one dictionary.
  type: list
  elements: dict
"""

from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_of


class LookupModule(LookupBase):
    @raising(AnsibleLookupError)
    def run(self, terms: Any, variables: Any = None, **kwargs: Any) -> list[Any]:
        return [fleet_of(variables, self._templar, self._loader).desired_state()]

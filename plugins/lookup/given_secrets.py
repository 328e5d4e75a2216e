# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: given_secrets
short_description: The secrets of a host, by file name
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns the name of every secret of a host, with its value from the inventory, or null if the host generates the
    value. The names are those of C(fleet_secrets), C(direct-NAME) for each of C(fleet_direct_keys), and C(open_key),
    from which the keys are derived that Caddy sends to LiteLLM on open routes.
  - A lookup puts the secrets into no task result. The task that uses it needs C(no_log).
seealso:
  - module: inference.fleet.host_secrets
"""

EXAMPLES = r"""
- name: Write the secrets to the host and generate the missing ones
  inference.fleet.host_secrets:
    path: /etc/inference-fleet/secrets
    given: "{{ lookup('inference.fleet.given_secrets') }}"
  no_log: true
"""

RETURN = r"""
_raw:
  description: Name to value or null, as one dictionary.
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
        return [fleet_of(variables, self._templar, self._loader).given_secrets]

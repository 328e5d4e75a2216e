# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: caddy_files
short_description: The files in which Caddy looks up keys and models
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Caddy reads these files at each request. So its configuration contains no key, and a change takes effect as soon
    as the file is replaced, without a reload. The task that uses this filter needs C(no_log).
positional: _input, models
options:
  _input:
    description: The result of M(inference.fleet.host_secrets).
    type: dict
    required: true
  models:
    description: C(models) of the fact C(fleet) of M(inference.fleet.validate).
    type: list
    elements: dict
    required: true
seealso:
  - module: inference.fleet.host_secrets
"""

EXAMPLES = r"""
- name: Write the key files of Caddy
  inference.fleet.host_secrets:
    path: /etc/inference-fleet/caddy/keys
    given: "{{ secrets | inference.fleet.caddy_files(fleet.models) }}"
    prune: true
  no_log: true
"""

RETURN = r"""
_value:
  description: File name to content.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.inference.fleet.plugins.module_utils.gateway.caddy_files import caddy_files
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"caddy_files": _caddy_files}


@raising(AnsibleFilterError)
def _caddy_files(secrets: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return caddy_files(secrets["values"], secrets["previous"], models)

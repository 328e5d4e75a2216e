# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: open_keys
short_description: The virtual keys that Caddy sends to LiteLLM on open routes
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns one key for each open model. The key is valid for that model only. The list is empty if no model is open.
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
  - module: inference.fleet.litellm_key
"""

EXAMPLES = r"""
- name: Create the keys of the open routes
  inference.fleet.litellm_key:
    keys: "{{ secrets | inference.fleet.open_keys(fleet.models) }}"
"""

RETURN = r"""
_value:
  description: Keys, in the form of O(inference.fleet.litellm_key#module:keys).
  type: list
  elements: dict
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.inference.fleet.plugins.module_utils.gateway.caddy_files import OPEN_KEY, open_keys
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"open_keys": _open_keys}


@raising(AnsibleFilterError)
def _open_keys(secrets: Mapping[str, Any], models: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return open_keys(secrets["values"][OPEN_KEY], models)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: door_files
short_description: The files that Caddy looks keys and models up in
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Caddy reads these files at each request, so that no key stands in its configuration, and what changed is in use as
    soon as its file is replaced, without a reload. The task that uses this needs C(no_log).
positional: _input, models
options:
  _input:
    description: What M(inference.fleet.host_secrets) returned.
    type: dict
    required: true
  models:
    description: Models, as the fact C(fleet) of M(inference.fleet.validate) has them.
    type: list
    elements: dict
    required: true
seealso:
  - module: inference.fleet.host_secrets
"""

EXAMPLES = r"""
- name: Tell Caddy which keys to let in
  inference.fleet.host_secrets:
    path: /etc/inference-fleet/caddy/keys
    given: "{{ secrets | inference.fleet.door_files(fleet.models) }}"
    prune: true
  no_log: true
"""

RETURN = r"""
_value:
  description: File name to what is in it.
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.gateway.caddy_files import caddy_files


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"door_files": _door_files}


def _door_files(secrets: Mapping[str, Any], models: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    return caddy_files(secrets["values"], secrets["previous"], models)

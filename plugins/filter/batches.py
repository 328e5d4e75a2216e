# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: batches
short_description: The batches in which a run changes several hosts
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Divides the hosts into batches, as C(serial) of Ansible does, with one host as a batch of its own before the others.
positional: _input
options:
  _input:
    description: The hosts, in order.
    type: list
    elements: str
    required: true
  batch:
    description:
      - Sizes of the batches, such as C(2), C(25%) or C(1,5,100%). Percentages are of all hosts. The last size counts
        for all further batches. Empty for one batch.
    type: raw
    default: ""
  canary:
    description: The host of the first batch. Empty for none.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Print the batches
  inference.fleet.show:
    lines: "{{ ansible_play_hosts_all | inference.fleet.batches(batch='50%', canary='gpu1') | map('join', ', ') }}"
"""

RETURN = r"""
_value:
  description: The names of the hosts of each batch.
  type: list
  elements: list
"""

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.inference.fleet.plugins.plugin_utils.batches import batches
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"batches": raising(AnsibleFilterError)(batches)}

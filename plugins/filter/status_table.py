# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: status_table
short_description: The status of a host's models as lines of a table
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - "One line a model: name, type, replicas ready/wanted, device, image, uptime and endpoint."
positional: _input, models, base_url
options:
  _input:
    description: Containers, as M(inference.fleet.model_containers) returns them.
    type: list
    elements: dict
    required: true
  models:
    description: Models, as the fact C(fleet) of M(inference.fleet.validate) has them.
    type: list
    elements: dict
    required: true
  base_url:
    description: What clients put before C(/v1).
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Show how the models are
  ansible.builtin.debug:
    msg: "{{ observed.containers | inference.fleet.status_table(fleet.models, 'https://gpu1.example.com') }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.table import status_table


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {
            "status_table": lambda containers, models, base_url: status_table(
                containers, models, base_url, datetime.now(timezone.utc)
            )
        }

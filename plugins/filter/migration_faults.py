# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: migration_faults
short_description: Why a running LiteLLM may not bear the database migrations of another image
version_added: 0.3.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns an empty list if the migrations that the database lacks only add tables, columns that may be left out, and
    indexes.
positional: _input, applied
options:
  _input:
    description: Name of a migration in the image to its SQL.
    type: dict
    required: true
  applied:
    description: The names of the migrations that the database has.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Report why LiteLLM has to stop
  ansible.builtin.debug:
    msg: "{{ migrations.container.Output | from_json | inference.fleet.migration_faults(applied.stdout_lines) }}"
"""

RETURN = r"""
_value:
  description: Reasons, as text.
  type: list
  elements: str
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.inference.fleet.plugins.module_utils.gateway.schema import reasons_against
from ansible_collections.inference.fleet.plugins.plugin_utils.failures import raising


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"migration_faults": _migration_faults}


@raising(AnsibleFilterError)
def _migration_faults(image: Mapping[str, str], applied: Collection[str]) -> list[str]:
    return reasons_against(image, applied)

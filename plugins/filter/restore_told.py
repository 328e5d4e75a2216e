# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: restore_told
short_description: The last restore of a host as lines for a terminal
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Reads the record that M(inference.fleet.restore_log) keeps on a host, and what systemd says of the unit
    C(inference-fleet-restore.service).
positional: _input, unit
options:
  _input:
    description: The text of the record; empty where there is none.
    type: str
    required: true
  unit:
    description: The lines that C(systemctl show) printed of the unit.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Show the last restore
  ansible.builtin.debug:
    msg: "{{ record | inference.fleet.restore_told(shown.stdout_lines) }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.host.restore import told


def restore_told(record: str, unit: Iterable[str]) -> list[str]:
    return told(record, {key: value for key, _equals, value in (line.partition("=") for line in unit)})


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"restore_told": restore_told}

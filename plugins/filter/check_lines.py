# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: check_lines
short_description: What was checked on a host as lines for a terminal
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - "One line a check: its state, what it is about, what was found, and what to do about it."
positional: _input
options:
  _input:
    description: Checks, as M(inference.fleet.host_check) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show what was found
  ansible.builtin.debug:
    msg: "{{ host.checks | inference.fleet.check_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import check_lines


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"check_lines": check_lines}

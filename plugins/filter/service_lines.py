# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: service_lines
short_description: The services of a host as a table for a terminal
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - One line for each service under a head, with what Docker says of its state.
positional: _input
options:
  _input:
    description: Containers, as M(community.docker.docker_host_info) returns them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = r"""
- name: Show the services
  ansible.builtin.debug:
    msg: "{{ host.containers | inference.fleet.service_lines }}"
"""

RETURN = r"""
_value:
  description: The lines.
  type: list
  elements: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.report.table import service_lines


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"service_lines": service_lines}

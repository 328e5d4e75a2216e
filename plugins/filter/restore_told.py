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
    description: The text of the record; empty where there is none. One that is cut off or was edited is called so.
    type: str
    required: true
  unit:
    description:
      - The lines that C(systemctl show) printed of the unit, with its properties C(ActiveState), C(Result) and
        C(ExecMainExitTimestamp). Empty where there is no unit.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Read the record of the last restore
  ansible.builtin.command:
    argv: [cat, /var/lib/inference-fleet/restore.json]
  changed_when: false
  failed_when: record.rc not in [0, 1]  # none has been made yet
  register: record

- name: Ask how the unit is that makes it
  ansible.builtin.command:
    argv: [systemctl, show, inference-fleet-restore.service, "--property=ActiveState,Result,ExecMainExitTimestamp"]
  changed_when: false
  register: unit

- name: Show the last restore
  ansible.builtin.debug:
    msg: "{{ record.stdout | inference.fleet.restore_told(unit.stdout_lines) }}"
"""

RETURN = r"""
_value:
  description:
    - When it began, who ran it and how it ended; each step with its time; each fault with what to do about it.
    - At the end, that the unit failed or is at work, if so.
  type: list
  elements: str
  sample:
    - "restore of 2026-01-01 00:00:00 UTC by the host itself: succeeded after 41.2 s"
    - "  checks         1.9 s"
"""

from collections.abc import Callable, Iterable
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.boot.restore import last_restore


def restore_told(record: str, unit: Iterable[str]) -> list[str]:
    return last_restore(record, {key: value for key, _equals, value in (line.partition("=") for line in unit)})


class FilterModule:
    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"restore_told": restore_told}

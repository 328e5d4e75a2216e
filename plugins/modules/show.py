# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: show
short_description: Print lines as plain text
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Prints text for a person, below a head or, where it is one line, beside the head. Unlike
    M(ansible.builtin.debug), it prints no JSON.
  - What is printed in one task of one host stands together. Runs on the controller; the host is not contacted.
options:
  lines:
    description: The lines. A string is one line, or several where it has line breaks.
    type: raw
    default: []
  checks:
    description: Checks as M(inference.fleet.host_check) returns them. They are printed as a table, after O(lines).
    type: list
    elements: dict
    default: []
  head:
    description: What the lines are about. Not given, it is the name of the host.
    type: str
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Show what was found on the host
  inference.fleet.show:
    checks: "{{ host.checks }}"

- name: Show where the files are
  inference.fleet.show:
    head: files on this machine
    lines: "{{ report.files }}"
  run_once: true
"""

RETURN = r"""
msg:
  description: What was printed.
  returned: success
  type: str
  sample: "gpu1.example.com: everything in the cache is used"
"""

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
  - Prints text for a person below a head, or one line beside the head. Unlike M(ansible.builtin.debug), it prints no
    JSON.
  - The output of one task for one host stays together. Runs on the controller; the host is not contacted.
options:
  lines:
    description: The lines. A string may contain several lines.
    type: raw
    default: []
  checks:
    description: Checks as M(inference.fleet.host_check) returns them. They are printed as a table, after O(lines).
    type: list
    elements: dict
    default: []
  head:
    description: The head of the lines. Default is the name of the host.
    type: str
  fail:
    description:
      - Fail with the lines. Unlike with M(ansible.builtin.fail), they are printed once.
    type: bool
    default: false
    version_added: 0.2.0
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
- name: Show the checks of the host
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
  description: The printed text.
  returned: always
  type: str
  sample: "gpu1.example.com: everything in the cache is used"
"""

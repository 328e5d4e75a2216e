# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: status_report
short_description: Print the status of all hosts, for a person or for a program
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Prints what M(inference.fleet.status) returned on each host of the play, hosts one after the other, in the order of
    the inventory. Runs once for all hosts (C(run_once)); no host is contacted.
options:
  status:
    description: The name of the variable in which each host has the result of M(inference.fleet.status).
    type: str
    required: true
  format:
    description:
      - V(text) prints tables.
      - V(json) prints one JSON document for all hosts, in one line. C(docs/status.md) describes its keys.
    type: str
    choices: [text, json]
    default: text
  dest:
    description:
      - A file on the controller that the JSON document is written to, whatever is printed. It is replaced as a whole.
    type: path
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.status
"""

EXAMPLES = r"""
- name: Print the status of all hosts and write it to a file
  inference.fleet.status_report:
    status: asked
    dest: /var/lib/dashboard/fleet.json
  run_once: true
"""

RETURN = r"""
msg:
  description: The status of all hosts as text, whatever was printed.
  returned: success
  type: str
"""

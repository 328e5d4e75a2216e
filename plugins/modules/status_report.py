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
  - Prints the result of M(inference.fleet.status) for each host of the play, in the order of the inventory. Needs
    C(run_once); no host is contacted.
options:
  status:
    description: The name of the variable with each host's result of M(inference.fleet.status).
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
      - A file on the controller for the JSON document, whatever the format of the output. Replaced atomically.
    type: path
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Prints, but writes no file.
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
  description: The status of all hosts as text, whatever the format of the output.
  returned: success
  type: str
"""

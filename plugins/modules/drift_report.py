# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: drift_report
short_description: Print what differs from the inventory on all hosts, and between them
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Reads the results that the playbook C(drift) registered for each host of the play in check mode, and prints what
    differs from the inventory, host by host, and what differs between the hosts. Needs C(run_once); no host is
    contacted.
options:
  format:
    description:
      - V(text) prints tables.
      - V(json) prints one JSON document for all hosts, in one line. C(docs/drift.md) describes its keys.
    type: str
    choices: [text, json]
    default: text
  dest:
    description:
      - A file on the controller for the JSON document, whatever the format of the output. Replaced atomically.
    type: path
  fail_on:
    description: V(any), RV(failing) has every host with a difference; V(never), it is empty.
    type: str
    choices: [any, never]
    default: any
  ignore:
    description: Kinds of differences to leave out, separated by commas.
    type: str
    default: ""
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Changes no host; O(dest) is written.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.host_versions
  - module: inference.fleet.status_report
"""

EXAMPLES = r"""
- name: Print what differs on all hosts
  inference.fleet.drift_report:
    ignore: clock,hosts
  run_once: true
"""

RETURN = r"""
msg:
  description: The differences of all hosts as text, whatever the format of the output.
  returned: success
  type: str
failing:
  description: Host to the number of its differences as text, for hosts that have any, as O(fail_on) says.
  returned: success
  type: dict
  sample: {gpu1.example.com: "2 differences, see above"}
metrics:
  description: Host to its metrics for the textfile collector of the node exporter, for hosts that were compared.
  returned: success
  type: dict
"""

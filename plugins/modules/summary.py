# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: summary
short_description: Print the changes and faults of a run on a host, in one line
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - "Prints one line: what was installed, created, recreated, restarted, removed and updated, and what failed."
  - Reads the registered results of the roles of this collection. So use it at the end of a play with these roles, in
    C(always), so that it also runs on hosts on which a task failed. Ansible runs no more tasks on an unreachable host.
  - With O(record), prints nothing, so that O(recorded) prints the lines of all hosts together, after the last batch.
  - Runs on the controller; the host is not contacted.
options:
  record:
    description: Return the line instead of printing it. Register the result.
    type: bool
    default: false
    version_added: 0.2.0
  failed:
    description: Whether a task failed on the host, for C(rescue).
    type: bool
    default: false
    version_added: 0.2.0
  recorded:
    description:
      - The variable in which O(record) registered the results. Prints the lines of all hosts of the group C(fleet) that
        have a batch (C(__fleet_batch)), in the order of the batches. If a run of several batches failed, also prints
        which hosts have what.
    type: str
    version_added: 0.2.0
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: Prints the planned changes.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Print the summary of this run
  inference.fleet.summary:

- name: Print the summary of all hosts
  inference.fleet.summary:
    recorded: summary
  run_once: true
"""

RETURN = r"""
msg:
  description: The line, or the lines of all hosts.
  returned: success
  type: str
  sample: "gpu1.example.com  created: vllm-a-1; restarted: litellm; failed: vllm-b-1 (died with exit code 1)"
did:
  description: Whether the line has a change.
  returned: without O(recorded)
  type: bool
fault:
  description: What failed first. Empty unless O(failed).
  returned: without O(recorded)
  type: str
  sample: vllm-b-1 (died with exit code 1)
"""

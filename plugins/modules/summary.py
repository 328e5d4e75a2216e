# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: summary
short_description: Print what a run has done to a host, in one line
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - "Prints one line: what was installed, created, recreated, restarted, removed and updated, and what failed."
  - Reads the variables in which the roles of this collection keep what their tasks returned, so it belongs at the end
    of a play that ran them, in C(always), where it also runs on hosts on which a task has failed. On a host that became
    unreachable Ansible runs no task any more.
  - Runs on the controller; the host is not contacted.
options: {}
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: The line says what would be done.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Print what this run has done
  inference.fleet.summary:
"""

RETURN = r"""
msg:
  description: What was printed.
  returned: success
  type: str
  sample: "gpu1.example.com  created: vllm-a-1; restarted: litellm; failed: vllm-b-1 (died with exit code 1)"
"""

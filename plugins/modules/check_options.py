# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: check_options
short_description: Check the options that the command line gives the playbooks
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Fails if an option of the playbooks that is true or false has another value on the command line (C(-e)). The message
    names the option as it was written.
  - Fails if C(batch) has another value than sizes of batches, or if C(canary) is no host of the run.
  - Every playbook of the collection begins with this check. Runs on the controller; the host is not contacted.
options: {}
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
- name: Check the options of the command line
  inference.fleet.check_options:
  run_once: true
"""

RETURN = r"""#"""

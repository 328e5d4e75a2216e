# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Print what the playbook install would stumble over on a host
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Runs M(inference.fleet.host_check) with its options C(thorough) and C(report), and prints a line a check.
  - Fails where C(install) would stop, with the faults. Changes nothing.
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  force:
    description: As of M(inference.fleet.host_check).
    type: bool
    default: false
attributes:
  action:
    support: full
    description: Runs M(inference.fleet.host_check) on the host and prints on the controller.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.host_check
"""

EXAMPLES = r"""
- name: Print what install would stumble over
  inference.fleet.preflight:
"""

RETURN = r"""
checks:
  description: As of M(inference.fleet.host_check).
  returned: when the host could be asked
  type: list
  elements: dict
msg:
  description: What was printed; on failure the faults.
  returned: always
  type: str
"""

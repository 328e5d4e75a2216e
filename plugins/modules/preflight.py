# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: preflight
short_description: Check a host for the playbook install and print the checks
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Runs M(inference.fleet.host_check) with its options C(thorough) and C(report), and prints one line for each check.
  - Fails with the faults if C(install) would stop. Runs M(inference.fleet.host_check) in check mode, so that nothing is
    written to the disk of the host; an image may be asked for its options in a temporary container without a network.
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  force:
    description: As O(inference.fleet.host_check#module:force).
    type: bool
    default: false
  remove_all:
    description: As O(inference.fleet.host_check#module:remove_all).
    type: bool
    default: true
attributes:
  action:
    support: full
    description: Runs M(inference.fleet.host_check) on the host and prints on the controller.
  check_mode:
    support: full
    description: The module does the same in check mode and outside it.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.host_check
"""

EXAMPLES = r"""
- name: Print the checks of the host
  inference.fleet.preflight:
"""

RETURN = r"""
checks:
  description: As RV(inference.fleet.host_check#module:checks).
  returned: if there is no fault
  type: list
  elements: dict
msg:
  description: The printed text; on failure a pointer to it.
  returned: always
  type: str
"""

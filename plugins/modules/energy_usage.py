# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: energy_usage
short_description: Sum up the energy of a host's GPUs in a period, by day, model and session
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Reads the period's files of C(inference-fleet-energy.service) on the host, with one command, and sums them up on
    the controller. Lines damaged by a power cut are left out.
  - Time that was not measured is summed up too, including the time since the last row if that is over 15 minutes.
options:
  period:
    description: The time that one row of the report covers.
    type: str
    choices: [day, week, month]
    required: true
  first:
    description: The first day, in UTC. By default 30 days, 12 weeks or 365 days before the last day.
    type: str
  last:
    description: The last day, in UTC. By default today.
    type: str
  folder:
    description: The folder of the files on the host.
    type: path
    default: /var/lib/inference-fleet/energy
attributes:
  action:
    support: full
    description: The sums are computed on the controller.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.energy_report
"""

EXAMPLES = r"""
- name: Sum up November
  inference.fleet.energy_usage:
    period: day
    first: "2026-11-01"
    last: "2026-11-30"
  register: usage
"""

RETURN = r"""
sums:
  description:
    - A list for each day, model and session, of the day, the kind (V(energy) or V(gap)), the model (or in parentheses
      why there is none), the container, the session, the seconds of all its devices, and the watt-hours.
  returned: success
  type: list
  elements: list
  sample:
    - ["2026-11-24", "energy", "qwen3-8b", "vllm-qwen3-8b-1", "2026-11-24T03:12:40Z 5f3c1d2e4a6b", 86400.0, 4812.5]
first:
  description: The first day of the period.
  returned: success
  type: str
  sample: "2026-11-01"
last:
  description: The last day of the period.
  returned: success
  type: str
  sample: "2026-11-30"
note:
  description: A note about the host, such as that it has stopped writing rows; or empty.
  returned: success
  type: str
"""

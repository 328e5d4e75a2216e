# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: energy_report
short_description: Write tables and a chart of the energy that the models of a fleet used
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - From the results of M(inference.fleet.energy_usage) of each host of the play, writes to the controller a CSV file
    with a row for each period, host and model, one with a row for each session, and a chart of all hosts together.
  - Needs pandas and matplotlib on the controller, as in the collection's C(requirements-energy.txt). Runs once
    for all hosts (C(run_once)); no host is contacted. A warning names each host that could not be read.
options:
  usage:
    description: The name of the variable in which each host has the result of M(inference.fleet.energy_usage).
    type: str
    required: true
  period:
    description: The time that one row and one bar cover.
    type: str
    choices: [day, week, month]
    required: true
  first:
    description: As of M(inference.fleet.energy_usage).
    type: str
  last:
    description: As of M(inference.fleet.energy_usage).
    type: str
  price:
    description: The price of a kWh. If not given, the report has no costs.
    type: float
  tokens:
    description:
      - The name of a variable in which hosts have the tokens of the period, as JSON in C(stdout); a list of mappings
        with C(model), C(input) and C(output), as LiteLLM counted them. With O(price), the result then has prices of
        models.
    type: str
  currency:
    description: The currency of the price, such as V(EUR).
    type: str
  format:
    description: The format of the chart.
    type: str
    choices: [svg, png]
    default: svg
  dest:
    description: The folder on the controller. It is created if it is missing.
    type: path
    default: .
attributes:
  action:
    support: full
    description: Runs on the controller alone.
  check_mode:
    support: full
    description: The report is computed but not written.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.energy_usage
"""

EXAMPLES = r"""
- name: Write the energy report of November
  inference.fleet.energy_report:
    usage: usage # of each host, as energy_usage was registered
    period: day
    first: "2026-11-01"
    last: "2026-11-30"
    price: 0.31
    currency: EUR
    dest: reports
  run_once: true
"""

RETURN = r"""
files:
  description: The files, the chart last.
  returned: success
  type: list
  elements: str
  sample: [reports/energy-2026-11-01--2026-11-30-by-day.csv]
prices:
  description:
    - What the energy of a million tokens cost, as a C(price) to paste into the entry of a model. Input and output
      have the same price, since nobody can tell which of the two took the energy. Energy alone, without hardware and
      people.
  returned: success, with O(price) and O(tokens)
  type: list
  elements: str
  sample: ["qwen3-8b: price: {input: 0.0213, output: 0.0213} (11.2 kWh, 163.4 million tokens)"]
note:
  description: Notes about hosts, such as that a host could not be read.
  returned: success
  type: str
"""

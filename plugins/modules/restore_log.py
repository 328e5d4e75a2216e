#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_log
short_description: Report the steps of a restore, and record the restore on the host
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - For the playbook C(reboot_restore), with its steps in order. Each step is reported with its duration. The record is
    written to the host at the beginning and at the end. The task at the end fails if a step failed, with what to do.
options:
  state:
    description:
      - V(begun) starts the clock, V(step) is the end of a step, V(ended) that of the restore. The tasks of one restore
        must be in one play, since a fact of the play keeps the steps so far.
    type: str
    choices: [begun, step, ended]
    default: step
  step:
    description:
      - The step that has ended. By default the first step that has not, of C(checks), C(foundation), C(GPUs),
        C(PostgreSQL), C(models), C(LiteLLM), C(Caddy), C(monitoring) and C(models ready).
    type: str
  fault:
    description:
      - Why the step failed; empty if it did not. With O(state=step) the task itself does not fail, so that the next
        steps run; with O(state=ended) it is the fault of the step that was running.
    type: str
  path:
    description: The file of the record on the host, readable by its owner only.
    type: path
    default: /var/lib/inference-fleet/restore.json
  record:
    description: The record, as JSON. Set by the action plugin of the same name.
    type: dict
  metrics:
    description:
      - The record for Prometheus, written to C(metrics/restore.prom) beside the record, readable by all. Set by the
        action plugin of the same name.
    type: str
    default: ""
attributes:
  action:
    support: full
    description: The time is measured on the controller.
  check_mode:
    support: full
    description: Reports the steps as not done, and writes no record.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Start the record
  inference.fleet.restore_log:
    state: begun

- name: Report that PostgreSQL answers
  inference.fleet.restore_log:
    step: PostgreSQL

- name: Report the models, some of which may have failed
  inference.fleet.restore_log:
    step: models ready
    fault: "{{ models_that_failed | join(', ') }}"

- name: Report the restore, and fail if a step failed
  inference.fleet.restore_log:
    state: ended
"""

RETURN = r"""
msg:
  description: The steps of the restore, and what to do about each fault.
  returned: when O(state=ended), or on failure
  type: str
  sample: |-
    gpu1: succeeded after 41.2 s
      checks           1.9 s
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import RESTORE_RECORD
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put

METRICS = "metrics/restore.prom"
SPEC = dict(
    state=dict(type="str", choices=["begun", "step", "ended"], default="step"),
    step=dict(type="str"),
    fault=dict(type="str"),
    path=dict(type="path", default=RESTORE_RECORD),
    record=dict(type="dict"),
    metrics=dict(type="str", default=""),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    path, record = module.params["path"], module.params["record"]
    if record is None:
        module.fail_json(msg="record: missing; the action plugin inference.fleet.restore_log sets it")
    try:
        if not module.check_mode:
            for where, text, mode in (
                (path, json.dumps(record), 0o600),
                (os.path.join(os.path.dirname(path), METRICS), module.params["metrics"], 0o644),
            ):
                os.makedirs(os.path.dirname(where), mode=0o755, exist_ok=True)
                put(where, text, mode)
    except OSError as error:
        module.fail_json(msg=f"{path}: the record of this restore cannot be written ({error.strerror})")
    module.exit_json()


if __name__ == "__main__":
    main()

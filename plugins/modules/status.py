# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: status
short_description: Read the status of a host's models and services
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Runs M(inference.fleet.model_containers) in check mode, lists the service containers, and reads the record of the
    last restore and the state of its systemd unit. Changes nothing.
  - If the status of a host cannot be read, the task does not fail; RV(status.fault) has the reason. So
    M(inference.fleet.status_report) has all hosts of the play.
  - Needs the fact C(fleet), which M(inference.fleet.validate) sets.
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  fail_on:
    description:
      - Which models of state V(running) are in RV(down), for a playbook that fails then. V(model), those of which no
        replica answers; V(replica), those of which a replica does not answer; V(never), none.
    type: str
    choices: [model, replica, never]
    default: model
attributes:
  action:
    support: full
    description: Runs other modules on the host.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.status_report
  - module: inference.fleet.model_containers
"""

EXAMPLES = r"""
- name: Check the inventory
  inference.fleet.validate:
    certificates: warn

- name: Read the status of the host
  inference.fleet.status:
  register: asked

- name: Print the status of all hosts
  inference.fleet.status_report:
    status: asked
  run_once: true
"""

RETURN = r"""
down:
  description: A line for each model that is down, as O(fail_on) says.
  returned: always
  type: list
  elements: str
  sample: ["qwen3-8b: 0 of 2 replicas answer"]
status:
  description: The host's entry in the document that M(inference.fleet.status_report) prints.
  returned: always
  type: dict
  contains:
    fault:
      description: Why the status could not be read; then the lists below are empty. Null if it was read.
      type: str
    drained_since:
      description: Since when the host is drained (M(inference.fleet.host_drain)). Null if it is not.
      type: str
    models:
      description:
        - The models of the inventory that are not V(absent). Each has C(name), C(type), C(source), C(state), C(ready)
          and C(wanted) (replicas), C(image), C(added_args) (options that were added to its arguments for its family),
          C(endpoint) (null without a route), C(running_since) (RFC 3339, null if no replica runs) and C(containers).
        - Each container has C(name), C(status), C(ready), C(device), C(devices), C(image), C(image_id), C(started_at),
          C(exit_code), C(restarts) and C(log), as of M(inference.fleet.model_containers), and C(digest) (the image's in
          its registry; null if the image was built or loaded on the host).
      type: list
      elements: dict
    services:
      description:
        - The service containers, each with C(name), C(status) (as Docker writes it), C(image), C(image_id) and
          C(digest).
      type: list
      elements: dict
    last_restore:
      description: The last restore; null if the status could not be read.
      type: dict
      contains:
        record:
          description:
            - The record of M(inference.fleet.restore_log); C(began) and C(ended) in seconds since 1970 in UTC. Null if
              there is no readable record.
          type: dict
        unit:
          description: systemd's ActiveState of C(inference-fleet-restore.service); null without systemd.
          type: str
          sample: inactive
        text:
          description: Both as text.
          type: list
          elements: str
    install_would:
      description: The planned actions of the playbook C(install) on the GPUs and the model containers, in order.
      type: list
      elements: str
      sample: ["create vllm-qwen3-8b-2 (missing)", "start vllm-qwen3-8b-2"]
    unused_images:
      description:
        - The images that nothing uses any more, each with its size, as M(inference.fleet.unused_images) lists them.
      type: list
      elements: str
      sample: ["vllm/vllm-openai:v0.21.0 (21.3 GB)"]
    gpu_trouble:
      description: Faults that prevent the partitioning or assignment of the GPUs.
      type: list
      elements: str
"""

#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_state
short_description: Wait for a change of a host's containers and return what the host does now
version_added: 0.3.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Returns one cheap observation of the containers of this collection, the GPUs and, if the host has the service
    C(prometheus), of requests, tokens and alerts. Changes nothing, and does not take the host's lock, so that it runs
    beside other runs.
  - Waits until Docker reports an event, or a replica begins to answer, or O(seconds) are over. M(inference.fleet.watch)
    calls it again and again.
  - Does not need the Docker SDK for Python. Docker must listen on C(/var/run/docker.sock).
options:
  seconds:
    description: How long to wait for a change, from 0 to 60. V(0) does not wait.
    type: float
    default: 10
  seen:
    description:
      - RV(digest) of the last observation. If the containers are in another state already, the module does not wait.
    type: str
    default: ""
  details:
    description:
      - Whether to read RV(details), too. With GPUs this takes about seven calls of C(nvidia-smi).
    type: bool
    default: false
  figures:
    description:
      - Whether to read RV(figures), with one call of C(nvidia-smi). With O(details) they are read if there are GPUs.
    type: bool
    default: false
  config_folder:
    description: The variable C(fleet_config_folder) of the inventory.
    type: path
    default: /etc/inference-fleet
  cache:
    description: The folder of the weights, C(fleet_cache.path) of the inventory; empty if they are in a volume.
    type: str
    default: ""
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.watch
  - module: inference.fleet.status
"""

EXAMPLES = r"""
- name: Read what the host does now
  inference.fleet.host_state:
    seconds: 0
  register: state

- name: Wait up to a minute for a change
  inference.fleet.host_state:
    seconds: 60
    seen: "{{ state.digest }}"
"""

RETURN = r"""
digest:
  description: Of the state of the containers, of the drain, and of whether a run began or ended; for O(seen).
  returned: success
  type: str
containers:
  description: The containers of this collection in the order of their names.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The name.
      type: str
      sample: vllm-qwen3-8b-1
    model:
      description: The model that it serves; null for a service.
      type: str
    service:
      description: The service, such as V(litellm); null for a model.
      type: str
    type:
      description: The model's type; null for a service.
      type: str
    status:
      description: Docker's word, such as V(running) or V(exited).
      type: str
    health:
      description: Docker's word, V(starting), V(healthy) or V(unhealthy); empty without a health check.
      type: str
    ready:
      description: Whether a model's container answers C(/health) within 1.5 s; null for a service.
      type: bool
    image:
      description: The image as it was named.
      type: str
    image_id:
      description: The image's ID.
      type: str
    started_at:
      description: When it started last, RFC 3339 in UTC; empty if it never did.
      type: str
    ended_at:
      description: When it ended, RFC 3339 in UTC; empty while it runs.
      type: str
    exit_code:
      description: The exit code; null unless it has ended.
      type: int
    restarts:
      description: How often Docker restarted it.
      type: int
    devices:
      description: The GPUs and MIG devices that it asked for.
      type: list
      elements: str
figures:
  description:
    - For each GPU C(index), C(uuid), C(utilization) (percent), C(memory_used_mib), C(memory_mib), C(temperature) (°C),
      C(power) and C(power_limit) (W); null for what the driver does not report. Empty without O(figures).
  returned: success
  type: list
  elements: dict
gpu_note:
  description: Why there are no figures; empty if there are some, or none were asked for.
  returned: success
  type: str
metrics:
  description:
    - Per second and model, in the last minute, the finished C(requests) and the generated C(tokens). Null without
      Prometheus.
  returned: success
  type: dict
  sample: {"requests": {"qwen3-8b": 1.5}, "tokens": {"qwen3-8b": 310.2}}
alerts:
  description: The alerts that fire, each with C(name), C(severity), C(since) and C(summary). Null without Prometheus.
  returned: success
  type: list
  elements: dict
drained_since:
  description: Since when the host is drained; null if it is not.
  returned: success
  type: str
details:
  description: What changes rarely; null without O(details).
  returned: success
  type: dict
  contains:
    gpus:
      description:
        - The GPUs with their profiles, instances, links and processes, similar to M(inference.fleet.gpu_info).
          C(containers) of a GPU or an instance are those that hold it.
      type: list
      elements: dict
    gpu_note:
      description: Why there are no GPUs, or what C(nvidia-smi) warns of. Empty on a host without C(nvidia-smi).
      type: str
    devices:
      description: Index or UUID of a GPU or MIG device to its name for a person.
      type: dict
    last_restore:
      description: As of M(inference.fleet.status).
      type: dict
    disk:
      description: C(free_bytes) and C(total_bytes) of the file system with the weights.
      type: dict
    root_certificate:
      description: The certificate of Caddy's own CA in PEM; null if there is none.
      type: str
    keys:
      description:
        - The virtual keys with an alias, each with C(alias), C(spend) (in the currency of the models' prices), and the
          C(requests) and C(tokens) of the last 24 hours (null without Prometheus).
        - Null if LiteLLM does not answer within seconds.
      type: list
      elements: dict
    weights:
      description:
        - The repositories in the cache of weights, each with C(source) and C(bytes), the largest first. Null if the
          cache cannot be read.
      type: list
      elements: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.watch.containers import digest
from ansible_collections.inference.fleet.plugins.module_utils.watch.engine import Engine
from ansible_collections.inference.fleet.plugins.module_utils.watch.host import Host

SPEC = dict(
    seconds=dict(type="float", default=10),
    seen=dict(type="str", default=""),
    details=dict(type="bool", default=False),
    figures=dict(type="bool", default=False),
    config_folder=dict(type="path", default="/etc/inference-fleet"),
    cache=dict(type="str", default=""),
)
LONGEST_S = 60


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    given = module.params
    if not 0 <= given["seconds"] <= LONGEST_S:
        module.fail_json(msg=f"seconds: expected a number from 0 to {LONGEST_S}, got {given['seconds']}")
    try:
        with Engine() as engine:
            host = Host(engine, given["config_folder"])
            containers, (drained, ran) = host.wait(given["seconds"], given["seen"])
            details = host.details(given["cache"], containers) if given["details"] else None
            found = host.now(containers, given["figures"] or bool(details and details["gpus"]))
    except FleetError as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        digest=digest(containers, drained, ran),
        containers=[one.plain() for one in containers],
        drained_since=drained or None,
        details=details,
        **found,
    )


if __name__ == "__main__":
    main()

#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: mig_partition
short_description: Partition GPUs by MIG, changing only what differs
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Compares the layout with the instances of each GPU, keeps every instance that fits, destroys as few as possible,
    and creates the missing ones at precomputed placements, so that the order of creation cannot fail.
  - An instance that a running container or process holds is never destroyed, and MIG mode is never changed on a GPU
    that is held. In these cases the task fails with the names of the holders, before any change on any GPU.
  - Switches MIG mode if the layout needs it. GPUs that need a reset for this (Ampere) are reset. NVIDIA's persistence
    daemon is stopped meanwhile.
  - If a step fails, the later steps of the same GPU are not done. Created instances stay, and the next run continues.
  - MIG instances are lost at a reboot.
requirements:
  - NVIDIA driver with C(nvidia-smi)
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
options:
  layout:
    description:
      - GPU index, UUID or V(all) (every GPU with MIG that has no entry of its own) to a list of MIG devices in any
        order, or to V(off). GPUs without an entry are not changed.
      - MIG devices have the names of C(nvidia-smi -L), such as V(3g.20gb) or V(1g.5gb+me). V(1c.3g.20gb) is a compute
        instance of one slice in a GPU instance V(3g.20gb); several compute instances share a GPU instance.
    type: dict
    required: true
  leaving:
    description:
      - Names of model containers that release their devices later in this run. A container that blocks a step is
        stopped and not started again.
    type: list
    elements: str
    default: []
  force:
    description:
      - Also stop model containers of this collection and DCGM's services and exporters that block a step, and start
        them afterwards. A container whose device no longer exists stays stopped.
      - Other containers and processes are never stopped.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Returns the same plan; changes nothing.
  diff_mode:
    support: full
    description: Shows the instances of each GPU before and after.
seealso:
  - module: inference.fleet.gpu_info
  - module: inference.fleet.model_containers
"""

EXAMPLES = r"""
- name: Two halves of the first GPU, seven small ones of the second, and the third as a whole
  inference.fleet.mig_partition:
    layout:
      0: [3g.40gb, 4g.40gb]
      1: [1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb, 1g.10gb]
      2: "off"

- name: The same on every GPU that has MIG
  inference.fleet.mig_partition:
    layout:
      all: [3g.40gb, 2g.20gb, 1g.10gb+me, 1g.10gb]
  register: mig

- name: Show the UUIDs of the 3g.40gb
  ansible.builtin.debug:
    msg: "{{ mig.devices | selectattr('name', 'eq', '3g.40gb') | map(attribute='uuid') }}"
"""

RETURN = r"""
actions:
  description: The steps that were done, in order; in check mode the planned ones.
  returned: always
  type: list
  elements: str
  sample: ["GPU 0: destroy 1g.5gb at 2", "GPU 0: create 3g.20gb at 0"]
not_done:
  description: Planned steps that were not done.
  returned: when there are any
  type: list
  elements: str
before:
  description: By index of each GPU with MIG, its instances with their placements, or V(off).
  returned: always
  type: dict
  sample: {"0": ["1g.5gb at 2", "3g.20gb at 4"], "1": "off"}
after:
  description: The same after the run, also after a failure; in check mode the planned state.
  returned: when nvidia-smi answers at the end
  type: dict
  sample: {"0": ["3g.20gb at 0", "3g.20gb at 4"], "1": "off"}
devices:
  description: The MIG devices of all GPUs after the run, also after a failure.
  returned: when nvidia-smi answers at the end
  type: list
  elements: dict
  contains:
    gpu:
      description: The index of the GPU.
      type: int
    gpu_uuid:
      description: The UUID of the GPU.
      type: str
    name:
      description: The device's name.
      type: str
      sample: 1c.3g.20gb
    profile:
      description: The profile of the device's GPU instance.
      type: str
      sample: 3g.20gb
    start:
      description: The placement of the device's GPU instance; null in check mode if not known yet.
      type: int
    uuid:
      description: The device's UUID; null in check mode for a device that does not exist yet.
      type: str
      sample: MIG-b6cd45f2-9655-5269-9b96-65446729d5dc
"""

from collections.abc import Iterable
from typing import Any, Union

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import Client, clients_of
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import NvidiaSmi
from ansible_collections.inference.fleet.plugins.module_utils.gpu.partition import plan_partition
from ansible_collections.inference.fleet.plugins.module_utils.gpu.repartition import repartition
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux import open_devices
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    layout=dict(type="dict", required=True),
    leaving=dict(type="list", elements="str", default=[]),
    force=dict(type="bool", default=False),
)


class Switch:
    """Stops and starts containers and services of this host."""

    def __init__(self, module: AnsibleModule, docker: Docker) -> None:
        self._module = module
        self._docker = docker

    def stop(self, client: Client) -> None:
        self._docker.stop(client.container) if client.container else self._systemctl("stop", client)

    def start(self, client: Client) -> None:
        self._docker.start(client.container) if client.container else self._systemctl("start", client)

    def _systemctl(self, verb: str, client: Client) -> None:
        status, _out, error = self._module.run_command(["systemctl", verb, client.unit])
        if status:
            raise FleetError(f"systemctl {verb} {client.unit}: {error.strip()}")


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True), alone="mig_partition")


def _work(module: AnsibleModule) -> None:
    smi = NvidiaSmi()
    try:
        layout = Layout.parse(module.params["layout"], "layout")
        before = smi.observe_some()
        docker = Docker()
        clients = clients_of(before, docker.host_containers(), open_devices(before), module.params["leaving"])
        plan = plan_partition(before, layout, clients, module.params["force"])
        outcome = None
        if plan.steps and not module.check_mode:
            outcome = repartition(plan, layout, smi, Switch(module, docker))
    except FleetError as error:
        module.fail_json(msg=str(error))
    after = outcome.after if outcome else plan.after
    diff = dict(before=_lines(before), after=_lines(after))
    result: dict[str, Any] = dict(
        # A failed step may have done a part of its work.
        changed=bool(outcome.done) or diff["before"] != diff["after"] if outcome else bool(plan.steps),
        actions=outcome.done if outcome else plan.actions,
        before=_instances(before),
    )
    if after:  # else the last call of nvidia-smi failed, and is among the faults
        result.update(diff=diff, after=_instances(after), devices=_devices(after))
    if outcome and outcome.not_done:
        result["not_done"] = outcome.not_done
    if outcome and outcome.faults:
        lines = [*outcome.faults, f"done: {_listed(outcome.done)}", f"not done: {_listed(outcome.not_done)}"]
        module.fail_json(msg="\n".join(lines), **result)
    module.exit_json(**result)


def _instances(gpus: Iterable[Gpu]) -> dict[str, Union[str, list[str]]]:
    return {str(gpu.index): gpu.instance_names() if gpu.mig else "off" for gpu in gpus if gpu.mig is not None}


def _lines(gpus: Iterable[Gpu]) -> str:
    """The text for Ansible's diff mode."""
    capable = [gpu for gpu in gpus if gpu.mig is not None]
    lines = [(gpu, line) for gpu in capable for line in (gpu.instance_names() if gpu.mig else ["MIG off"])]
    return "".join(f"GPU {gpu.index}: {line}\n" for gpu, line in lines)


def _devices(gpus: Iterable[Gpu]) -> list[dict[str, Any]]:
    return [
        dict(
            gpu=gpu.index,
            gpu_uuid=gpu.uuid,
            name=instance.device_name(part),
            profile=instance.profile,
            start=instance.start,
            uuid=part.uuid if part.id >= 0 else None,
        )
        for gpu in gpus
        for instance in gpu.instances
        for part in instance.compute
    ]


def _listed(actions: list[str]) -> str:
    return "; ".join(actions) or "nothing"


if __name__ == "__main__":
    main()

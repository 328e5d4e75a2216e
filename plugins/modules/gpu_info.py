#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Report a host's GPUs, their partitions and their holders
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Reads everything from C(nvidia-smi), including profiles and placements, so new GPU products work as well. Each
    call of C(nvidia-smi) has a time limit.
  - What C(nvidia-smi) prints around its answers, such as the warning of a corrupt infoROM, becomes a warning.
  - A host without GPUs, or without the NVIDIA driver, gives an empty list and a note with the reason.
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.mig_partition
"""

EXAMPLES = r"""
- name: Read the GPUs
  inference.fleet.gpu_info:
  register: host

- name: Show the profiles that each GPU offers
  ansible.builtin.debug:
    msg: "{{ item.name }}: {{ item.profiles | map(attribute='name') | join(', ') }}"
  loop: "{{ host.gpus | selectattr('mig') }}"

- name: Print what is on the GPUs as fleet_mig # with ANSIBLE_CALLBACK_RESULT_FORMAT=yaml, to paste it into an inventory
  ansible.builtin.debug:
    msg:
      fleet_mig: "{{ host.layout }}"

- name: Write what is on the GPUs to the inventory
  ansible.builtin.copy:
    content: "{{ {'fleet_mig': host.layout} | to_nice_yaml }}"
    dest: "{{ inventory_dir }}/host_vars/{{ inventory_hostname }}/mig.yml"
    mode: "0644"
  delegate_to: localhost
  become: false
"""

RETURN = r"""
metrics:
  description: RV(devices) as metrics for the textfile collector of the node exporter.
  returned: success
  type: str
note:
  description: Why there are no GPUs; empty where there are some.
  returned: success
  type: str
  sample: "no nvidia-smi on this host: the NVIDIA driver is not installed"
gpus:
  description: The GPUs in the order of their indices.
  returned: success
  type: list
  elements: dict
  contains:
    index:
      description: The index in nvidia-smi, which follows the order of the PCI bus.
      type: int
    uuid:
      description: The UUID.
      type: str
      sample: GPU-14ac2834-0d81-0508-69eb-e25264c08d21
    name:
      description: The product.
      type: str
      sample: NVIDIA A100-SXM4-40GB
    bus_id:
      description: The address on the PCI bus.
      type: str
      sample: "00000000:0F:00.0"
    minor:
      description: The number of the device node C(/dev/nvidiaN).
      type: int
    memory:
      description: The memory in MiB; null if the GPU has no memory of its own (GB10).
      type: int
      sample: 40960
    driver:
      description: The version of the NVIDIA driver.
      type: str
      sample: 550.90.07
    cuda:
      description: The newest CUDA that the driver supports; null if the driver does not report it.
      type: str
      sample: "12.4"
    architecture:
      description: Such as Ampere; null if the driver does not report it.
      type: str
    brand:
      description: Such as NVIDIA, Tesla or GeForce; null if the driver does not report it.
      type: str
    fabric_state:
      description:
        - The state of the registration with NVSwitches, such as In Progress or Completed; null if the GPU has no
          NVSwitch or the driver does not report it.
      type: str
      sample: Completed
    fabric_status:
      description: The result of the registration; null as for RV(gpus[].fabric_state).
      type: str
      sample: Success
    power_limit:
      description: The enforced power limit in W.
      type: float
      sample: 400.0
    persistence:
      description: Whether persistence mode is on.
      type: bool
    mig:
      description: Whether MIG mode is on; null on a GPU without MIG.
      type: bool
    mig_pending:
      description: Whether MIG mode will be on after a reset; null on a GPU without MIG.
      type: bool
    links:
      description: The index of another GPU to the number of NVLinks to that GPU.
      type: dict
      sample: {"1": 12}
    processes:
      description: The processes that use the GPU, each with C(pid), C(name), C(gpu_instance) and C(compute_instance).
      type: list
      elements: dict
    profiles:
      description:
        - The GPU-instance profiles that the GPU offers. Older drivers list them only while MIG mode is on.
      type: list
      elements: dict
      contains:
        name:
          description: The profile's name.
          type: str
          sample: 3g.20gb
        id:
          description: What C(nvidia-smi mig -cgi) takes.
          type: int
        slices:
          description: Compute slices.
          type: int
        size:
          description: Memory slices.
          type: int
        starts:
          description: The possible placements, in memory slices.
          type: list
          elements: int
        total:
          description: The largest number of instances at once.
          type: int
        memory_gib:
          description: Memory in GiB.
          type: float
        engines:
          description: The number of media engines.
          type: int
    instances:
      description: The GPU instances in the order of placement.
      type: list
      elements: dict
      contains:
        id:
          description: GPU instance ID.
          type: int
        profile:
          description: The profile's name.
          type: str
        start:
          description: The first memory slice.
          type: int
        size:
          description: The number of memory slices.
          type: int
        compute:
          description:
            - The compute instances, each with C(id), C(name), C(slices), C(start) within the GPU instance (null if
              the driver does not report it), and the C(uuid) and C(index) of the MIG device.
          type: list
          elements: dict
layout:
  description:
    - What is on the GPUs, in the notation of C(fleet_mig), by GPU index. It is the names of the MIG devices in the
      order of their placement, or V(off) where MIG mode is off or the GPU has no MIG.
    - A GPU instance without a compute instance has no MIG device, so it is missing here. The notation does not say
      which parts (as V(1c.3g.20gb)) share a GPU instance.
  returned: success
  type: dict
  sample: {"0": ["3g.20gb", "1g.5gb", "1g.5gb"], "1": "off"}
devices:
  description: Each GPU instance, and each GPU without GPU instances, with the models of this collection that run there.
  returned: success
  type: list
  elements: dict
  contains:
    gpu:
      description: The GPU's index.
      type: int
    uuid:
      description: The GPU's UUID.
      type: str
    instance:
      description: GPU instance ID; null for a whole GPU.
      type: int
    profile:
      description: The GPU instance's profile; null for a whole GPU.
      type: str
      sample: 3g.20gb
    models:
      description: The models that run there; several if there are several compute instances.
      type: list
      elements: str
      sample: [qwen3-8b]
    containers:
      description: The containers of these models.
      type: list
      elements: str
      sample: [vllm-qwen3-8b-1]
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import NvidiaSmi
from ansible_collections.inference.fleet.plugins.module_utils.gpu.tenancy import tenancies
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_nvidia import host_containers
from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import gpu_models_text
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError


def main() -> None:
    run(_work, AnsibleModule(argument_spec={}, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    try:
        observed = NvidiaSmi().observe()
    except FleetError as error:
        module.fail_json(msg=str(error))
    for warning in observed.warnings:
        module.warn(f"nvidia-smi: {warning}")
    devices = [asdict(one) for one in tenancies(observed.gpus, host_containers())]
    module.exit_json(
        gpus=[gpu.as_dict() for gpu in observed.gpus],
        note=observed.note,
        layout={str(gpu.index): gpu.layout for gpu in observed.gpus},
        devices=devices,
        metrics=gpu_models_text(devices),
    )


if __name__ == "__main__":
    main()

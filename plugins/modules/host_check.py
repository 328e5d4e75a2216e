#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Find out whether a host can take its models, before anything is touched
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Looks at the system's release and kernel, Docker, the folders that models are read from, the ports that Caddy needs,
    the space for weights, the clock, and whether the image of PostgreSQL can read the data that is there; where the
    fleet asks for GPUs or MIG, also at the NVIDIA driver, the NVIDIA Container Toolkit, Docker's use of it, persistence
    mode, whether containers keep their GPU when systemd reloads, and whether the GPUs can be partitioned and given to
    the models as asked for.
  - Fails with every fault that it finds in one message, unless O(report) is set.
  - Needs nothing but Python on the host. Changes nothing.
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  names:
    description:
      - The models that the run acts on, which keep their devices unless they ask for others. Not given, it is all of
        them, and containers of models that the fleet does not have are about to be removed.
    type: list
    elements: str
  force:
    description: Whether the run may stop models and DCGM where they are in the way of the MIG layout.
    type: bool
    default: false
  ports:
    description: TCP ports that nothing but the fleet's own Caddy may listen on.
    type: list
    elements: int
    default: [80, 443]
  now:
    description:
      - The time on the machine that Ansible runs on, in seconds since 1970 in UTC, to compare the host's clock with.
    type: float
  thorough:
    description:
      - Also look up the names that images and weights would come from. Takes seconds where DNS does not answer.
    type: bool
    default: false
  report:
    description: Return faults as RV(checks) instead of failing with them.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Look before anything is touched
  inference.fleet.host_check:
  register: host

- name: Look at everything, and go on whatever is found
  inference.fleet.host_check:
    now: "{{ now().timestamp() }}"
    thorough: true
    report: true
  register: host
"""

RETURN = r"""
checks:
  description: All that was looked at, in the order in which a person would go through it.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: What it is about.
      type: str
      sample: port 443
    state:
      description:
        - V(ok); V(install) where something is missing that the playbook C(install) puts right;
          V(warn) where something is not as it should be and does not stop it; V(fault) where it does.
      type: str
      sample: fault
    found:
      description: What was found.
      type: str
      sample: taken by nginx (PID 812)
    remedy:
      description: What to do about it; empty where nothing is to be done.
      type: str
      sample: "Caddy needs it: stop that, or move it to another port"
packages:
  description: Debian's names of the packages that the fleet needs and the host lacks.
  returned: success
  type: list
  elements: str
  sample: [docker.io, iptables, python3-docker]
docker_version:
  description: The version of the engine that answers; null where none does.
  returned: success
  type: str
  sample: 28.2.2
docker_to_start:
  description: Whether systemd has to be told to run Docker, now or at every boot.
  returned: success
  type: bool
network:
  description: Whether the Docker network C(llm-network) is there.
  returned: success
  type: bool
services:
  description:
    - Which of the fleet's own services have a container, in whatever state; in the order in which they are taken away.
  returned: success
  type: list
  elements: str
  sample: [caddy, grafana, prometheus, litellm, postgres]
watchers:
  description: Those of RV(services) that belong to C(fleet_monitoring).
  returned: success
  type: list
  elements: str
  sample: [grafana, prometheus]
gpu_to_do:
  description:
    - What has to be done for GPUs in containers, in this order. Empty where the fleet asks for no GPU.
    - V(source), name the package repository of the NVIDIA Container Toolkit to apt. V(toolkit), install it. V(links),
      make the links in C(/dev/char) and the udev rule that makes them at boot. V(persistence_package), install
      C(nvidia-persistenced). V(persistence), start it now and at every boot. V(runtime), make NVIDIA's runtime known to
      Docker and restart that.
  returned: success
  type: list
  elements: str
  sample: [toolkit, links, runtime]
persistence_command:
  description:
    - How C(nvidia-persistenced) has to be started, where its unit starts it with persistence mode off; else empty.
  returned: success
  type: str
  sample: /usr/bin/nvidia-persistenced --user nvidia-persistenced --verbose
cdi_refresh:
  description:
    - Whether the host has the unit C(nvidia-cdi-refresh.service), which has to run after GPUs were partitioned anew.
  returned: success
  type: bool
nvidia_smi:
  description: Whether the host has C(nvidia-smi), and so NVIDIA's driver, whether or not the fleet asks for a GPU.
  returned: success
  type: bool
layout:
  description:
    - What the GPUs have to be partitioned into, as M(inference.fleet.mig_partition) takes it, V(auto) worked out.
  returned: success
  type: dict
  sample: {"GPU-14ac2834-0d81-0508-69eb-e25264c08d21": ["3g.20gb", "2g.10gb"]}
leaving:
  description: Model containers that give up their device in this run.
  returned: success
  type: list
  elements: str
service_faults:
  description:
    - Those of RV(checks) that say that others have a container by the name of a service, a line each. Empty unless
      O(report) is set.
  returned: success
  type: list
  elements: str
port_faults:
  description: Those of RV(checks) that say that a port is taken, a line each. Empty unless O(report) is set.
  returned: success
  type: list
  elements: str
gpu_faults:
  description: Those of RV(checks) that are faults of the GPUs, a line each. Empty unless O(report) is set.
  returned: success
  type: list
  elements: str
"""

import shutil

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import DevicePlan
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import scope
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import SERVICES, WATCHERS
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, unpack
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import faults_of
from ansible_collections.inference.fleet.plugins.module_utils.preflight.checks import (
    checks,
    port_faults,
    service_faults,
)
from ansible_collections.inference.fleet.plugins.module_utils.preflight.devices import device_checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux import observe, open_devices
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_nvidia import host_containers
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import nvidia_checks
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    OPTIONS,
    names=dict(type="list", elements="str"),
    ports=dict(type="list", elements="int", default=[80, 443]),
    force=dict(type="bool", default=False),
    now=dict(type="float"),
    thorough=dict(type="bool", default=False),
    report=dict(type="bool", default=False),
)


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    fleet = unpack(module.params)
    try:
        speaks_for = scope(fleet, module.params["names"])
    except FleetError as error:
        module.fail_json(msg=str(error))
    host = observe(fleet, module.params["ports"], module.params["now"], module.params["thorough"])
    found = checks(fleet, host)
    gpu_checks = tuple(nvidia_checks(fleet, host.nvidia)) if host.nvidia else ()
    devices = DevicePlan()
    if host.nvidia and host.nvidia.gpus:
        gpus = host.nvidia.gpus
        prune, force = module.params["names"] is None, module.params["force"]
        request = DeviceRequest(fleet, gpus, host_containers(), speaks_for, prune, open_devices(gpus), force)
        devices, more = device_checks(request)
        gpu_checks += more
    found += gpu_checks
    faults = faults_of(found)
    if faults and not module.params["report"]:
        module.fail_json(msg="\n".join(faults))
    own = host.containers - host.foreign
    module.exit_json(
        checks=[check.as_dict() for check in found],
        packages=host.missing_packages,
        docker_version=host.docker_version,
        docker_to_start=host.docker_to_start,
        network=host.network,
        services=[name for name in SERVICES if name in own],
        watchers=[name for name in WATCHERS if name in own],
        gpu_to_do=host.nvidia.to_do if host.nvidia else [],
        persistence_command=host.nvidia.unit_command if host.nvidia else "",
        cdi_refresh=bool(host.nvidia and host.nvidia.cdi_refresh),
        nvidia_smi=shutil.which("nvidia-smi") is not None,
        layout=devices.layout.plain(),
        leaving=sorted(devices.leaving),
        service_faults=service_faults(fleet, host),
        port_faults=port_faults(host),
        gpu_faults=faults_of(gpu_checks),
    )


if __name__ == "__main__":
    main()

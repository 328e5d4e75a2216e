#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_check
short_description: Check whether a host can run its models, before any change
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Checks the system's release and kernel, Docker, the folders of local models, the ports that Caddy needs, the space
    for weights, the clock, the subnets of C(fleet_network) against the host's routes, whether Docker has
    C(fleet_proxy), whether the host trusts C(fleet_ca_bundle), and whether the image of PostgreSQL can read the
    existing data. If the fleet needs GPUs or MIG, also checks the NVIDIA driver, whether the driver supports the CUDA
    of the models' images, the fabric manager, what hinders traffic between GPUs, the NVIDIA Container Toolkit, its
    runtime in Docker, persistence mode, whether containers keep their GPU when systemd reloads, and whether the GPUs
    can be partitioned and assigned to the models.
  - Fails with every fault in one message, unless O(report) is set.
  - Compares the models' arguments with the options of C(vllm serve) in their images, for images that are on the host.
    An image is asked in a temporary container without a GPU and without a network, which takes up to 5 minutes. The
    list is kept in C(/var/lib/inference-fleet/options) by the ID of the image, so that the image is asked once.
    In check mode and in M(inference.fleet.preflight) lists that exist are used, and none is written or removed.
  - Needs only Python on the host. Changes nothing else.
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  names:
    description:
      - The models that the run acts on. They keep suitable devices. Default is all models; then the devices of
        containers whose model is not in the fleet count as free, since the run removes these containers.
    type: list
    elements: str
  force:
    description: Whether the run may stop models and DCGM that block a change of the MIG layout.
    type: bool
    default: false
  remove_all:
    description:
      - Whether the run may remove all models of the host, if the inventory has none of them. Otherwise this is a fault.
        Applies if O(names) is not set. A model that the inventory has with the state V(absent) is removed on purpose.
    type: bool
    default: true
  ports:
    description: TCP ports that only the fleet's Caddy may use.
    type: list
    elements: int
    default: [80, 443]
  now:
    description:
      - The time on the controller, in seconds since 1970 in UTC. The host's clock is compared with it.
    type: float
  thorough:
    description:
      - Also resolve the host names of the sources of images and weights. Takes seconds if DNS does not answer.
    type: bool
    default: false
  ask_images:
    description: Whether containers may run to ask images for their options. Otherwise only kept lists are used.
    type: bool
    default: true
  report:
    description: Return faults as RV(checks) instead of a failure.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description:
      - Writes nothing to the disk of the host. With O(ask_images), images may be asked in temporary containers.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Check the host before any change
  inference.fleet.host_check:
  register: host

- name: Run all checks without failing
  inference.fleet.host_check:
    now: "{{ now().timestamp() }}"
    thorough: true
    report: true
  register: host
"""

RETURN = r"""
checks:
  description: All checks, in the order in which a person would work through them.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The subject of the check.
      type: str
      sample: port 443
    state:
      description:
        - V(ok); V(install) if the playbook C(install) will fix it; V(warn) for a defect that does not stop C(install);
          V(fault) for one that does.
      type: str
      sample: fault
    found:
      description: The result.
      type: str
      sample: taken by nginx (PID 812)
    remedy:
      description: What to do; empty if nothing.
      type: str
      sample: "Caddy needs it: stop that, or move it to another port"
faults:
  description: The faults in RV(checks), one line each. Empty unless O(report) is set.
  returned: success
  type: list
  elements: str
packages:
  description: Packages that the fleet needs and the host lacks, by the names of its distribution.
  returned: success
  type: list
  elements: str
  sample: [docker.io, iptables, python3-docker]
system:
  description: What the role C(fleet) needs to know of the distribution. Empty for an unknown distribution.
  returned: success
  type: dict
  contains:
    family:
      description: V(debian) or V(redhat).
      type: str
    docker:
      description: The part of Docker's own package repository; null if the distribution has Docker.
      type: str
    epel:
      description: Whether the distribution has the package C(epel-release).
      type: bool
    release:
      description: The number of the release, without the number of an update.
      type: str
    ca_folder:
      description: The folder for further certificate authorities.
      type: str
    ca_command:
      description: The command after a change of that folder.
      type: str
  sample: {family: debian, docker: null, epel: false, release: "12", ca_folder: /usr/local/share/ca-certificates,
           ca_command: update-ca-certificates}
docker_version:
  description: The version of Docker Engine; null if it does not answer.
  returned: success
  type: str
  sample: 28.2.2
docker_to_start:
  description: Whether Docker must be started now, or enabled for every boot.
  returned: success
  type: bool
networks:
  description: The Docker networks that the run has to change.
  returned: success
  type: dict
  contains:
    create:
      description:
        - Networks to create, those of RV(networks.recreate) included, as options of M(community.docker.docker_network).
      type: list
      elements: dict
    recreate:
      description: Networks to remove before, since their subnet or their kind is not that of the inventory, with why.
      type: dict
    remove:
      description: Networks of models and services that the inventory no longer has.
      type: list
      elements: str
    new_caddy:
      description:
        - Whether Caddy gets another address in a network where it listens, so that its container has to be recreated.
      type: bool
    crowd:
      description:
        - Containers of this collection in C(llm-network), where Caddy should be alone. Only C(install) moves them.
      type: list
      elements: str
    ours:
      description: All networks that this collection created.
      type: list
      elements: str
rules:
  description: Whether the host has the rules of M(inference.fleet.host_rules).
  returned: success
  type: bool
site_to_do:
  description:
    - The steps that the proxy and the certificate authorities of the site need, in this order. V(ca), trust the
      certificates of C(fleet_ca_bundle). V(proxy), write the files by which Docker's service gets C(fleet_proxy).
      V(leftover), remove RV(site_leftover). V(restart), restart Docker so that it uses the changes.
  returned: success
  type: list
  elements: str
  sample: [ca, proxy, restart]
site_files:
  description: The files of this collection on the host for C(fleet_proxy) and C(fleet_ca_bundle).
  returned: success
  type: list
  elements: str
site_leftover:
  description: The part of RV(site_files) that the inventory no longer wants.
  returned: success
  type: list
  elements: str
drained_since:
  description: Since when the host is drained (M(inference.fleet.host_drain)); empty if it is not.
  returned: success
  type: str
  sample: "2026-11-24T12:00:00Z"
selinux:
  description: Whether Docker separates containers by SELinux.
  returned: success
  type: bool
firewalld:
  description: Whether firewalld runs.
  returned: success
  type: bool
services:
  description:
    - The fleet's services that have a container, in any state, in the order of their removal.
  returned: success
  type: list
  elements: str
  sample: [caddy, grafana, prometheus, litellm, postgres]
running:
  description: The part of RV(services) whose container runs, with the ID of the container.
  returned: success
  type: dict
  sample: {caddy: 6edb8e3bd99443ba}
watchers:
  description: The part of RV(services) that belongs to C(fleet_monitoring).
  returned: success
  type: list
  elements: str
  sample: [grafana, prometheus]
gpu_to_do:
  description:
    - The steps that GPUs in containers need, in this order. Empty if the fleet needs no GPU.
    - V(source), add the package repository of the NVIDIA Container Toolkit to apt. V(toolkit), install the toolkit.
      V(links), create the links in C(/dev/char) and the udev rule that creates them at boot. V(persistence_package),
      install C(nvidia-persistenced). V(persistence), start C(nvidia-persistenced) now and at every boot. V(runtime),
      add NVIDIA's runtime to Docker's configuration and restart Docker.
  returned: success
  type: list
  elements: str
  sample: [toolkit, links, runtime]
persistence_command:
  description:
    - The command for C(nvidia-persistenced), if its unit starts it with persistence mode off; else empty.
  returned: success
  type: str
  sample: /usr/bin/nvidia-persistenced --user nvidia-persistenced --verbose
cdi_refresh:
  description:
    - Whether the host has the unit C(nvidia-cdi-refresh.service), which must run after a change of partitions.
  returned: success
  type: bool
nvidia_smi:
  description: Whether the host has C(nvidia-smi), and so NVIDIA's driver, whether or not the fleet needs a GPU.
  returned: success
  type: bool
layout:
  description:
    - The MIG layout of the GPUs, in the form of O(inference.fleet.mig_partition#module:layout), V(auto) resolved.
  returned: success
  type: dict
  sample: {"GPU-14ac2834-0d81-0508-69eb-e25264c08d21": ["3g.20gb", "2g.10gb"]}
leaving:
  description: Model containers that release their devices in this run.
  returned: success
  type: list
  elements: str
service_faults:
  description:
    - The faults in RV(checks) of foreign containers with the name of a service, one line each. Empty unless O(report)
      is set.
  returned: success
  type: list
  elements: str
removal_faults:
  description: The fault in RV(checks) of O(remove_all). Empty unless O(report) is set.
  returned: success
  type: list
  elements: str
port_faults:
  description: The faults in RV(checks) of taken ports, one line each. Empty unless O(report) is set.
  returned: success
  type: list
  elements: str
gpu_faults:
  description: The faults in RV(checks) of the GPUs, one line each. Empty unless O(report) is set.
  returned: success
  type: list
  elements: str
"""

import shutil
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import DevicePlan
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import scope
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import SERVICES, WATCHERS
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import OPTIONS as OPTIONS_FOLDER
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, unpack
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import faults_of
from ansible_collections.inference.fleet.plugins.module_utils.preflight.checks import (
    Host,
    checks,
    port_faults,
    removal_checks,
    service_faults,
)
from ansible_collections.inference.fleet.plugins.module_utils.preflight.devices import device_checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.image_options import image_options
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux import observe, open_devices
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_nvidia import host_containers
from ansible_collections.inference.fleet.plugins.module_utils.preflight.nvidia import nvidia_checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.options import option_checks
from ansible_collections.inference.fleet.plugins.module_utils.preflight.systems import SYSTEMS, TRUST
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    OPTIONS,
    names=dict(type="list", elements="str"),
    ports=dict(type="list", elements="int", default=[80, 443]),
    force=dict(type="bool", default=False),
    remove_all=dict(type="bool", default=True),
    now=dict(type="float"),
    thorough=dict(type="bool", default=False),
    ask_images=dict(type="bool", default=True),
    report=dict(type="bool", default=False),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    fleet = unpack(module.params)
    try:
        acting_on = scope(fleet, module.params["names"])
    except FleetError as error:
        module.fail_json(msg=str(error))
    host = observe(fleet, module.params["ports"], module.params["now"], module.params["thorough"])
    prune = module.params["names"] is None
    removal = removal_checks(fleet, host, module.params["remove_all"]) if prune else ()
    found = checks(fleet, host) + removal
    if host.docker_version:
        options = image_options(fleet, OPTIONS_FOLDER, module.params["ask_images"], not module.check_mode)
        found += tuple(option_checks(fleet, options))
    gpu_checks = tuple(nvidia_checks(fleet, host.nvidia, host.os_id)) if host.nvidia else ()
    devices = DevicePlan()
    if host.nvidia and host.nvidia.gpus:
        gpus = host.nvidia.gpus
        force = module.params["force"]
        request = DeviceRequest(fleet, gpus, host_containers(), acting_on, prune, open_devices(gpus), force)
        devices, more = device_checks(request)
        gpu_checks += more
    found += gpu_checks
    faults = faults_of(found)
    if faults and not module.params["report"]:
        module.fail_json(msg="\n".join(faults))
    own = host.containers - host.foreign
    plan = host.site.network_plan(fleet)
    module.exit_json(
        checks=[check.as_dict() for check in found],
        faults=faults,
        packages=host.missing_packages,
        system=_system(host),
        docker_version=host.docker_version,
        docker_to_start=host.docker_to_start,
        networks=dict(
            create=plan.to_create(host.running, host.site.crowd),
            recreate=dict(plan.recreate),
            remove=list(plan.remove),
            new_caddy=plan.new_caddy,
            crowd=list(host.site.crowd),
            ours=[network.name for network in host.site.networks if network.ours],
        ),
        rules=host.site.rules,
        site_to_do=host.site_to_do(fleet),
        site_files=list(host.site.files),
        site_leftover=list(host.site.leftover),
        drained_since=host.drained,
        selinux=host.site.selinux,
        firewalld=host.site.firewalld,
        services=[name for name in SERVICES if name in own],
        running={name: host.running[name] for name in SERVICES if name in host.running},
        watchers=[name for name in WATCHERS if name in own],
        gpu_to_do=host.nvidia.to_do if host.nvidia else [],
        persistence_command=host.nvidia.unit_command if host.nvidia else "",
        cdi_refresh=bool(host.nvidia and host.nvidia.cdi_refresh),
        nvidia_smi=shutil.which("nvidia-smi") is not None,
        layout=devices.layout.plain(),
        leaving=sorted(devices.leaving),
        service_faults=service_faults(fleet, host),
        removal_faults=faults_of(removal),
        port_faults=port_faults(host),
        gpu_faults=faults_of(gpu_checks),
    )


def _system(host: Host) -> dict[str, Any]:
    """What the role needs to know of the distribution; empty for an unknown one."""
    system = SYSTEMS.get(host.os_id)
    if not system:
        return {}
    folder, command = TRUST[system.family]
    major = host.os_version.partition(".")[0]
    return dict(
        family=system.family,
        docker=system.docker,
        epel=system.epel,
        release=major,
        ca_folder=folder,
        ca_command=command,
    )


if __name__ == "__main__":
    main()

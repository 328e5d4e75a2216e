#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: model_containers
short_description: Keep a host's model containers as its inventory asks for
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Takes the whole list of a host's models in one call, compares it with what Docker reports, and acts on the
    differences only. A container that is as it should be is not touched, so its model stays loaded.
  - Every replica of a model is one container, C(vllm-NAME-REPLICA), in the Docker network C(llm-network), without a
    port on the host.
  - Drift is found by comparing image ID, entrypoint, command, environment, mounts, networks, devices, labels, restart
    policy, shared memory and IPC mode with what was asked for on top of the image's own defaults. Networks and the
    restart policy are corrected in place; any other difference makes the container anew.
  - Pulls, removals and starts run side by side. Each running model is waited for until its C(/health) answers; one that
    dies or does not get ready in time fails with the end of its log, and the others still get their turn.
  - A container without the label C(managed-by=inference.fleet) is never touched; if it has the name of a model's
    container, the task fails before it changes anything.
  - GPUs and MIG devices are given by UUID. A model that has what it asks for keeps it; GPUs of one container are linked
    by NVLink where the host has such; no device is given twice; what other containers were given by name counts as
    taken. Where there is no room, the task fails with a table of who has what.
  - The device nodes of its GPUs that the host has are given to a container by name as well, so that it keeps them when
    systemd reloads its units.
  - The GPUs have to be partitioned as O(layout) asks for, which M(inference.fleet.mig_partition) does. In check mode a
    partition that is missing counts as there.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
  - Docker Engine 20.10 or later
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  layout:
    description:
      - What the GPUs are partitioned into, as M(inference.fleet.host_check) returns it. Not given, C(fleet_mig).
    type: dict
  names:
    description:
      - Act on these models only and leave the other models of the fleet as they are. A name that the fleet lacks is an
        error.
    type: list
    elements: str
  prune:
    description:
      - Also remove model containers of this collection whose model the fleet does not have.
      - Containers of a listed model that it no longer needs (fewer replicas, V(absent)) are removed in any case.
    type: bool
    default: false
  keep_going:
    description:
      - Where the GPUs are in trouble (one fell off, a partition could not be made), start the containers that are there
        with the devices that they have, instead of none, and fail with the trouble afterwards.
      - A container whose image is not on the host by its name any more is started as it is, with a warning; no pull is
        tried for it. For restores.
    type: bool
    default: false
  wait:
    description:
      - Wait until every model answers. Else the task ends when the containers are started, and RV(containers) says
        which of them answer already.
    type: bool
    default: true
  held:
    description: Models that lack what they need to start. Their containers are neither made nor touched.
    type: list
    elements: str
    default: []
  report:
    description:
      - In check mode, return as RV(trouble) what is wrong with the GPUs instead of failing with it, and have
        RV(actions) begin with what is to be done to the GPUs.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: The same plan is made and returned; nothing is pulled, made, stopped or waited for.
  diff_mode:
    support: full
    description: Shows what changes of each container, without the values of secrets.
seealso:
  - module: inference.fleet.mig_partition
  - module: community.docker.docker_container
"""

EXAMPLES = r"""
- name: Serve two models and remove all others, in a playbook without an inventory of the collection
  inference.fleet.model_containers:
    models:
      - name: qwen3-8b
        type: chat
        source: Qwen/Qwen3-8B
        devices: {gpus: [0, 1]}
        args: {max-model-len: 8192}
      - name: bge-m3
        type: embedding
        source: BAAI/bge-m3
        devices: {gpus: [2]}
        replicas: 1
    prune: true

- name: Bring up one model of the inventory and leave the others alone
  inference.fleet.model_containers:
    names: [qwen3-8b]

- name: Report the containers and whether they answer, without changing anything
  inference.fleet.model_containers:
  check_mode: true
  register: containers
"""

RETURN = r"""
actions:
  description: The steps that were carried out, in their order; in check mode those that would be.
  returned: always
  type: list
  elements: str
  sample: ["pull vllm/vllm-openai:v0.22.0", "create vllm-qwen3-8b-1 (missing)", "start vllm-qwen3-8b-1"]
containers:
  description: The containers that the inventory asks for, as they are after the run.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The container's name.
      type: str
      sample: vllm-qwen3-8b-1
    model:
      description: The model it serves.
      type: str
      sample: qwen3-8b
    id:
      description: Docker's ID of it; empty when it is missing.
      type: str
    status:
      description: Docker's word for its state, or V(missing).
      type: str
      sample: running
    ready:
      description: Whether its C(/health) answered.
      type: bool
    wanted:
      description: Whether it should be running.
      type: bool
    started_at:
      description: When it was last started, RFC 3339 in UTC.
      type: str
      sample: "2026-11-24T02:40:11.81Z"
    devices:
      description: The UUIDs of the GPUs and MIG devices that it holds.
      type: list
      elements: str
      sample: [GPU-14ac2834-0d81-0508-69eb-e25264c08d21]
    device:
      description: The same for a person; a MIG device with its GPU, its name and the start of its placement.
      type: str
      sample: gpu 0 3g.20gb@4
    image:
      description: The reference of its image.
      type: str
      sample: vllm/vllm-openai:v0.22.0
trouble:
  description: Why the GPUs cannot be partitioned or given out as asked for; empty where they can.
  returned: when O(report) is set
  type: list
  elements: str
faults:
  description: What went wrong, by container or image.
  returned: failure
  type: dict
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    Desired,
    Observed,
    desired_containers,
    plan_containers,
    without_lacking,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.converge import Outcome, converge, probe
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import (
    DevicePlan,
    given_if_possible,
    needs_gpus,
    plan_devices,
    refuse_unmade,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu, describe
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nodes import nodes_for
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import NvidiaSmi, device_nodes
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, scope
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, unpack
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

SPEC = dict(
    OPTIONS,
    layout=dict(type="dict"),
    names=dict(type="list", elements="str"),
    prune=dict(type="bool", default=False),
    report=dict(type="bool", default=False),
    keep_going=dict(type="bool", default=False),
    wait=dict(type="bool", default=True),
    held=dict(type="list", elements="str", default=[]),
)


@dataclass(frozen=True)
class _Gpus:
    """trouble: why devices cannot be given out, where that is only reported or comes last."""

    found: Sequence[Gpu] = ()
    plan: DevicePlan = field(default_factory=DevicePlan)
    trouble: tuple[str, ...] = ()


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        fleet = unpack(module.params)
        if module.params["layout"] is not None:
            fleet = replace(fleet, mig=Layout.parse(module.params["layout"], "layout"))
        held = module.params["held"]  # what they have of the GPUs stays theirs
        speaks_for = scope(fleet, module.params["names"])
        speaks_for = tuple(name for name in speaks_for if name not in held)
        docker = Docker()
        observed = docker.observe({fleet.image_of(model) for model in fleet.models if model.containers})
        gpus = _gpus(module, fleet, docker, observed, speaks_for)
        present, minors = device_nodes()
        nodes = partial(nodes_for, gpus.found, present=present, minors=minors)
        desired = desired_containers(fleet, gpus.plan.given, speaks_for, nodes)
        if module.params["keep_going"] and gpus.trouble:
            desired = without_lacking(desired, gpus.plan.given)
        plan = plan_containers(
            desired, observed, module.params["prune"], speaks_for, held, keep=module.params["keep_going"]
        )
        if module.check_mode:
            outcome = Outcome(ready=probe(plan, docker))
        else:
            outcome = converge(plan, docker, module.params["wait"])
        after = docker.observe(()) if outcome.done else observed
    except FleetError as error:
        module.fail_json(msg=str(error))
    for image in sorted(set(plan.kept.values())):
        names = ", ".join(name for name, its in plan.kept.items() if its == image)
        module.warn(f"image {image} is not on this host by that name; what it was made into is kept as it is: {names}")
    actions = plan.actions if module.check_mode else outcome.done
    result: dict[str, Any] = dict(
        changed=bool(actions),
        actions=list(map(str, actions)),
        diff=plan.diff(),
    )
    if module.params["report"]:
        result.update(trouble=gpus.trouble, actions=[*gpus.plan.partition.actions, *result["actions"]])
    # What is wrong with the GPUs first: it is why containers do not start.
    faults = [*(() if module.params["report"] else gpus.trouble), *outcome.faults.values()]
    if faults:
        module.fail_json(msg="\n".join(faults), faults=outcome.faults, **result)
    module.exit_json(containers=_as_they_are(after, outcome, desired, gpus.found), **result)


def _gpus(
    module: AnsibleModule, fleet: Fleet, docker: Docker, observed: Observed, speaks_for: tuple[str, ...]
) -> _Gpus:
    """Where trouble is only reported, every container has what it holds; where it comes last, so have those that
    there is nothing else for."""
    if not needs_gpus(fleet):
        return _Gpus()
    request = DeviceRequest(fleet, (), docker.host_containers(), speaks_for, module.params["prune"])
    try:
        request = replace(request, gpus=NvidiaSmi().observe_some())
        plan = plan_devices(request)
        if not module.check_mode:
            refuse_unmade(plan, request.gpus)
        return _Gpus(request.gpus, plan)
    except FleetError as error:
        if not (module.params["keep_going"] or (module.check_mode and module.params["report"])):
            raise
        given = {container.spec.name: container.spec.devices for container in observed.containers}
        if module.params["keep_going"]:
            given |= given_if_possible(request)
        return _Gpus(request.gpus, DevicePlan(given=given), error.faults)


def _as_they_are(
    observed: Observed, outcome: Outcome, desired: tuple[Desired, ...], gpus: Sequence[Gpu]
) -> list[dict[str, Any]]:
    present = {container.spec.name: container for container in observed.containers}
    rows = []
    for one in desired:
        container = present.get(one.spec.name)
        devices = container.spec.devices if container else one.spec.devices
        rows.append(
            dict(
                name=one.spec.name,
                model=one.model,
                id=container.id if container else "",
                status=container.status if container else "missing",
                ready=one.spec.name in outcome.ready,
                wanted=one.running,
                started_at=container.started_at if container else "",
                devices=list(devices),
                device=describe(gpus, devices) if container and (gpus or not devices) else "-",
                image=one.spec.image,
            )
        )
    return rows


if __name__ == "__main__":
    main()

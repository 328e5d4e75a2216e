#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: model_containers
short_description: Bring a host's model containers to the state in its inventory
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Compares the whole list of a host's models with Docker's state in one call, and changes only the differences. A
    container without differences is not touched, so its model stays loaded.
  - Every replica of a model is one container, C(vllm-NAME-REPLICA), in the Docker network C(fleet-model-NAME) of its
    model, without published ports. A model that needs other machines is in C(fleet-out-NAME), too.
  - Compares image ID, entrypoint, command, environment, mounts, networks, devices, labels, restart policy, shared
    memory, IPC mode, capabilities, C(no-new-privileges) and the limit of memory with the inventory and the image's
    defaults. Networks and the restart policy are corrected in place; for any other difference the container is
    replaced.
  - A container is replaced by a new one that has become healthy and answered a request. The previous one gets no new
    connection then, and is removed when its requests are complete, or after C(drain_timeout). Where a device and memory
    are free, the previous container serves until then. Where they are not, it is stopped first and kept. If the new one
    fails, the previous one serves again, and the other replicas are not changed. Replicas of a model are replaced one
    after the other. The names C(-next) and C(-previous) are of containers in a replacement; the next run ends one
    that was interrupted.
  - Without O(wait), and with O(keep_going), a container that differs is removed and created instead.
  - A container has no capability but C(DAC_OVERRIDE), cannot gain privileges, runs as the image's user, and has at most
    16384 processes. The cache of weights is mounted read-only unless the model downloads by itself.
  - What vLLM compiles at its start is kept in a volume C(fleet-compiled-CONTAINER-DIGEST), one for each container and
    configuration, unless C(fleet_cache.compiled) is false. Volumes that no container has are removed after
    containers were removed, and with O(prune).
  - The host remembers the version of each model (image, arguments, environment) that serves with all replicas, and the
    version before, for the playbook C(rollback), in C(/var/lib/inference-fleet/served.json), which root alone can read.
    Secret values of C(env) are left out. Without O(wait), and with O(keep_going), nothing is remembered.
  - Docker rotates a container's log as C(fleet_logs) says. A change of C(fleet_logs) applies to containers that are
    created afterwards, and recreates none.
  - Pulls, removals and starts run in parallel. The module waits until C(/health) of each running model answers. A
    model that dies or is not ready in time fails with the end of its log; the module still handles the others.
  - A container without the label C(managed-by=inference.fleet) is never touched. If it has the name of a model's
    container, the task fails before any change.
  - GPUs and MIG devices are assigned by UUID. A model with suitable devices keeps them. GPUs of one container are
    linked by NVLink if possible. No device is assigned twice; devices that other containers requested by name count as
    taken. If too few devices are free, the task fails with a table of the devices and their holders.
  - A container also gets the device nodes of its GPUs by name, so that it keeps access when systemd reloads its units.
  - The GPUs must be partitioned as O(layout) says; M(inference.fleet.mig_partition) does this. In check mode a
    missing partition counts as present.
requirements:
  - "Docker SDK for Python 5.0.0 or later on the host (Debian and Ubuntu: python3-docker)"
  - Docker Engine 20.10 or later
extends_documentation_fragment:
  - inference.fleet.fleet
options:
  layout:
    description:
      - The MIG layout of the GPUs, as M(inference.fleet.host_check) returns it. Default is C(fleet_mig).
    type: dict
  names:
    description:
      - The models to change. The other models of the fleet are not changed. A name that the fleet lacks is an error.
        Default is all models.
    type: list
    elements: str
  prune:
    description:
      - Also remove model containers of this collection whose model is not in the fleet.
      - Surplus containers of a model in scope (fewer replicas, V(absent)) are always removed.
    type: bool
    default: false
  keep_going:
    description:
      - If the GPUs have faults (one is lost, a partition cannot be created), start the existing containers with the
        devices that they have, instead of none, and then fail with these faults.
      - A container whose image no longer has its name on the host is started unchanged, with a warning and without a
        pull. For restores.
    type: bool
    default: false
  wait:
    description:
      - Wait until every model answers. Otherwise the task ends when the containers are started, and RV(containers)
        shows which of them answer already.
    type: bool
    default: true
  held:
    description: Models that lack something for their start, such as an image. Their containers are not changed.
    type: list
    elements: str
    default: []
  progress:
    description: A file on the host; the module appends its progress as lines. The action plugin sets this option.
    type: path
  report:
    description:
      - In check mode, return faults of the GPUs as RV(trouble) instead of a failure, and begin RV(actions) with the
        actions on the GPUs.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Returns the same plan; does not pull, create, stop or wait.
  diff_mode:
    support: full
    description: Shows the changes of each container, without secret values.
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
  description: The actions, in order; in check mode the planned ones.
  returned: always
  type: list
  elements: str
  sample: ["pull vllm/vllm-openai:v0.31.0", "create vllm-qwen3-8b-1 (missing)", "start vllm-qwen3-8b-1"]
containers:
  description: The containers of the inventory, in their state after the run.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: The container's name.
      type: str
      sample: vllm-qwen3-8b-1
    model:
      description: The model's name.
      type: str
      sample: qwen3-8b
    id:
      description: The container's ID; empty if the container is missing.
      type: str
    status:
      description: Docker's state of the container, or V(missing).
      type: str
      sample: running
    ready:
      description: Whether C(/health) answered.
      type: bool
    wanted:
      description: Whether the inventory wants the container to run.
      type: bool
    started_at:
      description: The last start, RFC 3339 in UTC.
      type: str
      sample: "2026-11-24T02:40:11.81Z"
    devices:
      description: The UUIDs of the container's GPUs and MIG devices.
      type: list
      elements: str
      sample: [GPU-14ac2834-0d81-0508-69eb-e25264c08d21]
    device:
      description: The same as text; a MIG device with its GPU, its name and the start of its placement.
      type: str
      sample: gpu 0 3g.20gb@4
    image:
      description: The reference of the image.
      type: str
      sample: vllm/vllm-openai:v0.31.0
    image_id:
      description: The ID of the image that the container has; empty if the container is missing.
      type: str
    exit_code:
      description: The exit code of the last end, if the container does not run; null if it runs or never ran.
      type: int
    restarts:
      description: How often Docker has restarted the container since its start.
      type: int
    log:
      description:
        - The last lines of the log of a container that should answer and does not. Empty unless O(report) is set.
      type: list
      elements: str
remembered:
  description: In check mode, whether the host remembers the versions that serve. A run without differences writes them.
  returned: success
  type: bool
trouble:
  description: Faults that prevent the partitioning or assignment of the GPUs; empty if there are none.
  returned: when O(report) is set
  type: list
  elements: str
unused_images:
  description: The images that nothing uses any more, as M(inference.fleet.unused_images) lists them.
  returned: when O(report) is set
  type: list
  elements: str
digests:
  description:
    - ID of each image on the host to its digest in the registry, C(sha256:) and 64 digits. An image that was built or
      loaded on the host has no digest, and is missing.
  returned: when O(report) is set
  type: dict
faults:
  description: Container or image to its fault.
  returned: failure
  type: dict
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    REPLACE,
    Action,
    Desired,
    Observed,
    Plan,
    desired_containers,
    plan_containers,
    without_lacking,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.converge import (
    Outcome,
    converge,
    last_words,
    probe,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.engine.host_cores import host_cores
from ansible_collections.inference.fleet.plugins.module_utils.engine.progress import Progress
from ansible_collections.inference.fleet.plugins.module_utils.engine.replacing import tidied, tidy
from ansible_collections.inference.fleet.plugins.module_utils.engine.room import Room, arrange
from ansible_collections.inference.fleet.plugins.module_utils.engine.served import read_served, write_served
from ansible_collections.inference.fleet.plugins.module_utils.engine.starts import (
    forget_answers,
    read_starts,
    write_starts,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import unused_images
from ansible_collections.inference.fleet.plugins.module_utils.engine.versions import remember, version_of
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
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest, spare_devices
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, scope
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import Layout
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import DRAIN_SECONDS, stands_for
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import OPTIONS, unpack
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.host_memory import available
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import bundle

SPEC = dict(
    OPTIONS,
    layout=dict(type="dict"),
    names=dict(type="list", elements="str"),
    prune=dict(type="bool", default=False),
    report=dict(type="bool", default=False),
    keep_going=dict(type="bool", default=False),
    wait=dict(type="bool", default=True),
    held=dict(type="list", elements="str", default=[]),
    progress=dict(type="path"),
)


ENDED = ("exited", "restarting", "dead")  # Docker's states of a container that has ended


@dataclass(frozen=True)
class _Gpus:
    """trouble: faults of the devices that are only reported, or that fail the task at its end."""

    found: Sequence[Gpu] = ()
    plan: DevicePlan = field(default_factory=DevicePlan)
    trouble: tuple[str, ...] = ()
    request: Optional[DeviceRequest] = None


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True), alone="model_containers")


def _work(module: AnsibleModule) -> None:
    try:
        fleet = unpack(module.params)
        if module.params["layout"] is not None:
            fleet = replace(fleet, mig=Layout.parse(module.params["layout"], "layout"))
        held = module.params["held"]  # keep their GPUs
        acting_on = scope(fleet, module.params["names"])
        acting_on = tuple(name for name in acting_on if name not in held)
        docker = Docker()
        say = Progress(module.params["progress"])
        images = {fleet.image_of(model) for model in fleet.models if model.containers}
        left, observed = _tidy(module, docker, docker.observe(images), images, say)
        gpus = _gpus(module, fleet, docker, observed, acting_on)
        present, minors = device_nodes()
        nodes = partial(nodes_for, gpus.found, present=present, minors=minors)
        limited = [model.name for model in fleet.models if model.memory and model.name in acting_on]
        if limited and not docker.limits_memory():
            raise FleetError(
                f"memory of {', '.join(limited)}: this host's kernel cannot limit the memory of containers; enable its "
                "memory controller (kernel option cgroup_enable=memory), or remove `memory`"
            )
        needs_cpus = any(model.devices.cpu and model.containers for model in fleet.models)
        cores = host_cores() if needs_cpus and docker.limits_cpus() else ()
        desired = desired_containers(fleet, gpus.plan.given, acting_on, nodes, bundle(), cores)
        if module.params["keep_going"] and gpus.trouble:
            desired = without_lacking(desired, gpus.plan.given)
        plan = plan_containers(
            desired,
            observed,
            module.params["prune"],
            acting_on,
            held,
            keep=module.params["keep_going"],
            graceful=module.params["wait"] and not module.params["keep_going"],
            unfinished={stands_for(action.name) for action in left},
        )
        plan = arrange(plan, observed.containers, _room(plan, docker, gpus, nodes))
        if module.check_mode:
            outcome = Outcome(ready=probe(plan, docker))
        else:
            outcome = converge(plan, docker, module.params["wait"], say)
            write_starts(outcome.took, fleet.paths.down)
            forget_answers([model.name for model in fleet.models], fleet.paths.down)
            _remove_compiled(module, docker, outcome)
        after = docker.observe(()) if outcome.done else observed
        remembered = _remember(module, fleet, acting_on, after, outcome)
        on_host = docker.images_of_host() if module.params["report"] else []
    except FleetError as error:
        module.fail_json(msg=str(error))
    for image in sorted(set(plan.kept.values())):
        names = ", ".join(name for name, kept in plan.kept.items() if kept == image)
        module.warn(f"image {image}: no image of that name on this host; these containers keep their image: {names}")
    actions = list(map(str, (*left, *(plan.actions if module.check_mode else outcome.done))))
    result: dict[str, Any] = dict(
        changed=bool(actions),
        actions=actions,
        diff=plan.diff(),
    )
    if module.params["report"]:
        result.update(
            trouble=gpus.trouble,
            actions=[*gpus.plan.partition.actions, *actions],
            unused_images=list(map(str, unused_images(fleet, on_host))),
            digests={one.id: one.digest for one in on_host if one.digest},
        )
    # Faults of the GPUs first: they are the reason why containers do not start.
    faults = [*(() if module.params["report"] else gpus.trouble), *outcome.faults.values()]
    if faults:
        module.fail_json(msg="\n".join(faults), faults=outcome.faults, **result)
    rows = _as_they_are(after, outcome, desired, gpus.found)
    if module.params["report"]:
        for row in rows:
            row["log"] = last_words(row["name"], docker) if row["id"] and row["wanted"] and not row["ready"] else []
    module.exit_json(containers=rows, remembered=remembered, **result)


def _tidy(
    module: AnsibleModule, docker: Docker, observed: Observed, images: Collection[str], say: Progress
) -> tuple[tuple[Action, ...], Observed]:
    """Ends replacements that were interrupted. Returns the actions, and the containers afterwards."""
    actions = tidy(observed.containers, DRAIN_SECONDS)
    if not actions:
        return (), observed
    if module.check_mode:
        return actions, replace(observed, containers=tidied(observed.containers, actions))
    outcome = converge(Plan(actions, ()), docker, say=say)
    if outcome.faults:
        raise FleetError(*outcome.faults.values())
    return actions, docker.observe(images)


def _room(plan: Plan, docker: Docker, gpus: _Gpus, nodes: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Room:
    chains = plan.replacements().values()
    if not chains:
        return Room()
    spare = {}
    if gpus.request:
        spare = spare_devices(gpus.request, gpus.plan.given, [chain[0].name for chain in chains])
    used = docker.used_memory(action.name for chain in chains for action in chain)
    return Room(spare, available(), used, read_starts(), nodes)


def _remove_compiled(module: AnsibleModule, docker: Docker, outcome: Outcome) -> None:
    """Removes the compiled code of containers that are gone or have another configuration. A volume that stays is
    only a warning: the next run removes it."""
    try:
        if module.params["prune"] or any(action.verb in ("remove", REPLACE) for action in outcome.done):
            for volume in docker.unused_compiled():
                docker.remove_compiled(volume)
    except FleetError as error:
        module.warn(str(error))


def _remember(
    module: AnsibleModule, fleet: Fleet, acting_on: tuple[str, ...], after: Observed, outcome: Outcome
) -> bool:
    """Writes the versions of the models whose replicas all answer. Returns whether the file had them."""
    if module.params["keep_going"] or not module.params["wait"]:
        return True
    images = {one.spec.name: one.spec.image for one in after.containers}
    serving = {
        model.name: version_of(fleet, model, images.get(model.containers[0], ""))
        for model in fleet.models
        if model.name in acting_on and model.state == "running" and outcome.ready >= {*model.containers}
    }
    have = {model.name for model in fleet.models if model.containers}
    known = read_served()
    gone = {name for name in known if name not in have and (name in acting_on or module.params["prune"])}
    new = remember(known, serving, gone)
    if new != known and not module.check_mode:
        try:
            write_served(new)
        except OSError as error:
            module.warn(f"{error.filename}: {error.strerror}; the playbook rollback will lack what this run changed")
    return new == known


def _gpus(module: AnsibleModule, fleet: Fleet, docker: Docker, observed: Observed, acting_on: tuple[str, ...]) -> _Gpus:
    """The GPUs and the device plan. With faults that do not end the task here, containers keep their devices, and with
    keep_going others get free ones."""
    if not needs_gpus(fleet):
        return _Gpus()
    request = DeviceRequest(fleet, (), docker.host_containers(), acting_on, module.params["prune"])
    try:
        request = replace(request, gpus=NvidiaSmi().observe_some())
        plan = plan_devices(request)
        if not module.check_mode:
            refuse_unmade(plan, request.gpus)
        return _Gpus(request.gpus, plan, request=request)
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
                image_id=container.spec.image if container else "",
                exit_code=container.exit_code if container and container.status in ENDED else None,
                restarts=container.restarts if container else 0,
                log=[],
            )
        )
    return rows


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Model containers: the desired state, the observed state, and the difference as an ordered plan. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.engine.cores import cpusets
from ansible_collections.inference.fleet.plugins.module_utils.engine.entrypoint import ENTRYPOINT
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import AT_START, HUB, Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import downloads_itself
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.logs import Logs
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import (
    CAPABILITIES,
    DRAIN_SECONDS,
    Model,
    is_secret,
    name_taken,
    stands_for,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import CACHE_MOUNT
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

REPLICAS = "model"  # NAME.model resolves to all replicas of a model in Docker's DNS; the dot avoids container names
CERTIFICATES_MOUNT = "/run/secrets/host-certificates.crt"
# Docker gives a new volume the owner and the mode of the image's folder. Everybody may write /var/tmp, also a user of
# the image.
COMPILED_MOUNT = "/var/tmp"
COMPILED_ROOT = f"{COMPILED_MOUNT}/vllm"
MODULES = "/tmp/inference-fleet-modules"  # where transformers copies a model's own code to, and imports it from
WEIGHT, STARTING_WEIGHT = 1024, 256  # of processor time: Docker's default, and until a container has answered a request
COMPILED = "fleet-compiled-"  # prefix of the volumes with compiled code, one per container and configuration


@dataclass(frozen=True)
class Mount:
    """source: a folder on the host, or the name of a volume."""

    source: str
    target: str
    read_only: bool = False

    def __str__(self) -> str:
        return f"{self.source}:{self.target}" + (":ro" if self.read_only else "")


@dataclass(frozen=True)
class ImageDefaults:
    """The defaults of an image; a container's configuration is the requested values on top of these."""

    id: str
    env: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    volumes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Spec:
    """The configuration of a container.

    image: the reference; if observed, the image's ID. devices: GPU or MIG device IDs. nodes: their
    device nodes, passed to the container by name; nodes may be added later, so they are no reason
    to recreate a container. shm_size: bytes. env and labels: if observed, including those of the
    image. aliases: further names in its networks, without those that Docker itself adds. init: whether Docker's
    init is the first process; it reaps zombies, which Docker cannot stop. cpus: the CPUs that it may use, empty for
    all; None in a desired container that may keep those that it has. capabilities: all that its processes have.
    new_privileges: whether a program with setuid may give more to them. memory: bytes, 0 for no limit. user, logs:
    applied at its creation, and not observed; user: empty for the image's. weight: its share of processor time beside
    others, where there is too little for all.
    """

    name: str
    image: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    networks: tuple[str, ...]
    devices: tuple[str, ...]
    labels: Mapping[str, str]
    restart: str
    shm_size: int
    ipc: str
    nodes: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    init: bool = True
    cpus: Optional[str] = None
    capabilities: tuple[str, ...] = CAPABILITIES
    new_privileges: bool = False
    memory: int = 0
    user: str = ""
    logs: Logs = field(default_factory=Logs)
    weight: int = WEIGHT

    def resolved(self, image: ImageDefaults) -> Spec:
        """As Docker would report a container created from this."""
        return Spec(
            **{
                **self.__dict__,
                "image": image.id,
                "env": {**image.env, **self.env},
                "labels": {**image.labels, **self.labels},
                "mounts": self.mounts_with(image.id),
            }
        )

    def mounts_with(self, image: str) -> tuple[Mount, ...]:
        """The mounts in a container of the image with that ID. The digest in the name of the volume with compiled code
        stands for the image, the command and the devices, so that a volume has the code of one configuration."""
        digest = hashlib.sha256(json.dumps([image, self.command, self.devices]).encode()).hexdigest()
        own = f"{COMPILED}{stands_for(self.name)}"
        return tuple(
            replace(mount, source=f"{own}-{digest[:12]}") if mount.source == own else mount for mount in self.mounts
        )


@dataclass(frozen=True)
class Desired:
    """One container of the inventory. ready_timeout: seconds until /health must succeed. drain_timeout: seconds for
    requests under way before it is stopped."""

    spec: Spec
    model: str
    running: bool
    ready_timeout: int
    drain_timeout: int = DRAIN_SECONDS


@dataclass(frozen=True)
class Container:
    """A container as Docker reports it.

    status and health: as in Docker (running, exited, created, ...; healthy, starting, unhealthy,
    or empty without a health check). health_check: the command of the check, or empty.
    last_check: the time and the output of the last check. process: the ID of its first process, 0 if there is none.
    """

    id: str
    spec: Spec
    status: str
    address: Optional[str] = None
    started_at: str = ""
    restarts: int = 0
    exit_code: int = 0
    health: str = ""
    health_check: tuple[str, ...] = ()
    last_check: tuple[str, str] = ("", "")
    process: int = 0

    @property
    def model(self) -> str:
        return self.spec.labels.get("model-name", "")


@dataclass(frozen=True)
class Observed:
    """What Docker has. foreign: names of containers that this collection does not manage.
    images: by reference, those images of the desired containers that are on the host."""

    containers: tuple[Container, ...]
    foreign: frozenset[str]
    images: Mapping[str, ImageDefaults]


@dataclass(frozen=True)
class Action:
    """One step. verb: one of STAGES.

    changes: for a container that is recreated or updated: field -> (before, after).
    drain: seconds that requests under way get before the container is stopped.
    beside: the replaced container serves until the new one does.
    """

    verb: str
    name: str
    desired: Optional[Desired] = None
    container_id: Optional[str] = None
    changes: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    detail: str = ""
    drain: int = 0
    beside: bool = False

    @property
    def wanted(self) -> Desired:
        """`desired` of a step that has one, such as a replacement."""
        if not self.desired:
            raise ValueError(f"{self}: no desired container")
        return self.desired

    def __str__(self) -> str:
        reason = f" ({self.detail})" if self.detail else ""
        return f"{self.verb} {self.name}{reason}"


# The fields of a Spec that are compared directly; mounts are compared separately. Fields in _IN_PLACE are changed
# without recreating the container.
_RECREATE = (
    *("image", "entrypoint", "command", "env", "labels", "devices", "shm_size", "ipc", "init"),
    *("capabilities", "new_privileges", "memory"),
)
_IN_PLACE = ("networks", "aliases", "restart", "cpus", "weight")

STAGES = (("pull",), ("rename", "remove", "stop"), ("disconnect", "connect", "update", "create", "start", "unpause"))
REPLACE = "replace"  # after all stages, while the others are waited for; one replica of a model after the other


@dataclass(frozen=True)
class Plan:
    """Actions in the order of STAGES; the containers of one stage may be handled in parallel.

    untouched: by name, the observed containers that no action changes. kept: container -> the
    image it was created from, whose name no longer exists on the host.
    """

    actions: tuple[Action, ...]
    waits: tuple[Desired, ...]
    untouched: Mapping[str, Container] = field(default_factory=dict)
    kept: Mapping[str, str] = field(default_factory=dict)

    def stage(self, verbs: Iterable[str]) -> dict[str, list[Action]]:
        """The actions of one stage, by what they act on."""
        chains: dict[str, list[Action]] = {}
        for action in self.actions:
            if action.verb in verbs:
                chains.setdefault(action.name, []).append(action)
        return chains

    def replacements(self) -> dict[str, list[Action]]:
        """By model."""
        chains: dict[str, list[Action]] = {}
        for action in self.actions:
            if action.verb == REPLACE and action.desired:
                chains.setdefault(action.desired.model, []).append(action)
        return chains

    def diff(self) -> dict[str, str]:
        """For Ansible's diff mode: the changed containers, before and after, without secrets."""
        before, after = [], []
        for action in self.actions:
            if action.verb == "pull":
                after.append(f"image {action.name}: pulled")
            for part, (old, new) in action.changes.items():
                before += _lines(action.name, part, old)
                after += _lines(action.name, part, new)
            if action.verb in ("remove", "stop") and not action.changes:
                before.append(f"{action.name}: {'present' if action.verb == 'remove' else 'running'}")
            if action.verb in ("create", "start", "unpause") and not action.changes:
                after.append(f"{action.name}: {_outcome(action)}")
        return {"before": _text(before), "after": _text(after)}


def desired_containers(
    fleet: Fleet,
    devices: Mapping[str, tuple[str, ...]],
    names: Optional[Iterable[str]] = None,
    nodes: Callable[[tuple[str, ...]], tuple[str, ...]] = lambda _devices: (),
    certificates: Optional[str] = None,
    cores: Sequence[Sequence[int]] = (),
) -> tuple[Desired, ...]:
    """A container for each replica of each model (only models in `names`, if given).

    devices: container name -> the device IDs from placement. nodes: the device nodes for some IDs.
    certificates: the path of the host's certificate bundle. cores: the CPUs of each physical core of the host, for
    models that use no device.
    """
    asked = None if names is None else frozenset(names)
    cpus = cpusets(fleet, cores)
    chosen = [model for model in fleet.models if asked is None or model.name in asked]
    return tuple(
        Desired(
            spec=replace(
                _spec(fleet, model, container, devices.get(container, ()), certificates),
                nodes=nodes(devices.get(container, ())),
                cpus=cpus.get(container),
            ),
            model=model.name,
            running=model.state == "running",
            ready_timeout=model.ready_timeout,
            drain_timeout=model.drain_timeout,
        )
        for model in chosen
        for container in model.containers
    )


def without_lacking(desired: Iterable[Desired], given: Iterable[str]) -> tuple[Desired, ...]:
    """The containers whose devices are known."""
    known = frozenset(given)
    return tuple(one for one in desired if one.spec.name in known)


def _spec(fleet: Fleet, model: Model, name: str, devices: tuple[str, ...], certificates: Optional[str]) -> Spec:
    online = downloads_itself(model, fleet.cache.downloads == AT_START)
    mounts = [Mount(fleet.cache.source, CACHE_MOUNT, read_only=not online), *_from_the_host(fleet, model)]
    # Some images have another HOME (vLLM-Omni's from 0.31 on: /tmp), and would look for the mounted folders there.
    env = {"HF_HOME": CACHE_MOUNT, "HF_MODULES_CACHE": MODULES}
    # A domain of `allowed-media-domains` could redirect vLLM into the internal network.
    env["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] = "0"
    env.update(_hub_env(fleet) if online else {"HF_HUB_OFFLINE": "1"})
    if online and fleet.ca_bundle and certificates:
        env.update(SSL_CERT_FILE=CERTIFICATES_MOUNT, REQUESTS_CA_BUNDLE=CERTIFICATES_MOUNT)
        mounts.append(Mount(certificates, CERTIFICATES_MOUNT, read_only=True))
    if fleet.cache.compiled and "VLLM_CACHE_ROOT" not in dict(model.env):
        # The container executes this code, so no other has the volume. `Spec.mounts_with` adds a digest to its name.
        mounts.append(Mount(f"{COMPILED}{name}", COMPILED_MOUNT))
        env["VLLM_CACHE_ROOT"] = COMPILED_ROOT
    return Spec(
        name=name,
        image=fleet.image_of(model),
        entrypoint=ENTRYPOINT,
        command=model.command,
        env={**env, **dict(model.env)},
        mounts=tuple(mounts),
        networks=fleet.networks_of(model),
        aliases=(f"{model.name}.{REPLICAS}",),
        devices=devices,
        labels={"managed-by": MANAGED_BY, "model-name": model.name, "model-type": model.type},
        restart="on-failure",
        shm_size=model.shm_size,
        ipc="private",
        memory=model.memory or 0,
        logs=fleet.logs,
    )


def _from_the_host(fleet: Fleet, model: Model) -> list[Mount]:
    """Read-only mounts of what the model reads from the host, without those that lie in another one."""
    mounts: list[Mount] = []
    for path in sorted({one.path for one in fleet.host_paths(model)}):
        if not any(path.startswith(f"{mount.target}/") for mount in mounts):
            mounts.append(Mount(path, path, read_only=True))
    return mounts


def is_compiled(volume: str) -> bool:
    """Whether the volume has a name of `Spec.mounts_with`."""
    return bool(re.fullmatch(COMPILED + r"vllm-[a-z0-9-]+-[0-9]+-[0-9a-f]{12}", volume))


def _hub_env(fleet: Fleet) -> dict[str, str]:
    """The environment for access to a hub."""
    return {
        **({"HF_ENDPOINT": fleet.cache.endpoint} if fleet.cache.endpoint != HUB else {}),
        **({"HF_TOKEN": fleet.hf_token} if fleet.hf_token else {}),
        **(fleet.proxy.environment if fleet.proxy else {}),
    }


def plan_containers(
    desired: Iterable[Desired],
    observed: Observed,
    prune: bool = False,
    models: Iterable[str] = (),
    held: Iterable[str] = (),
    keep: bool = False,
    graceful: bool = False,
    unfinished: Collection[str] = (),
) -> Plan:
    """The steps from the observed to the desired state; empty if they are equal.

    models: the models that `desired` covers; their containers that `desired` lacks (fewer
    replicas, a model now absent) are removed. prune: also remove containers of all other models,
    except `held` ones, which lack what they need to start. keep: a container whose image name is not
    on the host is kept and started unchanged; without `keep`, the image is pulled to compare. graceful: a container
    that should run is replaced by one that has answered, and requests under way get time to finish. unfinished:
    containers whose replacement was interrupted; with `keep` they stay as they are, since nobody knows whether their
    successors would serve.
    Raises FleetError when an unmanaged container has a needed name.
    """
    held = frozenset(held)
    wanted = {one.spec.name: one for one in desired}
    clashes = sorted(observed.foreign & set(wanted))
    if clashes:
        raise FleetError(*map(name_taken, clashes))
    present = {container.spec.name: container for container in observed.containers}
    speaks_for = set(models) | {one.model for one in wanted.values()}
    actions = [
        Action(
            "remove", name, container_id=container.id, detail="not in the inventory", drain=_time(container, graceful)
        )
        for name, container in present.items()
        if name not in wanted and container.model not in held and (prune or container.model in speaks_for)
    ]
    unnamed = {name: one.spec.image for name, one in wanted.items() if one.spec.image not in observed.images}
    kept = {name: image for name, image in unnamed.items() if keep and name in present}
    missing = sorted({image for name, image in unnamed.items() if name not in kept})
    actions += [Action("pull", image) for image in missing]
    for name, one in wanted.items():
        stays = keep and name in unfinished and name in present and present[name].spec.devices == one.spec.devices
        if name in kept or stays:
            actions += _state_steps(one, present[name], graceful)
        else:
            actions += _steps(one, present.get(name), observed.images.get(one.spec.image), graceful)
    order = [*(verb for stage in STAGES for verb in stage), REPLACE]
    actions.sort(key=lambda action: order.index(action.verb))
    touched = {action.name for action in actions}
    return Plan(
        actions=tuple(actions),
        waits=tuple(one for one in wanted.values() if one.running),
        untouched={name: container for name, container in present.items() if name not in touched},
        kept=kept,
    )


def _time(container: Container, graceful: bool, seconds: int = DRAIN_SECONDS) -> int:
    """Seconds for requests under way."""
    return seconds if graceful and container.status == "running" else 0


def _steps(
    desired: Desired, container: Optional[Container], image: Optional[ImageDefaults], graceful: bool
) -> list[Action]:
    """The steps for one container."""
    name = desired.spec.name
    start = [Action("start", name, desired)] if desired.running else []
    if container is None:
        return [Action("create", name, desired, detail="missing"), *start]
    changes = _differences(desired.spec, container.spec, image)
    if set(changes) - {*_IN_PLACE}:
        why = "changed: " + ", ".join(changes)
        time = _time(container, graceful, desired.drain_timeout)
        if graceful and desired.running:
            return [Action(REPLACE, name, desired, container.id, changes, why, time)]
        return [
            Action("remove", name, desired, container.id, changes, why, time),
            Action("create", name, desired, detail=why),
            *start,
        ]
    steps: list[Action] = []
    moved = {part: change for part, change in changes.items() if part in ("networks", "aliases")}
    kept = set(container.spec.networks) & set(desired.spec.networks) if "aliases" not in changes else set()
    for verb, networks in (("disconnect", container.spec.networks), ("connect", desired.spec.networks)):
        for network in sorted(set(networks) - kept):
            change = moved if not steps else {}
            steps.append(Action(verb, name, desired, container.id, change, network))
    for part, detail in (("restart", "restart policy"), ("cpus", "CPU cores"), ("weight", "CPU weight")):
        if part in changes:
            steps.append(Action("update", name, desired, container.id, {part: changes[part]}, detail))
    return [*steps, *_state_steps(desired, container, graceful)]


def _state_steps(desired: Desired, container: Container, graceful: bool) -> list[Action]:
    """The step that starts or stops a container."""
    name = desired.spec.name
    if desired.running and container.status not in ("running", "restarting"):
        verb = "unpause" if container.status == "paused" else "start"
        return [Action(verb, name, desired, container.id, detail=f"was {container.status}")]
    if not desired.running and container.status in ("running", "restarting", "paused"):
        time = _time(container, graceful, desired.drain_timeout)
        return [Action("stop", name, desired, container.id, detail="state: stopped", drain=time)]
    return []


def _differences(desired: Spec, observed: Spec, image: Optional[ImageDefaults]) -> dict[str, tuple[Any, Any]]:
    """Field -> (observed, desired) where the two differ."""
    if image is None:
        return {"image": (observed.image, desired.image)}
    right = desired.resolved(image)
    changes = {}
    for part in (*_RECREATE, *_IN_PLACE):
        old, new = getattr(observed, part), getattr(right, part)
        if part in ("networks", "aliases", "devices"):
            old, new = sorted(old), sorted(new)
        if old != new and not (part == "cpus" and new is None):
            changes[part] = (old, new)
    # Docker creates an anonymous volume for each folder that the image declares as a volume.
    old_mounts = {mount for mount in observed.mounts if mount.target not in image.volumes or mount in right.mounts}
    if old_mounts != set(right.mounts):
        changes["mounts"] = (sorted(map(str, old_mounts)), sorted(map(str, right.mounts)))
    return changes


def _lines(name: str, part: str, value: Any) -> list[str]:
    """A field's value for display, one line per item, without values of secrets."""
    if isinstance(value, Mapping):
        hidden = {key for key, text in value.items() if is_secret(key, text)}
        return [f"{name}.{part}.{key}: {'(secret)' if key in hidden else text}" for key, text in sorted(value.items())]
    if isinstance(value, (list, tuple)):
        return [f"{name}.{part}: {' '.join(value)}"]
    return [f"{name}.{part}: {value}"]


def _outcome(action: Action) -> str:
    if action.verb == "create" and action.desired:
        return f"created from {action.desired.spec.image}"
    return "running"


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)

"""A FAKE of engine.docker.Docker: containers in memory, reported as Docker reports them, failures on demand.

What it takes for true of Docker is what the fixtures in data/ (captured from Docker Engine 20.10) show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count

from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    COMPILED_MOUNT,
    Container,
    ImageDefaults,
    Mount,
    Observed,
    Spec,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError


class FakeEngine:
    """registry: reference -> image, of what could be pulled. fails: (verb, container or image) -> the
    engine's words. dies: containers that end as soon as they run, with their exit code. unready:
    containers that run and never answer. broken: IDs of images whose containers get healthy and answer errors. busy:
    container -> requests that never end. refused: IDs of containers that get no new connection. before: called before
    each call to Docker that changes something. journal: what was called, as `verb name`. weights: container -> the CPU
    weights that it was given."""

    def __init__(self, registry: Mapping[str, ImageDefaults], foreign: Iterable[str] = ()) -> None:
        self.registry = registry
        self.foreign = frozenset(foreign)
        self.images: dict[str, ImageDefaults] = {}
        self.containers: dict[str, Container] = {}
        self.fails: dict[tuple[str, str], str] = {}
        self.dies: dict[str, int] = {}
        self.unready: set[str] = set()
        self.broken: set[str] = set()
        self.busy: dict[str, int] = {}
        self.refused: set[str] = set()
        self.before: Callable[[], object] = lambda: None
        self.logs: dict[str, list[str]] = {}
        self.journal: list[str] = []
        self.weights: dict[str, list[int]] = {}
        self.compiled: set[str] = set()
        self.host_images: list[HostImage] = []
        self._ids = count(1)

    # What Docker is asked

    def observe(self, images: Iterable[str]) -> Observed:
        return Observed(
            containers=tuple(self.containers.values()),
            foreign=self.foreign,
            images={reference: self.images[reference] for reference in images if reference in self.images},
        )

    def host_containers(self) -> list[HostContainer]:
        return [
            HostContainer(
                one.id, name, one.spec.image, one.status == "running", one.spec.labels, tuple(one.spec.devices)
            )
            for name, one in self.containers.items()
        ]

    def limits_cpus(self) -> bool:
        return True

    def limits_memory(self) -> bool:
        return True

    def inspect(self, name: str) -> Container | None:
        self._fail("inspect", name)
        return self.containers.get(name)

    def is_healthy(self, container: Container) -> bool:
        return container.status == "running" and container.spec.name not in self.unready

    def is_well(self, container: Container) -> bool:
        return container.health == "healthy"

    def last_lines(self, name: str, count: int) -> list[str]:
        self._fail("logs", name)
        return self.logs.get(name, [])[-count:]

    # Calls to Docker

    def pull(self, reference: str) -> None:
        self._reported("pull", reference)
        if reference not in self.registry:
            raise FleetError(f"image {reference}: cannot be pulled and is not on this host: not found")
        self.images[reference] = self.registry[reference]

    def create(self, spec: Spec) -> None:
        self._reported("create", spec.name)
        if spec.name in self.containers:
            raise FleetError(f"creating container {spec.name}: the name is in use")
        image = self.images[spec.image]
        mounts = spec.mounts_with(image.id)
        self.compiled |= {mount.source for mount in mounts if mount.target == COMPILED_MOUNT}
        covered = {mount.target for mount in spec.mounts}
        anonymous = [Mount(f"{next(self._ids):064x}", folder) for folder in image.volumes if folder not in covered]
        self.containers[spec.name] = Container(
            id=f"id-{next(self._ids)}",
            spec=replace(spec.resolved(image), mounts=(*mounts, *anonymous)),
            status="created",
        )

    def remove(self, container_id: str, name: str) -> None:
        self._reported("remove", name)
        assert self.containers[name].id == container_id
        del self.containers[name]

    def unused_compiled(self) -> dict[str, str]:
        used = {mount.source for one in self.containers.values() for mount in one.spec.mounts}
        return {name: f"/volumes/{name}" for name in sorted(self.compiled - used)}

    def remove_compiled(self, name: str) -> None:
        self._reported("remove volume", name)
        assert name in self.unused_compiled(), "Docker refuses this"
        self.compiled.remove(name)

    def images_of_host(self) -> list[HostImage]:
        return self.host_images

    def start(self, name: str) -> None:
        self._reported("start", name)
        if name in self.dies:
            self.change(name, status="exited", exit_code=self.dies[name])
        else:
            if self.containers[name].status != "running":
                self.refused.discard(self.containers[name].id)  # its network is a new one
            self.change(name, status="running", address="172.18.0.2", started_at="2026-11-24T02:40:11.81Z")

    def stop(self, name: str) -> None:
        self._reported("stop", name)
        self.change(name, status="exited")

    def unpause(self, name: str) -> None:
        self._reported("unpause", name)
        assert self.containers[name].status == "paused"
        self.change(name, status="running")

    def connect(self, name: str, network: str, aliases: Sequence[str]) -> None:
        self._reported("connect", name)
        networks = self.containers[name].spec.networks
        assert network not in networks, "Docker refuses this"
        self.change_spec(name, networks=(*networks, network), aliases=tuple(aliases))

    def disconnect(self, name: str, network: str) -> None:
        self._reported("disconnect", name)
        kept = (one for one in self.containers[name].spec.networks if one != network)
        self.change_spec(name, networks=tuple(kept))

    def rename(self, name: str, new: str) -> None:
        self._reported("rename", name)
        assert new not in self.containers, "Docker refuses this"
        one = self.containers.pop(name)
        self.containers[new] = replace(one, spec=replace(one.spec, name=new))

    def refuse(self, name: str) -> None:
        self._reported("refuse", name)
        if self.containers[name].status == "running":
            self.refused.add(self.containers[name].id)

    def admit(self, name: str) -> None:
        self._reported("admit", name)
        self.refused.discard(self._running(name).id)

    def drain(self, name: str, seconds: float) -> int:
        self._reported("drain", name)
        if self.containers[name].status == "running":
            self.refused.add(self.containers[name].id)
        return self.busy.get(name, 0)

    def trial(self, name: str) -> str | None:
        self.before()
        self._fail("trial", name)
        image = self._running(name).spec.image
        return f"{name}: is healthy, but a request failed: answered 500" if image in self.broken else None

    def used_memory(self, names: Iterable[str]) -> dict[str, int]:
        return dict.fromkeys(names, 10**9)

    def _running(self, name: str) -> Container:
        one = self.containers[name]
        if one.status != "running":
            raise FleetError(f"{name}: does not run")
        return one

    def reachable(self, model: str) -> set[str]:
        """The IDs of the containers that a client of the model reaches now, and that answer."""
        return {
            one.id
            for one in self.containers.values()
            if one.model == model
            and one.status == "running"
            and one.id not in self.refused
            and one.spec.name not in self.unready
            and one.spec.image not in self.broken
        }

    def set_restart(self, name: str, policy: str) -> None:
        self._reported("update", name)
        self.change_spec(name, restart=policy)

    def set_cpus(self, name: str, cpus: str) -> None:
        self._reported("update", name)
        self.change_spec(name, cpus=cpus)

    def set_weight(self, name: str, weight: int) -> None:
        assert name not in self.foreign, f"the weight of {name}, which is not ours"
        self.weights.setdefault(name, []).append(weight)
        self._fail("weigh", name)
        self.change_spec(name, weight=weight)

    def _reported(self, verb: str, name: str) -> None:
        assert name not in self.foreign, f"{verb} of {name}, which is not ours"
        self.before()
        self.journal.append(f"{verb} {name}")
        self._fail(verb, name)

    def _fail(self, verb: str, name: str) -> None:
        if (verb, name) in self.fails:
            raise FleetError(self.fails[verb, name])

    # What somebody else does to it

    def change(self, name: str, **changes: object) -> None:
        self.containers[name] = replace(self.containers[name], **changes)

    def change_spec(self, name: str, **changes: object) -> None:
        if name not in self.containers:
            raise FleetError(f"{name}: no such container")
        self.change(name, spec=replace(self.containers[name].spec, **changes))


class FakeClock:
    """Time that passes only in pauses. at: seconds -> what happens then."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.at: dict[float, Callable[[], object]] = {}

    def now(self) -> float:
        return self.seconds

    def pause(self, seconds: float) -> None:
        self.seconds += seconds
        for moment in [moment for moment in self.at if moment <= self.seconds]:
            self.at.pop(moment)()

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker, through its SDK."""

from __future__ import annotations

import http.client
import re
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.engine.answer import answer
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    COMPILED,
    WEIGHT,
    Container,
    ImageDefaults,
    Mount,
    Observed,
    Spec,
    is_compiled,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.health import is_healthy
from ansible_collections.inference.fleet.plugins.module_utils.engine.trial import judge, trial
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer, requested_devices
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import short_reference, without_tag
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import ENGINE_PORT, MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.logs import DAEMON
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import MOST_PROCESSES
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import clean_path
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import REPOSITORY
from ansible_collections.inference.fleet.plugins.module_utils.system import drain
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import OLDEST, api_version, ask
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import words_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

try:
    from docker import APIClient
    from docker.errors import APIError, DockerException, ImageNotFound, NotFound
    from docker.types import DeviceRequest
    from docker.types import Mount as DockerMount
    from docker.utils import kwargs_from_env, parse_repository_tag
    from urllib3.exceptions import HTTPError
except ImportError as error:
    SDK_ERROR: Optional[ImportError] = error
else:
    SDK_ERROR = None

CALL_SECONDS = 60  # for an answer of the engine's API; pulls answer in a stream
STOP_SECONDS = 30  # from SIGTERM to SIGKILL: vLLM finishes requests meanwhile
ZOMBIE_TRIES, ZOMBIE_SECONDS = 5, 3  # tries to stop a container that has a zombie, and the pause between them
# What Docker or a registry says -> what to do.
_REMEDIES = (
    (r"no space left on device", "Docker's disk is full: `docker system df` shows what uses it; see prune_images"),
    (
        r"unauthorized|authentication required|no basic auth credentials|docker login|\b(?<!permission )denied\b",
        "the registry asks for a login, or has no such image: run `docker login REGISTRY` as root on this host, or "
        "check the name",
    ),
)
_NO_NEW_PRIVILEGES = "no-new-privileges"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_CONTROL = re.compile(r"[^\n\r\t\x20-\x7e\xa0-\U0010ffff]")


class NotRunning(FleetError):
    """The container has no process, and so no network."""


class Docker:
    """The Docker engine of this host (or of DOCKER_HOST). Subclasses add images and volumes."""

    def __init__(self) -> None:
        if SDK_ERROR:
            raise FleetError(f"the Docker SDK for Python is not on this host (python3-docker): {SDK_ERROR}")
        with _naming("Docker does not answer; is it running (systemctl status docker)?"):
            version = api_version(_client(".".join(map(str, OLDEST))).version(api_version=False))
            self._api = _client(version)

    def observe(self, images: Iterable[str]) -> Observed:
        """The model containers, the names of unmanaged containers, and the given images."""
        with _naming("listing containers"):
            listed = self._api.containers(all=True)
            ours = [one for one in listed if _is_model(one.get("Labels") or {})]
            containers = [self._inspect(one["Id"]) for one in ours]
        return Observed(
            containers=tuple(one for one in containers if one),
            foreign=frozenset(_name(one) for one in listed if one not in ours and one.get("Names")),
            images={ref: found for ref in images for found in [self._image(ref)] if found},
        )

    def host_containers(self) -> list[HostContainer]:
        """Every container of the host with the GPUs it holds."""
        with _naming("inspecting all containers"):
            return [HostContainer.parse(found) for one in self._api.containers(all=True) for found in self._found(one)]

    def inspect(self, name: str) -> Optional[Container]:
        with _naming(f"inspecting container {name}"):
            return self._inspect(name)

    def pull(self, reference: str) -> None:
        """Raises FleetError with the registry's error."""
        if reference.startswith(REPOSITORY):
            raise FleetError(f"image {reference}: is not on this host; the playbooks build_images and install build it")
        repository, tag = parse_repository_tag(without_tag(reference))
        with _naming(f"image {reference}: cannot be pulled and is not on this host"):
            for progress in self._api.pull(repository, tag=tag or "latest", stream=True, decode=True):
                if "error" in progress:
                    raise APIError(str(progress["error"]))

    def remove(self, container_id: str, name: str) -> None:
        """Stops it first, so that running requests can finish."""
        with _naming(f"removing container {name}"):
            try:
                self._stop(container_id)
                self._api.remove_container(container_id, v=True, force=True)
            except NotFound:
                pass  # removed meanwhile

    def stop(self, name: str) -> None:
        with _naming(f"stopping container {name}"):
            self._stop(name)

    def _stop(self, container: str) -> None:
        """A container without an init (of an earlier version) may have a zombie for a while, which no signal ends."""
        for tries_left in reversed(range(ZOMBIE_TRIES)):
            try:
                self._api.stop(container, timeout=STOP_SECONDS)
                return
            except APIError as error:
                if not tries_left or "zombie" not in str(error.explanation):
                    raise
            time.sleep(ZOMBIE_SECONDS)

    def start(self, name: str) -> None:
        with _naming(f"starting container {name}"):
            self._api.start(name)

    def unpause(self, name: str) -> None:
        with _naming(f"unpausing container {name}"):
            self._api.unpause(name)

    def connect(self, name: str, network: str, aliases: Sequence[str]) -> None:
        with _naming(f"connecting container {name} to {network}"):
            self._api.connect_container_to_network(name, network, aliases=list(aliases))

    def disconnect(self, name: str, network: str) -> None:
        with _naming(f"disconnecting container {name} from {network}"):
            self._api.disconnect_container_from_network(name, network, force=True)

    def rename(self, name: str, new: str) -> None:
        with _naming(f"renaming container {name} to {new}"):
            self._api.rename(name, new)

    def process(self, name: str) -> int:
        """The ID on this host of the container's first process; 0 if it does not run."""
        with _naming(f"inspecting container {name}"):
            return next((int(one["State"]["Pid"]) for one in self._found({"Id": name})), 0)

    def processes(self, name: str) -> list[int]:
        """The IDs on this host of the container's processes; it must run."""
        with _naming(f"listing the processes of container {name}"):
            found = self._api.top(name)
        return [int(one[found["Titles"].index("PID")]) for one in found["Processes"] or ()]

    def image_id(self, reference: str) -> str:
        """Empty if the host has no such image."""
        return str((self._inspect_image(reference) or {}).get("Id", ""))

    def set_restart(self, name: str, policy: str) -> None:
        with _naming(f"setting the restart policy of container {name}"):
            self._api.update_container(name, restart_policy={"Name": policy})

    def refuse(self, name: str) -> None:
        """New connections of clients, until `admit` or the next start. Nothing to do if it does not run."""
        with suppress(NotRunning):
            process, host = self._network_of(name)
            drain.refuse(process, ENGINE_PORT, host)

    def admit(self, name: str) -> None:
        process, host = self._network_of(name)
        drain.accept(process, ENGINE_PORT, host)

    def drain(self, name: str, seconds: float) -> int:
        """Refuses new connections, and waits for the others; returns how many are left. 0 if it does not run."""
        with suppress(NotRunning):
            process, host = self._network_of(name)
            return drain.drain(process, ENGINE_PORT, seconds, host)
        return 0

    def trial(self, name: str) -> Optional[str]:
        """None if the container answers a small request of its model's type, else the fault."""
        container = self.inspect(name)
        if not container or not container.address:
            return f"{name}: does not run any more"
        kind, model = container.spec.labels.get("model-type", ""), container.model
        fault = judge(kind, *answer(container.address, *trial(kind, model)))
        return f"{name}: is healthy, but a request to {trial(kind, model)[0]} failed: {fault}" if fault else None

    def _network_of(self, name: str) -> tuple[int, str]:
        """The container's process, and this host's address in its network. Raises NotRunning."""
        container = self.inspect(name)
        if not container or not container.process or not container.address:
            raise NotRunning(f"{name}: does not run")
        return container.process, drain.own_address(container.address)

    def used_memory(self, names: Iterable[str]) -> dict[str, int]:
        """Bytes that each of these containers uses, without what the kernel caches for it; 0 if it does not run."""
        used = {}
        for name in names:
            # Not through the SDK: before 6.0 it has no `one-shot`, and waits for a second reading.
            found = (ask(f"/containers/{name}/stats?stream=false&one-shot=true") or {}).get("memory_stats") or {}
            details = found.get("stats") or {}
            cached = details.get("total_inactive_file", details.get("inactive_file", 0))  # cgroup v1, v2
            used[name] = max(found.get("usage", 0) - cached, 0)
        return used

    def set_cpus(self, name: str, cpus: str) -> None:
        with _naming(f"setting the CPUs of container {name}"):
            self._api.update_container(name, cpuset_cpus=cpus)

    def set_weight(self, name: str, weight: int) -> None:
        with _naming(f"setting the CPU weight of container {name}"):
            self._api.update_container(name, cpu_shares=weight)

    def limits_cpus(self) -> bool:
        """Whether this host's kernel can limit containers to some CPUs."""
        return self._limits("CPUSet")

    def limits_memory(self) -> bool:
        """Whether this host's kernel can limit the memory of containers."""
        return self._limits("MemoryLimit")

    def _limits(self, what: str) -> bool:
        with _naming("reading the engine's settings"):
            return bool(self._api.info().get(what))

    def create(self, spec: Spec) -> None:
        """Creates the container without starting it."""
        image = self._image(spec.image)
        mounts = spec.mounts_with(image.id) if image else spec.mounts
        host_config: dict[str, Any] = {
            "mounts": [
                DockerMount(
                    mount.target,
                    mount.source,
                    type="bind" if mount.source.startswith("/") else "volume",
                    read_only=mount.read_only,
                )
                for mount in mounts
            ],
            "network_mode": spec.networks[0],
            "restart_policy": {"Name": spec.restart},
            "shm_size": spec.shm_size,
            "ipc_mode": spec.ipc,
            "init": spec.init,
            "cap_drop": ["ALL"],
            "cap_add": list(spec.capabilities),
            "security_opt": [] if spec.new_privileges else [_NO_NEW_PRIVILEGES],
            "pids_limit": MOST_PROCESSES,
        }
        if spec.memory:  # swap included: a model that swaps answers nobody
            host_config.update(mem_limit=spec.memory, memswap_limit=spec.memory)
        if spec.cpus:
            host_config["cpuset_cpus"] = spec.cpus
        if spec.logs.driver != DAEMON:
            host_config["log_config"] = {"type": spec.logs.driver, "config": dict(spec.logs.options)}
        if spec.devices:
            host_config["device_requests"] = [DeviceRequest(device_ids=list(spec.devices), capabilities=[["gpu"]])]
            host_config["devices"] = [f"{node}:{node}:rwm" for node in spec.nodes]
        with _naming(f"creating container {spec.name}"):
            self._api.create_container(
                spec.image,
                name=spec.name,
                entrypoint=list(spec.entrypoint),
                command=list(spec.command),
                environment=dict(spec.env),
                labels=dict(spec.labels),
                user=spec.user or None,
                host_config=self._api.create_host_config(**host_config),
                networking_config=self._api.create_networking_config(
                    {spec.networks[0]: self._api.create_endpoint_config(aliases=list(spec.aliases))}
                ),
            )
        for network in spec.networks[1:]:  # older engines create a container in one network only
            self.connect(spec.name, network, spec.aliases)

    def unused_compiled(self) -> dict[str, str]:
        """The volumes with compiled code that no container has -> their folders on this host."""
        with _naming("listing volumes"):
            listed = self._api.volumes(filters={"dangling": True, "name": COMPILED}).get("Volumes") or ()
        return {one["Name"]: one["Mountpoint"] for one in listed if is_compiled(one["Name"])}

    def remove_compiled(self, name: str) -> None:
        """Without force: Docker refuses to remove a volume that a container has."""
        if not is_compiled(name):
            raise ValueError(f"{name}: is no volume with compiled code")
        with _naming(f"removing volume {name}"), suppress(NotFound):
            self._api.remove_volume(name)

    def images_of_host(self) -> list[HostImage]:
        """Every image of this host."""
        with _naming("listing images"):
            containers = self._api.containers(all=True)
            return [_host_image(one, containers) for one in self._api.images()]

    def is_healthy(self, container: Container) -> bool:
        """Whether /health at its network address answers 200."""
        return bool(container.address) and is_healthy(str(container.address))

    def is_well(self, container: Container) -> bool:
        """Runs its health check now and returns whether it succeeds: Docker runs it only every few seconds."""
        if container.health == "healthy" or not container.health_check:
            return container.health == "healthy"
        with _naming(f"checking the health of container {container.spec.name}"):
            try:
                check = self._api.exec_create(container.id, list(container.health_check))["Id"]
                self._api.exec_start(check)
                return bool(self._api.exec_inspect(check)["ExitCode"] == 0)
            except APIError:  # the container stopped; the caller sees that at its next inspection
                return False

    def last_lines(self, name: str, count: int) -> list[str]:
        """The last lines of its log, stdout and stderr, without terminal colours."""
        with _naming(f"reading the log of container {name}"):
            log = self._api.logs(name, tail=count, stdout=True, stderr=True)
        return plain_text(log.decode(errors="replace")).splitlines()

    def named(self, labels: Mapping[str, str]) -> list[str]:
        """The names of this collection's containers that have these labels, running or not."""
        wanted = [f"managed-by={MANAGED_BY}", *(f"{label}={value}" for label, value in labels.items())]
        with _naming("listing containers"):
            return sorted(map(_name, self._api.containers(all=True, filters={"label": wanted})))

    def timed_lines(self, name: str, since: int, count: int) -> list[str]:
        """The lines of its log, each after its time, without terminal colours.

        since: seconds since 1970, or 0. count: of the last lines, or 0 for all."""
        span = {"since": since} if since else {}
        with _naming(f"reading the log of container {name}"):
            log = self._api.logs(name, timestamps=True, tail=count or "all", stdout=True, stderr=True, **span)
        return plain_text(log.decode(errors="replace")).split("\n")

    def _inspect(self, name: str) -> Optional[Container]:
        return next(map(_container, self._found({"Id": name})), None)

    def _found(self, listed: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """What Docker reports of a container, unless it was removed meanwhile."""
        with suppress(NotFound):
            yield self._api.inspect_container(listed["Id"])

    @staticmethod
    def _naming(doing: str) -> AbstractContextManager[None]:
        """For subclasses: raises Docker's errors as FleetError with the operation."""
        return _naming(doing)

    def _inspect_image(self, reference: str) -> Optional[dict[str, Any]]:
        with _naming(f"inspecting image {reference}"), suppress(ImageNotFound):
            found: dict[str, Any] = self._api.inspect_image(reference)
            return found
        return None

    def _image(self, reference: str) -> Optional[ImageDefaults]:
        found = self._inspect_image(reference)
        if not found:
            return None
        config = found.get("Config") or {}
        return ImageDefaults(
            id=found["Id"],
            env=_env(config),
            labels=config.get("Labels") or {},
            volumes=tuple(map(clean_path, config.get("Volumes") or ())),  # `VOLUME /data/` is mounted at /data
        )


def _client(version: str) -> APIClient:
    client = APIClient(version=version, timeout=CALL_SECONDS, num_pools=64, **kwargs_from_env())
    # A socket needs no proxy; without this, requests looks for one with every call.
    client.trust_env = not client.base_url.startswith("http+docker:")
    return client


def plain_text(text: str) -> str:
    """The text without terminal colours and without characters that control a terminal."""
    return _CONTROL.sub("", _ANSI.sub("", text))


@contextmanager
def _naming(doing: str) -> Iterator[None]:
    """Raises Docker's errors as FleetError with the operation."""
    try:
        yield
    except APIError as error:
        raise FleetError(f"{doing}: {_with_remedy(str(error.explanation or error))}") from error
    except (DockerException, HTTPError, http.client.HTTPException, OSError) as error:  # HTTPError: a stream broke off
        raise FleetError(f"{doing}: {words_of(error)}") from error
    except ValueError as error:
        raise FleetError(f"{doing}: the engine's answer is incomplete or is not JSON") from error


def _with_remedy(words: str) -> str:
    remedy = next((f"; {remedy}" for pattern, remedy in _REMEDIES if re.search(pattern, words, re.IGNORECASE)), "")
    return words + remedy


def _aliases(container_id: str, endpoints: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """Sorted, without the short ID that Docker itself adds."""
    given = {alias for endpoint in endpoints for alias in endpoint.get("Aliases") or ()}
    return tuple(sorted(given - {container_id[:12]}))


def _host_image(listed: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> HostImage:
    """Docker lists an image without a name as `<none>:<none>`."""
    tags, digests = (
        tuple(name for name in listed.get(key) or () if not name.startswith("<none>"))
        for key in ("RepoTags", "RepoDigests")
    )
    names = {listed["Id"], *tags, *digests}
    used = any(has_image(one, names) for one in containers)
    return HostImage(id=listed["Id"], tags=tags, digests=digests, size=listed.get("Size", 0), used=used)


def has_image(container: Mapping[str, Any], names: Collection[str]) -> bool:
    """Whether a listed container has an image of this ID or of one of these names: with the containerd image store, a
    container may have another ID of the same image."""
    return container.get("ImageID") in names or short_reference(container.get("Image") or "") in names


def _is_model(labels: Mapping[str, str]) -> bool:
    return labels.get("managed-by") == MANAGED_BY and "model-name" in labels


def _name(listed: Mapping[str, Any]) -> str:
    """The name without a second slash: links add further names."""
    names = (str(name) for name in listed.get("Names") or () if name.count("/") == 1)
    return next(names, str(listed.get("Id", ""))[:12]).lstrip("/")


def _env(config: Mapping[str, Any]) -> dict[str, str]:
    pairs = (text.partition("=") for text in config.get("Env") or ())
    return {name: value for name, _equals, value in pairs}


def _capabilities(host: Mapping[str, Any]) -> tuple[str, ...]:
    """Docker reports some engines' names with CAP_ before them."""
    dropped, added = (
        sorted(str(one).upper().replace("CAP_", "") for one in host.get(key) or ()) for key in ("CapDrop", "CapAdd")
    )
    return tuple(added) if "ALL" in dropped else ("those of Docker", *added)


def _container(data: Mapping[str, Any]) -> Container:
    config, host, state = data["Config"], data["HostConfig"], data["State"]
    networks = data["NetworkSettings"].get("Networks") or {}
    health = state.get("Health") or {}
    last_check = (health.get("Log") or [{}])[-1]
    kind, *check = (config.get("Healthcheck") or {}).get("Test") or ["NONE"]
    mounts = tuple(
        Mount(mount["Name"] if mount["Type"] == "volume" else mount["Source"], mount["Destination"], not mount["RW"])
        for mount in data.get("Mounts") or ()
    )
    return Container(
        id=data["Id"],
        status=state["Status"],
        address=next((end["IPAddress"] for end in networks.values() if end.get("IPAddress")), None),
        started_at=state["StartedAt"],
        process=state.get("Pid") or 0,
        restarts=data["RestartCount"],
        exit_code=state["ExitCode"],
        health=health.get("Status", ""),
        health_check=tuple(["/bin/sh", "-c", *check] if kind == "CMD-SHELL" else check),
        last_check=(last_check.get("Start", ""), last_check.get("Output", "")),
        spec=Spec(
            name=data["Name"].lstrip("/"),
            image=data["Image"],
            entrypoint=tuple(config.get("Entrypoint") or ()),
            command=tuple(config.get("Cmd") or ()),
            env=_env(config),
            mounts=mounts,
            networks=tuple(networks),
            aliases=_aliases(data["Id"], networks.values()),
            devices=requested_devices(host),
            labels=config.get("Labels") or {},
            restart=host["RestartPolicy"]["Name"],
            shm_size=host["ShmSize"],
            ipc=host["IpcMode"],
            init=bool(host.get("Init")),
            cpus=host.get("CpusetCpus") or "",
            capabilities=_capabilities(host),
            new_privileges=not {_NO_NEW_PRIVILEGES, f"{_NO_NEW_PRIVILEGES}:true"} & {*(host.get("SecurityOpt") or ())},
            memory=host.get("Memory") or 0,
            weight=host.get("CpuShares") or WEIGHT,
            nodes=tuple(device["PathOnHost"] for device in host.get("Devices") or ()),
        ),
    )

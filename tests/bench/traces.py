"""Parts of a fleet on this machine: the bench must not disturb them, and must remove its own."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import IPv4Network

from docker import DockerClient
from docker.errors import NotFound
from docker.types import IPAMConfig, IPAMPool
from playbook import BenchError

NETWORK = "fleet-model-"  # before the name of the model
POOL = IPv4Network("10.203.0.0/16")
CACHE = "fleet-hf-cache"
ENGINE = "inference-fleet/engine-stand-in:1"
_OWN = re.compile(r"vllm-bench-\d{3}-\d+")


def model_name(index: int) -> str:
    return f"bench-{index:03}"


def managed(docker: DockerClient) -> list[str]:
    """The names of the containers that the collection manages."""
    found = docker.containers.list(all=True, filters={"label": "managed-by=inference.fleet"}, ignore_removed=True)
    return sorted(str(container.name) for container in found)


def foreign(docker: DockerClient) -> list[str]:
    """The managed containers that the bench did not create."""
    return [name for name in managed(docker) if not _OWN.fullmatch(name)]


def remove_own(docker: DockerClient) -> None:
    """Removes the bench's model containers one by one: Docker 20.10 sometimes miscounts a network's
    endpoints when many containers are removed at once, and then keeps the network."""
    for name in set(managed(docker)) - set(foreign(docker)):
        docker.containers.get(name).remove(force=True, v=True)


def refuse(found: list[str], why: str) -> None:
    if found:
        raise BenchError(f"{why}: {', '.join(found)}; take it away first (ansible-playbook inference.fleet.uninstall)")


def need_images(docker: DockerClient, *references: str) -> None:
    for reference in references:
        if not docker.images.list(name=reference):
            name = reference.partition("/")[2].partition(":")[0]
            raise BenchError(f"image {reference} is missing; build it: python tests/lab/images/build.py {name}")


@contextmanager
def networks_and_volume(docker: DockerClient, models: int) -> Iterator[None]:
    """What the containers of so many models need; what this created is removed afterwards."""
    made = [
        docker.networks.create(
            NETWORK + model_name(index), internal=True, ipam=IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet))])
        )
        for index, subnet in zip(range(models), POOL.subnets(new_prefix=28), strict=False)
        if not docker.networks.list(names=[f"^{NETWORK}{model_name(index)}$"])
    ]
    had_cache = has_volume(docker, CACHE)
    try:
        yield
    finally:
        for network in made:
            network.remove()
        if not had_cache and has_volume(docker, CACHE):
            docker.volumes.get(CACHE).remove()


def has_volume(docker: DockerClient, name: str) -> bool:
    try:
        return bool(docker.volumes.get(name))
    except NotFound:
        return False

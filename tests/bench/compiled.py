"""The start of the real vLLM on this machine's CPU, with and without the code that an earlier start compiled."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable, Iterator

from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import COMPILED_MOUNT
from docker import DockerClient
from docker.models.containers import Container
from playbook import BenchError
from report import Findings, spread

IMAGE = "inference-fleet/vllm-cpu-compiler:0.32.0"
VOLUME = "inference-fleet-bench-compiled"
ROUNDS = 3
PATIENCE_S = 600
OPTIONS = ["/models/tiny-chat", "--max-model-len", "256"]


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    empty, kept, eager = [], [], []
    try:
        for number in range(ROUNDS):
            say(f"round {number + 1} of {ROUNDS}")
            docker.volumes.create(VOLUME)
            empty.append(_start(docker, OPTIONS))
            kept.append(_start(docker, OPTIONS))
            size = _bytes_of_volume(docker)
            docker.volumes.get(VOLUME).remove()
            eager.append(_start(docker, [*OPTIONS, "--enforce-eager"], volume=False))
    finally:
        for volume in docker.volumes.list(filters={"name": VOLUME}):
            volume.remove()
    yield Findings(
        title="Start of the real vLLM on the CPU, with the compiled code of an earlier start",
        columns=("", "from docker run to /health: median (all)"),
        rows=(
            ("with an empty cache", spread(empty)),
            ("with the cache of the start before, as the collection keeps it", spread(kept)),
            ("with --enforce-eager, which compiles nothing", spread(eager)),
        ),
        notes=(f"A Llama of two layers; the cache has {size / 1e6:.1f} MB. {ROUNDS} rounds, the three in turn.",),
    )


def _start(docker: DockerClient, options: list[str], volume: bool = True) -> float:
    """Seconds until the container is healthy."""
    begun = time.monotonic()
    container: Container = docker.containers.run(
        IMAGE,
        options,
        detach=True,
        environment={"VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1", "VLLM_CACHE_ROOT": COMPILED_MOUNT},
        volumes={VOLUME: {"bind": COMPILED_MOUNT, "mode": "rw"}} if volume else {},
        shm_size="1g",
    )
    try:
        while not _healthy(container):
            container.reload()
            if container.status == "exited" or time.monotonic() - begun > PATIENCE_S:
                end = container.logs(tail=20).decode(errors="replace")
                raise BenchError(f"vLLM is not healthy ({container.status}); the end of its log:\n{end}")
            time.sleep(0.2)
        return time.monotonic() - begun
    finally:
        container.remove(force=True)


def _healthy(container: Container) -> bool:
    networks = container.attrs["NetworkSettings"]["Networks"].values()
    address = next((network["IPAddress"] for network in networks if network["IPAddress"]), "")
    try:
        with urllib.request.urlopen(f"http://{address}:8000/health", timeout=5):
            return True
    except (OSError, ValueError):
        return False


def _bytes_of_volume(docker: DockerClient) -> int:
    volumes = {VOLUME: {"bind": "/cache", "mode": "ro"}}
    counted = docker.containers.run(IMAGE, ["-sb", "/cache"], entrypoint="du", remove=True, volumes=volumes)
    return int(counted.split()[0])

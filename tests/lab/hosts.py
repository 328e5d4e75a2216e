#!/usr/bin/env python3
"""Lab hosts: containers with systemd, an SSH server and a Docker Engine of their own.

  hosts.py start HOST LAB-HOST-IMAGE PUBLIC-KEY [IMAGE...]
                                        start it from an image lab-host, with these images in its engine; print its
                                        address
  hosts.py remove HOST                  remove it and all that its engine kept
  hosts.py fill LAB-HOST-IMAGE IMAGE... load these images into the store, so that no host waits for them

Loading the images into every host again would take minutes and the disk each time. So they
are loaded once, by the engine of a lab host, into a folder of their own (the store), and
every host gets a copy of that folder in which the layers are hard links: an engine only
ever reads a layer's files or unlinks them. Everything else in the folder is small, written
in place, and copied.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import docker
from docker.errors import NotFound

PREFIX = "inference-fleet-lab"
"""Of the names of all that is made here: the volume, and each host's container and network."""
STORE_HOST = "store"
LAYERS = "overlay2"
SIMULATED_GPUS = Path(__file__).parent / "nvidia"
"""Their programs, which each host gets; tests/lab/nvidia/install.yml makes GPUs of them where a scenario wants some."""
BOOT_SECONDS = 90
POLL_SECONDS = 0.2
# What systemd and an engine need inside a container. `systempaths` is an option of the
# command line alone, which is why the SDK does not start these.
RUN = (
    *("docker", "run", "--detach", "--cap-add=ALL", "--cap-drop=SYS_RESOURCE"),
    *(
        "--security-opt=seccomp=unconfined",
        "--security-opt=apparmor=unconfined",
        "--security-opt=systempaths=unconfined",
    ),
    *("--device-cgroup-rule=a *:* rwm", "--cgroupns=host", "--volume=/sys/fs/cgroup:/sys/fs/cgroup:rw"),
    *("--tmpfs=/run", "--tmpfs=/run/lock", "--env=container=docker"),
)


class Lab:
    def __init__(self, client: docker.DockerClient) -> None:
        self._client = client
        # A volume, so that the folders are on the file system of Docker itself.
        self._root = Path(client.volumes.create(PREFIX).attrs["Mountpoint"])

    def start(self, host: str, system: str, key: Path, tags: Sequence[str]) -> str:
        """The host's address, once its Docker Engine answers. system: tag of the image lab-host that it runs."""
        self.remove(host)
        if tags:
            with self._locked():
                self._fill_store(system, tags)
                self._clone_store(host)
        self._run(host, system, "--volume", f"{key.resolve()}:/root/.ssh/authorized_keys:ro")
        programs = [str(SIMULATED_GPUS), f"{_container(host)}:/opt/simulated-nvidia"]
        subprocess.run(["docker", "cp", *programs], check=True, stdout=subprocess.DEVNULL)
        (network,) = self._client.containers.get(_container(host)).attrs["NetworkSettings"]["Networks"].values()
        return str(network["IPAddress"])

    def fill(self, system: str, tags: Sequence[str]) -> None:
        with self._locked():
            self._fill_store(system, tags)

    def remove(self, host: str) -> None:
        with suppress(NotFound):
            self._client.containers.get(_container(host)).remove(force=True)
        with suppress(NotFound):
            self._client.networks.get(_container(host)).remove()
        if self._folder(host).exists():
            shutil.rmtree(self._folder(host))

    def _folder(self, host: str) -> Path:
        return self._root / host

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self._root / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _fill_store(self, system: str, tags: Sequence[str]) -> None:
        """Load images that are missing or outdated in the store."""
        record = self._root / "store.images"
        wanted = {tag: str(self._client.images.get(tag).id) for tag in tags}
        there = record.exists() and self._folder(STORE_HOST).exists()
        present = dict(line.split() for line in record.read_text().splitlines()) if there else {}
        missing = [tag for tag, image in wanted.items() if present.get(tag) != image]
        if not missing:
            return
        with suppress(NotFound):  # left by a run that was killed: this run has the lock
            self._client.containers.get(_container(STORE_HOST)).remove(force=True)
        self._run(STORE_HOST, system)
        try:
            _load(missing)
            _in_host(STORE_HOST, "docker", "image", "prune", "--force")
            self._client.containers.get(_container(STORE_HOST)).stop(timeout=60)
        finally:
            self._client.containers.get(_container(STORE_HOST)).remove(force=True)
            self._client.networks.get(_container(STORE_HOST)).remove()
        present.update(wanted)
        record.write_text("".join(f"{tag} {image}\n" for tag, image in present.items()))

    def _clone_store(self, host: str) -> None:
        self._folder(host).mkdir()
        for entry in self._folder(STORE_HOST).iterdir():
            flags = "-al" if entry.name == LAYERS else "-a"
            subprocess.run(["cp", flags, str(entry), str(self._folder(host))], check=True)

    def _run(self, host: str, system: str, *options: str) -> None:
        # Of its own, so that no other host gets its address while it is down.
        if not self._client.networks.list(names=[f"^{_container(host)}$"]):
            self._client.networks.create(_container(host))
        self._folder(host).mkdir(exist_ok=True)
        own = ["--name", _container(host), "--hostname", host, "--network", _container(host)]
        own += ["--volume", f"{self._folder(host)}:/var/lib/docker"]
        subprocess.run([*RUN, *own, *options, system], check=True, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + BOOT_SECONDS
        while _in_host(host, "docker", "version", check=False):
            if time.monotonic() > deadline:
                sys.exit(f"hosts.py: no engine in {host} after {BOOT_SECONDS} s; docker logs {_container(host)}")
            time.sleep(POLL_SECONDS)


def _load(tags: Sequence[str]) -> None:
    """Together, so that a layer which several of them have goes through once."""
    print(f"loading {' '.join(tags)} into the lab's image store", file=sys.stderr, flush=True)
    command = ["docker", "exec", "--interactive", _container(STORE_HOST), "docker", "load", "--quiet"]
    with subprocess.Popen(["docker", "save", *tags], stdout=subprocess.PIPE) as save:
        load = subprocess.run(command, stdin=save.stdout, stdout=subprocess.DEVNULL, check=False)
    if save.returncode or load.returncode:
        sys.exit(f"hosts.py: docker save ended with {save.returncode}, docker load with {load.returncode}")


def _container(host: str) -> str:
    return f"{PREFIX}-{host}"


def _in_host(host: str, *command: str, check: bool = True) -> int:
    ended = subprocess.run(["docker", "exec", _container(host), *command], capture_output=True, text=True)
    if check and ended.returncode:
        sys.exit(f"hosts.py: {' '.join(command)} in {host} ended with {ended.returncode}: {ended.stderr}")
    return ended.returncode


def main(arguments: Sequence[str]) -> None:
    lab = Lab(docker.from_env(timeout=600))
    match arguments:
        case ["start", host, system, key, *tags]:
            print(lab.start(host, system, Path(key), tags))
        case ["remove", host]:
            lab.remove(host)
        case ["fill", system, *tags] if tags:
            lab.fill(system, tags)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])

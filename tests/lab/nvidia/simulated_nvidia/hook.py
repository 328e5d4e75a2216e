"""The stand-in for nvidia-container-runtime-hook, which Docker has runc call for `--gpus`.

It looks up what NVIDIA_VISIBLE_DEVICES names, refuses what is not there as
nvidia-container-cli does, and records the container as a client. It puts nothing into it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from simulated_nvidia import config
from simulated_nvidia.answer import Refused
from simulated_nvidia.clients import Client, Clients, Use, start_of
from simulated_nvidia.config import Paths
from simulated_nvidia.faults import Faults
from simulated_nvidia.state import Gpu, Host, Store

VARIABLE = "NVIDIA_VISIBLE_DEVICES"
NOTHING = ("", "none", "void")
CLI = "nvidia-container-cli"


class UnknownDevice(Exception):
    pass


def main(
    arguments: Sequence[str],
    stdin: TextIO | None = None,
    environment: Mapping[str, str] | None = None,
    err: TextIO | None = None,
) -> int:
    if list(arguments) != ["prestart"]:
        return 0
    paths = Paths.of(os.environ if environment is None else environment)
    try:
        admit(json.load(stdin or sys.stdin), paths)
    except UnknownDevice as device:
        problem = f"{CLI}: device error: {device}: unknown device"
    except Refused as refused:
        text = "driver/library version mismatch" if "mismatch" in str(refused) else "driver not loaded"
        problem = f"{CLI}: initialization error: nvml error: {text}"
    else:
        return 0
    print(problem, file=err or sys.stderr)
    return 1


def admit(container: dict[str, str], paths: Paths) -> None:
    """container: its OCI state, which runc gives a hook."""
    wanted = visible_devices(Path(container["bundle"]))
    if wanted in NOTHING:
        return
    settings = config.load(paths.config)
    store = Store(paths)
    store.prepare(settings)
    faults = Faults(paths.state, f"{CLI} {wanted}")
    with store.locked():
        faults.driver()
        host = store.load(settings)
        uses = tuple(
            dict.fromkeys(use for item in wanted.split(",") for use in resolve(host, item.strip(), faults.lost))
        )
        pid = int(container["pid"])
        Clients(paths).admit(Client(container["id"], pid, start_of(pid) or "", uses))


def visible_devices(bundle: Path) -> str:
    """The variable of the container to be; the last one counts."""
    environment = json.loads((bundle / "config.json").read_text())["process"].get("env", [])
    values = [value for name, _, value in (item.partition("=") for item in environment) if name == VARIABLE]
    return values[-1] if values else ""


def resolve(host: Host, item: str, lost: frozenset[int] = frozenset()) -> list[Use]:
    """item: all, an index, GPU:device by indices, or a UUID of either kind and either form."""
    gpus = [gpu for gpu in host.gpus if gpu.config.index not in lost]
    if item == "all":
        return [use for gpu in gpus for use in (_devices(gpu) if gpu.mig else [Use(gpu.config.uuid)])]
    for gpu in gpus:
        for names, use in _names(host, gpu):
            if item in names:
                return [use]
    raise UnknownDevice(item)


def _names(host: Host, gpu: Gpu) -> Iterator[tuple[set[str], Use]]:
    index, uuid = gpu.config.index, gpu.config.uuid
    yield {str(index), uuid}, Use(uuid)
    for number, (instance, part) in enumerate(gpu.devices()):
        names = {f"{index}:{number}", host.uuid(gpu, instance, part)}
        yield names, Use(uuid, instance.id, part.id)


def _devices(gpu: Gpu) -> list[Use]:
    return [Use(gpu.config.uuid, instance.id, part.id) for instance, part in gpu.devices()]

"""The stand-in for nvidia-ctk, for what a role that prepares a host calls."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from simulated_nvidia import config
from simulated_nvidia.config import Config, Paths
from simulated_nvidia.state import Host, Store, device_nodes

VERSION = "1.17.8"
MAJOR = 195
UVM_MAJOR = 511
CONTROL_MINOR = 255
RUNTIME = {"args": [], "path": "nvidia-container-runtime"}


def main(arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> int:
    paths = Paths.of(os.environ if environment is None else environment)
    match list(arguments):
        case ["--version"]:
            print(f"NVIDIA Container Toolkit CLI version {VERSION}\ncommit: simulated")
        case ["system", "create-dev-char-symlinks", *options]:
            return _link_devices(paths, options)
        case ["runtime", "configure", *options]:
            return _configure(options)
        case ["cdi", "list"]:
            _list_cdi(paths)
        case _:
            print(f"simulated nvidia-ctk: does not know {' '.join(arguments)!r}", file=sys.stderr)
            return 1
    return 0


def _log(text: str) -> None:
    print(f'time="{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}" level=info msg="{text}"', file=sys.stderr)


def _link_devices(paths: Paths, options: list[str]) -> int:
    if "--create-all" not in options:
        print("create-all and watch are mutually exclusive, and one is needed here: --create-all", file=sys.stderr)
        return 1
    settings = config.load(paths.config)
    Store(paths).prepare(settings)
    folder = paths.dev / "char"
    folder.mkdir(exist_ok=True)
    for number, node in _numbers(settings):
        link, target = folder / number, paths.dev / node
        if not link.is_symlink():
            _log(f"Creating link {link} => {target}")
            link.symlink_to(target)
    return 0


def _numbers(settings: Config) -> list[tuple[str, str]]:
    """major:minor -> node; made up where the kernel chooses the major."""
    nodes = {
        "nvidiactl": f"{MAJOR}:{CONTROL_MINOR}",
        "nvidia-uvm": f"{UVM_MAJOR}:0",
        "nvidia-uvm-tools": f"{UVM_MAJOR}:1",
    }
    nodes |= {f"nvidia{gpu.minor}": f"{MAJOR}:{gpu.minor}" for gpu in settings.gpus}
    return [(nodes[node], node) for node in device_nodes(settings)]


def _configure(options: list[str]) -> int:
    """--runtime=docker [--config=FILE] [--set-as-default]."""
    values = dict(option.split("=", 1) for option in options if "=" in option)
    if values.get("--runtime") != "docker":
        print("simulated nvidia-ctk: knows --runtime=docker only", file=sys.stderr)
        return 1
    path = Path(values.get("--config", "/etc/docker/daemon.json"))
    _log(f"Loading config from {path}" if path.exists() else "Config file does not exist; using empty config")
    settings = json.loads(path.read_text()) if path.exists() else {}
    settings.setdefault("runtimes", {})["nvidia"] = RUNTIME
    if "--set-as-default" in options:
        settings["default-runtime"] = "nvidia"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(settings, indent=4) + "\n")
    _log(f"Wrote updated config to {path}")
    _log("It is recommended that docker daemon be restarted.")
    return 0


def _list_cdi(paths: Paths) -> None:
    settings = config.load(paths.config)
    store = Store(paths)
    store.prepare(settings)
    with store.locked():
        names = sorted(_cdi_names(store.load(settings)))
    _log(f"Found {len(names)} CDI devices")
    print("\n".join(f"nvidia.com/gpu={name}" for name in names))


def _cdi_names(host: Host) -> list[str]:
    names = ["all"]
    for gpu in host.gpus:
        devices = gpu.devices()
        if not devices:
            names += [str(gpu.config.index), gpu.config.uuid]
        for number, (instance, part) in enumerate(devices):
            names += [f"{gpu.config.index}:{number}", host.uuid(gpu, instance, part)]
    return names

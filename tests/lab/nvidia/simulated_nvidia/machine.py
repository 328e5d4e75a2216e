"""A machine with simulated GPUs for unit tests, under one folder; nvidia-smi runs in this process."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulated_nvidia import cli, hook


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str = ""


class Machine:
    """hardware: what /etc/simulated-nvidia.json would say."""

    def __init__(self, folder: Path, **hardware: Any) -> None:
        self.folder = folder
        self.state, self.dev = folder / "state", folder / "dev"
        self.environment = {
            "SIMULATED_NVIDIA_CONFIG": str(folder / "config.json"),
            "SIMULATED_NVIDIA_STATE": str(self.state),
            "SIMULATED_NVIDIA_PERSISTENT": str(folder / "persistent"),
            "SIMULATED_NVIDIA_DEV": str(self.dev),
        }
        (folder / "config.json").write_text(json.dumps(hardware))

    def smi(self, command: str) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        code = cli.main(command.split(), self.environment, out, err)
        return Answer(code, out.getvalue(), err.getvalue())

    def ok(self, *commands: str) -> str:
        """What the last of them prints; all have to go well."""
        answers = [self.smi(command) for command in commands]
        for command, answer in zip(commands, answers, strict=True):
            assert answer.code == 0, f"nvidia-smi {command}: {answer}"
        return answers[-1].out

    def mig(self, gpu: int = 0) -> Machine:
        """Itself, with MIG mode on."""
        self.ok(f"-i {gpu} -mig 1", f"-i {gpu} --gpu-reset")
        return self

    def reboot(self) -> None:
        shutil.rmtree(self.state)

    def fault(self, **faults: Any) -> None:
        self.ok("-L")
        (self.state / "faults.json").write_text(json.dumps(faults))

    def start_container(self, devices: str, pid: int, name: str = "c") -> Answer:
        """Through the hook, as runc calls it before the process with this PID becomes the container's own."""
        bundle = self.folder / name
        bundle.mkdir(exist_ok=True)
        process = {"env": ["PATH=/bin", f"NVIDIA_VISIBLE_DEVICES={devices}"]}
        (bundle / "config.json").write_text(json.dumps({"process": process}))
        stdin = io.StringIO(json.dumps({"id": name, "pid": pid, "bundle": str(bundle)}))
        err = io.StringIO()
        code = hook.main(["prestart"], stdin, self.environment, err)
        return Answer(code, "", err.getvalue())

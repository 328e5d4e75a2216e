"""The collection's nvidia-smi over a machine with simulated GPUs, in this process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import Answer, NvidiaSmi

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "lab" / "nvidia"))

from simulated_nvidia.machine import Machine

__all__ = ["Machine", "Runner", "smi_of"]


class Runner:
    """Runs each command on the machine. asked: the commands so far."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.asked: list[str] = []

    def __call__(self, command: Sequence[str], seconds: int) -> Answer:
        self.asked.append(" ".join(command[1:]))
        answer = self.machine.smi(self.asked[-1])
        return Answer(answer.code, answer.out + answer.err)


def smi_of(machine: Machine) -> NvidiaSmi:
    return NvidiaSmi("/usr/bin/nvidia-smi", run=Runner(machine))

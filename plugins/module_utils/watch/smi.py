# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The GPUs of a host for an observation, from nvidia-smi. A driver that hangs delays an observation by seconds only."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import resolve, with_known_profiles
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import Answer, NvidiaSmi, run_limited
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.watch.figures import QUERY, parse_figures
from ansible_collections.inference.fleet.plugins.module_utils.watch.observation import (
    device_names,
    gpu_details,
    one_line,
)

FIGURES_S = 3
LAYOUT_S = 10  # for each call of nvidia-smi


def gpu_figures(run: Callable[[Sequence[str], int], Answer] = run_limited) -> tuple[list[dict[str, Any]], str]:
    """The figures of each GPU, and why there are none."""
    try:
        answer = run([shutil.which("nvidia-smi") or "nvidia-smi", *QUERY], FIGURES_S)
    except FleetError as error:
        return [], one_line(str(error))
    found = parse_figures(answer.text)
    return found, "" if found else f"nvidia-smi: {one_line(answer.text)}"


def layout_of_gpus(containers: Sequence[HostContainer]) -> dict[str, Any]:
    """GPUs with their instances and holders. containers: all of the host."""
    try:
        observed = NvidiaSmi(run=lambda command, _seconds: run_limited(command, LAYOUT_S)).observe()
    except FleetError as error:
        return {"gpus": [], "gpu_note": one_line(str(error)), "devices": {}}
    known = with_known_profiles(observed.gpus)
    plain = [replace(gpu, profiles=known[gpu.uuid]).as_dict() for gpu in observed.gpus]
    holders = {
        one.name: frozenset().union(*(resolve(observed.gpus, device) for device in one.devices))
        for one in containers
        if one.running and one.devices
    }
    note = observed.note or "; ".join(observed.warnings)
    return {
        "gpus": gpu_details(plain, holders),
        "gpu_note": one_line(note) if note else "",
        "devices": device_names(plain),
    }

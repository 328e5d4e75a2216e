# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The device nodes behind a container's GPUs. Pure.

`docker run --gpus` allows these nodes without systemd knowing, and systemd revokes access when it
reloads its units. A node passed to the container by name stays accessible (NVIDIA Container
Toolkit, "Troubleshooting": "Containers losing access to GPUs").
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu

_ALL_USE = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools")


def parse_minors(text: str) -> dict[str, int]:
    """/proc/driver/nvidia-caps/mig-minors: lines such as `gpu0/gi1/ci0/access 5`, by the GPU's minor number."""
    rows = (line.split() for line in text.splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) == 2 and row[1].isdigit()}


def nodes_for(
    gpus: Sequence[Gpu], devices: Collection[str], present: Collection[str], minors: Mapping[str, int]
) -> tuple[str, ...]:
    """devices: UUIDs. present: the device nodes of the host; others are left out."""
    wanted = {*(_ALL_USE if devices else ()), *(node for gpu in gpus for node in _of(gpu, devices, minors))}
    return tuple(sorted(wanted & set(present)))


def _of(gpu: Gpu, devices: Collection[str], minors: Mapping[str, int]) -> Iterator[str]:
    parts = [(one.id, part.id) for one in gpu.instances for part in one.compute if part.uuid in devices]
    if gpu.uuid in devices or parts:
        yield f"/dev/nvidia{gpu.minor}"
    for instance, compute in parts:
        for path in (f"gpu{gpu.minor}/gi{instance}", f"gpu{gpu.minor}/gi{instance}/ci{compute}"):
            if f"{path}/access" in minors:
                yield f"/dev/nvidia-caps/nvidia-cap{minors[f'{path}/access']}"

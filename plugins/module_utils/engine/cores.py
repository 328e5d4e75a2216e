# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""CPU cores for the containers of models without a device. Pure.

vLLM binds its threads to cores of the container's cpuset, the same cores in every container (VLLM_CPU_OMP_THREADS_BIND
is `auto`; vllm/utils/ompmultiprocessing.py). So each container gets a cpuset of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import SIZES
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model

BINDING = "VLLM_CPU_OMP_THREADS_BIND"


def cpusets(fleet: Fleet, cores: Sequence[Sequence[int]]) -> dict[str, str]:
    """Container -> its CPUs, as Docker takes them.

    cores: the CPUs of each physical core. With fewer cores than containers, several share a core. A model that binds
    its threads itself, or that divides itself among NUMA nodes, keeps all CPUs and is not listed.
    """
    names = [name for model in fleet.models if _is_bound_by_us(model) for name in model.containers]
    if not cores:
        return {}
    sets: dict[str, str] = {}
    for place, name in enumerate(names):
        first, end = place * len(cores) // len(names), (place + 1) * len(cores) // len(names)
        own = cores[first : max(end, first + 1)]
        sets[name] = ",".join(str(cpu) for cpu in sorted(cpu for core in own for cpu in core))
    return sets


def _is_bound_by_us(model: Model) -> bool:
    env: Mapping[str, str] = dict(model.env)
    runs_on_cpu = model.devices.cpu and model.state == "running"
    return runs_on_cpu and env.get(BINDING, "auto") in ("auto", "nobind") and not dict(model.args).keys() & {*SIZES}

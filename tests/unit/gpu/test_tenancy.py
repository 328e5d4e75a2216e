"""Which model runs where, in the terms in which DCGM reports GPUs."""

from __future__ import annotations

from dataclasses import replace

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import ComputeInstance, Gpu, GpuInstance
from ansible_collections.inference.fleet.plugins.module_utils.gpu.tenancy import Tenancy, tenancies

WHOLE = Gpu(1, "GPU-1", "NVIDIA L40S", "0", 1, 46068, "550")
SLICED = Gpu(
    0,
    "GPU-0",
    "NVIDIA A100",
    "1",
    0,
    40960,
    "550",
    mig=True,
    instances=(
        GpuInstance(2, "3g.20gb", 0, 4, (ComputeInstance(0, 3, 0, "MIG-a"),)),
        GpuInstance(5, "2g.10gb", 4, 2, (ComputeInstance(0, 1, 0, "MIG-b"), ComputeInstance(1, 1, 1, "MIG-c"))),
    ),
)


def container(name: str, model: str | None, *devices: str, running: bool = True) -> HostContainer:
    labels = {"managed-by": "inference.fleet", "model-name": model} if model else {}
    return HostContainer(name, name, "vllm:1", running, labels, devices)


def test_a_slice_and_a_gpu_have_the_model_of_the_container_that_holds_them() -> None:
    found = tenancies([SLICED, WHOLE], [container("vllm-a-1", "a", "MIG-a"), container("vllm-w-1", "w", "GPU-1")])
    assert found == (
        Tenancy(0, "GPU-0", 2, "3g.20gb", ("a",), ("vllm-a-1",)),
        Tenancy(0, "GPU-0", 5, "2g.10gb"),
        Tenancy(1, "GPU-1", None, None, ("w",), ("vllm-w-1",)),
    )


def test_the_parts_of_one_slice_are_one_series_of_dcgms() -> None:
    containers = [container("vllm-p-2", "p", "MIG-c"), container("vllm-o-1", "o", "MIG-b")]
    assert tenancies([SLICED], containers)[1] == Tenancy(0, "GPU-0", 5, "2g.10gb", ("o", "p"), ("vllm-o-1", "vllm-p-2"))


def test_what_does_not_run_or_is_no_model_is_left_out() -> None:
    containers = [container("vllm-a-1", "a", "GPU-1", running=False), container("nvtop", None, "all")]
    assert tenancies([WHOLE], containers) == (Tenancy(1, "GPU-1", None, None),)


def test_a_gpu_in_mig_mode_without_instances_is_one_piece() -> None:
    assert tenancies([replace(SLICED, instances=())], []) == (Tenancy(0, "GPU-0", None, None),)

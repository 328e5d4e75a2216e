"""Which device nodes a container is given by name."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.module_utils.gpu.nodes import nodes_for, parse_minors
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import gpu

MINORS = """\
config 1
monitor 2
gpu0/gi1/access 12
gpu0/gi1/ci0/access 13
gpu0/gi2/access 21
gpu0/gi2/ci0/access 22
gpu1/gi1/access 147
"""
GPUS = (gpu(0, state=(("3g.20gb", 0), ("3g.20gb", 4))), gpu(1, mig=False))
HAS = {
    "/dev/nvidiactl",
    "/dev/nvidia-uvm",
    "/dev/nvidia0",
    "/dev/nvidia1",
    *(f"/dev/nvidia-caps/nvidia-cap{minor}" for minor in (12, 13, 21, 22)),
}


def test_a_whole_gpu_is_its_own_node_and_those_that_all_use() -> None:
    assert nodes_for(GPUS, ["GPU-1"], HAS, {}) == ("/dev/nvidia-uvm", "/dev/nvidia1", "/dev/nvidiactl")


def test_a_slice_is_its_gpus_node_and_the_capabilities_of_its_instances_alone() -> None:
    assert nodes_for(GPUS, ["MIG-0-2"], HAS, parse_minors(MINORS)) == (
        "/dev/nvidia-caps/nvidia-cap21",
        "/dev/nvidia-caps/nvidia-cap22",
        "/dev/nvidia-uvm",
        "/dev/nvidia0",
        "/dev/nvidiactl",
    )


def test_what_the_host_has_not_is_left_out() -> None:
    assert nodes_for(GPUS, ["MIG-0-2"], {"/dev/nvidiactl"}, parse_minors(MINORS)) == ("/dev/nvidiactl",)
    assert nodes_for(GPUS, ["MIG-0-2"], HAS, {}) == ("/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl")


def test_a_container_without_gpus_gets_none() -> None:
    assert nodes_for(GPUS, [], HAS, parse_minors(MINORS)) == ()


def test_lines_that_are_no_path_and_number_are_passed_over() -> None:
    assert parse_minors("gpu0/gi1/access\n\nx y z\ngpu0/gi1/access 12\n") == {"gpu0/gi1/access": 12}

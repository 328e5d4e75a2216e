"""Whether the driver fits the images of the models, as NVIDIA's container hook decides."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.preflight.cuda import (
    cuda_checks,
    inspected_images,
    meets,
    published_cuda,
)
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

VLLM = "vllm/vllm-openai:v0.22.0"
H100 = "NVIDIA H100 80GB HBM3"
ON = f"on GPU 0 ({H100})"
BRANDS = ("unknown", "grid", "tesla", "nvidia", "quadro", "quadrortx", "nvidiartx", "vapps", "vpc", "vcs", "vws")


def required(cuda: str, *branches: int) -> str:
    """As NVIDIA's images have it: the environments of vllm/vllm-openai v0.23.0 (13.0) and v0.29.0-cu129 (12.9)."""
    older = [f"brand={brand},driver>={one},driver<{one + 1}" for one in branches for brand in BRANDS]
    return " ".join([f"cuda>={cuda}", *older])


CUDA_13 = {"NVIDIA_REQUIRE_CUDA": required("13.0", 535, 550, 565, 570, 575), "CUDA_VERSION": "13.0.2"}
CUDA_12_9 = {"NVIDIA_REQUIRE_CUDA": required("12.9", 535, 550, 560, 565, 570), "CUDA_VERSION": "12.9.1"}


def gpu(driver: str, cuda: str | None, brand: str | None = "NVIDIA", name: str = H100, index: int = 0) -> Gpu:
    return Gpu(index, f"GPU-{index}", name, "", index, 81559, driver, cuda=cuda, brand=brand)


R550, R570, R575, R580 = (
    gpu("550.90.07", "12.4"),
    gpu("570.26", "12.8"),
    gpu("575.57.08", "12.9"),
    gpu("580.65", "13.0"),
)
R525, R560 = gpu("525.85.12", "12.0"), gpu("560.35.03", "12.6")
RTX_4090 = gpu("570.26", "12.8", "GeForce", "NVIDIA GeForce RTX 4090")


def reported(
    *gpus: Gpu, image: dict[str, str] | None = None, entries: list[dict[str, Any]] | None = None, **variables: Any
) -> list[str]:
    """The checks, each after its state. image: the environment of the vLLM image on the host."""
    asked = fleet(*(entries or [entry()]), images={"vllm": VLLM}, **variables)
    images = {} if image is None else {VLLM: image}
    return [f"{one.state} {one}" for one in cuda_checks(asked, images, gpus)]


# Requirements


@pytest.mark.parametrize(
    ("expression", "one", "met"),
    [
        ("cuda>=13.0", R580, True),
        ("cuda>=13", R580, True),
        ("cuda>=13.0", R575, False),
        ("cuda>12.8", R570, False),
        ("cuda<=12.8.0", R570, True),
        ("cuda!=12.8", R570, False),
        ("cuda>=13.0 brand=nvidia,driver>=570,driver<571", R570, True),
        ("cuda>=13.0 brand=tesla,driver>=570,driver<571", R570, False),
        ("cuda>=13.0 brand=NVIDIA,driver>=550,driver<551", R550, True),
        ("cuda>=13.0  brand!=tesla,driver<571", R570, True),
        ("driver>=570.26", R570, True),
        ("driver>=570.124", R570, False),
        ("arch>=9.0", R570, True),
        ("CUDA>=12.8", R570, True),
        ("", R525, True),
        (" , ", R525, True),
        ("cuda>=13.0", gpu("580.65", None), True),
        ("brand=tesla", gpu("580.65", "13.0", None), True),
        ("brand=nvidiartx", gpu("580.65", "13.0", "NVIDIA RTX"), True),
        ("brand=vws", gpu("580.65", "13.0", "NVIDIA RTX Virtual Workstation"), True),
        (required("12.9", 570), RTX_4090, False),
    ],
)
def test_a_requirement_is_read_as_the_hook_reads_it(expression: str, one: Gpu, met: bool) -> None:
    assert meets(expression, one) is met


@pytest.mark.parametrize(
    "condition", ["cuda", "cuda==13.0", "cuda>=", "glibc>=2.35", "brand>tesla", "cuda>=13.x", ">=1"]
)
def test_a_condition_that_the_hook_cannot_read_is_a_fault_with_it(condition: str) -> None:
    with pytest.raises(ValueError, match=f"^{condition}$"):
        meets(condition, R580)
    assert reported(R580, image={"NVIDIA_REQUIRE_CUDA": condition}) == [
        f"fault fleet_images.vllm: {VLLM} has NVIDIA_REQUIRE_CUDA={condition}, which NVIDIA's hook cannot read; "
        "correct the variable in the image or in the model's env"
    ]


def test_a_condition_after_one_that_is_met_is_not_read() -> None:
    assert meets("cuda>=12.4 glibc>=2.35", R550)


# Images on the host


@pytest.mark.parametrize(("image", "one"), [(CUDA_13, R580), (CUDA_12_9, R570), (CUDA_12_9, R575), (CUDA_12_9, R580)])
def test_an_image_whose_requirement_is_met_is_good(image: dict[str, str], one: Gpu) -> None:
    assert reported(one, image=image) == [
        f"ok cuda: the driver supports CUDA {one.cuda}, as the images of the models need"
    ]


def test_a_requirement_that_is_not_met_is_a_fault_with_both_ways_out() -> None:
    assert reported(R560, image=CUDA_13) == [
        f"fault fleet_images.vllm: {VLLM} requires cuda>=13.0, and driver 560.35.03 supports CUDA 12.6 {ON}: "
        "NVIDIA's hook would refuse the container; install driver 580 or later and reboot, "
        f"or set fleet_images.vllm to {VLLM}-cu129"
    ]


@pytest.mark.parametrize(
    ("tag", "other"),
    [
        ("v0.29.0", "v0.29.0-cu129"),
        ("v0.30.0", "v0.29.0-cu129"),
        ("v0.31.0", "v0.29.0-cu129"),
        ("v1.0.0@sha256:" + 64 * "0", "v0.29.0-cu129"),
    ],
)
def test_no_tag_that_does_not_start_is_named(tag: str, other: str) -> None:
    """v0.30.0-cu129: operator torchvision::nms does not exist; v0.31.0-cu129: no libnvrtc.so.13 for torchcodec."""
    (line,) = reported(R560, entries=[entry(image=f"hub.example:5000/vllm-openai:{tag}")])
    assert line.endswith(f"or set fleet_models[0].image to hub.example:5000/vllm-openai:{other}")


def test_a_driver_that_is_too_old_for_every_tag_gets_none() -> None:
    (line,) = reported(R525, image=CUDA_13)
    assert line.endswith("or set fleet_images.vllm to an image for CUDA 12.0 or earlier")
    assert reported(R525, image=CUDA_12_9)[0].startswith("fault ")


def test_a_consumer_gpu_gets_no_tag_that_the_hook_would_refuse_too() -> None:
    (line,) = reported(RTX_4090, image=CUDA_13)
    assert line.endswith(
        "install driver 580 or later and reboot, or set fleet_images.vllm to an image for CUDA 12.8 or earlier"
    )
    (line,) = reported(gpu("575.57", "12.9", "GeForce", "NVIDIA GeForce RTX 4090"), image=CUDA_13)
    assert line.endswith(f"or set fleet_images.vllm to {VLLM}-cu129")


def test_an_older_driver_that_the_hook_admits_needs_the_compatibility_libraries() -> None:
    assert reported(R570, image=CUDA_13) == [
        f"warn fleet_images.vllm: {VLLM} is built for CUDA 13.0, and driver 570.26 supports CUDA 12.8 {ON}: "
        "it runs only on data centre and professional GPUs, with the image's compatibility libraries; "
        f"install driver 580 or later and reboot, or set fleet_images.vllm to {VLLM}-cu129, "
        'or set VLLM_ENABLE_CUDA_COMPATIBILITY: "1" in the model\'s env'
    ]
    asked = [entry(env={"VLLM_ENABLE_CUDA_COMPATIBILITY": "1"})]
    assert reported(R570, image=CUDA_13, entries=asked)[0].startswith("ok cuda: ")
    assert reported(R570, entries=asked)[0].startswith("ok cuda: ")


@pytest.mark.parametrize(
    ("one", "start"),
    [
        (R580, "ok cuda: "),
        (R575, f"fault fleet_images.vllm: {VLLM} is built for CUDA 13.0, and driver 575.57.08 supports CUDA 12.9"),
    ],
)
def test_by_its_cuda_version_alone_a_lower_major_is_a_fault(one: Gpu, start: str) -> None:
    (line,) = reported(one, image={"CUDA_VERSION": "13.0.2"})
    assert line.startswith(start)


def test_by_its_cuda_version_alone_a_lower_minor_is_a_warning() -> None:
    assert reported(R570, image={"CUDA_VERSION": "12.9.1"}) == [
        f"warn fleet_images.vllm: {VLLM} is built for CUDA 12.9, and driver 570.26 supports CUDA 12.8 {ON}: "
        "kernels that are compiled at run time may fail, and NVIDIA's hook may refuse the container; "
        "install driver 575 or later and reboot, or set fleet_images.vllm to an image for CUDA 12.8 or earlier"
    ]


def test_every_requirement_counts_except_jetpacks() -> None:
    image = {**CUDA_13, "NVIDIA_REQUIRE_DRIVER": "driver>=590", "NVIDIA_REQUIRE_JETPACK": "csv-mounts=base-only"}
    (line,) = reported(R580, image=image)
    assert line.startswith(f"fault fleet_images.vllm: {VLLM} requires driver>=590, and")
    assert line.endswith(
        "install a driver that meets NVIDIA_REQUIRE_DRIVER and reboot, or set fleet_images.vllm to another image"
    )


@pytest.mark.parametrize(("value", "state"), [("true", "warn"), ("1", "warn"), ("false", "fault"), ("", "fault")])
def test_a_hook_that_is_told_to_check_nothing_refuses_nothing(value: str, state: str) -> None:
    (line,) = reported(R525, image=CUDA_13, entries=[entry(env={"NVIDIA_DISABLE_REQUIRE": value})])
    assert line.startswith(f"{state} fleet_images.vllm")


def test_an_image_on_the_host_without_cuda_is_not_judged_by_its_tag() -> None:
    """As the lab's images, or one for another engine."""
    assert reported(R525, image={"PATH": "/usr/bin"}) == []


# Images that are not on the host


@pytest.mark.parametrize(
    ("image", "cuda"),
    [
        ("vllm/vllm-openai:v0.22.0", "13.0"),
        ("vllm/vllm-openai:v0.20.0", "13.0"),
        ("vllm/vllm-openai:v0.19.1", "12.8"),
        ("vllm/vllm-openai:v0.8.5.post1", "12.4"),
        ("vllm/vllm-openai:v0.2.0", None),
        ("vllm/vllm-openai:v0.22.0-cu129", "12.9"),
        ("vllm/vllm-openai:v0.29.0-cu129-ubuntu2404", "12.9"),
        ("vllm/vllm-openai:v0.18.0-cu130", "13.0"),
        ("vllm/vllm-omni:v0.22.0", "13.0"),
        ("registry.corp.example:5000/mirror/vllm-openai:v0.22.0@sha256:" + 64 * "0", "13.0"),
        ("vllm/vllm-openai:nightly", None),
        ("vllm/vllm-openai@sha256:" + 64 * "0", None),
        ("vllm/vllm-openai-rocm:v0.22.0", None),
        ("corp/engine:v0.22.0", None),
    ],
)
def test_the_tag_of_a_published_image_tells_its_cuda(image: str, cuda: str | None) -> None:
    assert published_cuda(image) == cuda


def test_an_image_that_is_still_to_be_pulled_is_judged_by_its_tag() -> None:
    (line,) = reported(R550)
    assert line == (
        f"fault fleet_images.vllm: {VLLM} is built for CUDA 13.0, and driver 550.90.07 supports CUDA 12.4 {ON}; "
        f"install driver 580 or later and reboot, or set fleet_images.vllm to {VLLM}-cu129"
    )
    (line,) = reported(R550, entries=[entry(image=f"{VLLM}-cu129")])
    assert line.startswith(f"warn fleet_models[0].image: {VLLM}-cu129 is built for CUDA 12.9, and driver 550.90.07")


@pytest.mark.parametrize("image", ["vllm/vllm-openai:latest", "vllm/vllm-openai@sha256:" + 64 * "0", "corp/engine:1"])
def test_an_image_whose_cuda_nobody_knows_is_a_warning(image: str) -> None:
    assert reported(R550, entries=[entry(image=image)]) == [
        f"warn fleet_models[0].image: the CUDA of {image} is not known, so the image was not compared with driver "
        f"550.90.07; when the image is on the host, run preflight again: then its own variables count"
    ]


@pytest.mark.parametrize("version", ["abc", "13", "cuda-13.0"])
def test_a_cuda_version_that_cannot_be_read_is_a_warning(version: str) -> None:
    assert reported(R580, image={"CUDA_VERSION": version}) == [
        f"warn fleet_images.vllm: the CUDA of {VLLM} is not known, so the image was not compared with driver 580.65; "
        f"CUDA_VERSION in the image or in the model's env: expected such as 13.0, got {version!r}"
    ]
    assert reported(R580, image={"CUDA_VERSION": version, "NVIDIA_REQUIRE_CUDA": "cuda>=13.0"})[0].startswith("ok cuda")


@pytest.mark.parametrize("image", [None, CUDA_13, {"CUDA_VERSION": "13.0.2"}])
def test_a_driver_whose_cuda_nobody_knows_is_a_warning(image: dict[str, str] | None) -> None:
    assert reported(gpu("470.1", None), image=image) == [
        f"warn fleet_images.vllm: {VLLM} is built for CUDA 13.0, and driver 470.1 supports an unknown CUDA {ON}: they "
        "were not compared; see what `nvidia-smi` on the host prints as CUDA version; driver 580 or later is needed"
    ]


def test_a_requirement_without_cuda_is_judged_whatever_the_driver_supports() -> None:
    image = {"NVIDIA_REQUIRE_DRIVER": "driver>=470"}
    assert reported(gpu("470.1", None), image=image) == [
        "ok cuda: the driver meets the requirements of the models' images"
    ]
    (line,) = reported(gpu("460.1", None), image=image)
    assert line.startswith(
        f"fault fleet_images.vllm: {VLLM} requires driver>=470, and driver 460.1 supports an unknown"
    )


# Which models, which GPUs


def test_the_setting_of_the_image_is_named_once_for_all_its_models() -> None:
    models = [
        entry(name="a"),
        entry(name="b"),
        entry(name="c", type="tts"),
        entry(name="d", image="vllm/vllm-openai:v0.9.0"),
    ]
    lines = reported(R525, entries=models)
    assert [line.partition(": ")[0] for line in lines] == [
        "fault fleet_images.vllm",
        "fault fleet_images.vllm_omni",
        "warn fleet_models[3].image",
    ]


@pytest.mark.parametrize(("base", "path"), [("vllm", "fleet_images.vllm"), (VLLM, "fleet_recipes.audio.base")])
def test_a_recipes_image_is_judged_by_its_base_until_it_is_built(base: str, path: str) -> None:
    changes = {"recipes": {"audio": {"base": base, "pip": ["vllm[audio]"]}}, "entries": [entry(recipe="audio")]}
    (line,) = reported(R525, **changes)
    assert line.startswith(f"fault {path}: {VLLM} is built for CUDA 13.0")
    (line,) = reported(R525, image=CUDA_13, **changes)
    assert line.startswith(f"fault {path}: {VLLM} requires cuda>=13.0")


def test_a_built_recipe_is_judged_by_its_own_environment() -> None:
    asked = fleet(entry(recipe="audio"), images={"vllm": VLLM}, recipes={"audio": {"pip": ["vllm[audio]"]}})
    built = asked.image_of(asked.models[0])
    assert inspected_images(asked) == {VLLM, built}
    assert [one.state for one in cuda_checks(asked, {VLLM: CUDA_13, built: CUDA_12_9}, [R570])] == ["ok"]


def test_models_without_a_gpu_or_a_container_are_left_out() -> None:
    models = [entry(name="a", devices={"cpu": True}), entry(name="b", state="absent")]
    assert reported(R525, entries=models) == []
    assert inspected_images(fleet(*models)) == set()


def test_a_model_is_judged_by_its_own_gpus() -> None:
    both = (R580, gpu("580.65", "13.0", "GeForce", "NVIDIA GeForce RTX 4090", 1))
    image = {"NVIDIA_REQUIRE_CUDA": "cuda>=13.0,brand=nvidia"}
    assert reported(*both, image=image, entries=[entry(devices={"gpus": [0]})])[0].startswith("ok cuda")
    assert reported(*both, image=image, entries=[entry(devices={"gpus": [1]})])[0].startswith("fault fleet_images.vllm")
    (line,) = reported(*both, image=image)
    assert line.startswith("warn fleet_images.vllm: ")
    assert "on GPU 1 (NVIDIA GeForce RTX 4090)" in line

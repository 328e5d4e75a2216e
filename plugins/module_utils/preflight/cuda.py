# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks whether the driver fits the images of the models, as NVIDIA's container hook does. Pure.

The hook compares each NVIDIA_REQUIRE_* of a container's environment with every GPU of the container
(NVIDIA/libnvidia-container, src/cli/dsl.c and configure.c; nvidia-container-toolkit,
internal/config/image/cuda_image.go). An image without NVIDIA_REQUIRE_CUDA is compared by its CUDA_VERSION.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import OMNI_TYPES
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import FAULT, OK, WARN, Check

Environments = Mapping[str, Mapping[str, str]]  # image on the host -> its environment

# The CUDA of the published vLLM images from a version on, for images that are not on the host: vLLM's issues #5635
# (12.4), #18813 (12.8) and #42738 (13.0), the environments of the images v0.23.0 and v0.29.0 (13.0), and what runs in
# v0.31.0 (torch 2.13.0+cu130). A vLLM-Omni image is built on the vLLM image of its version (vllm-omni,
# docker/Dockerfile.cuda). A tag may name its CUDA: -cu129.
_PUBLISHED = (((0, 20), "13.0"), ((0, 9), "12.8"), ((0, 5), "12.4"))
_PUBLISHED_NAMES = ("vllm-openai", "vllm-omni")
# The first driver branch with a CUDA: CUDA release notes, "CUDA Toolkit and Corresponding Driver Versions".
_BRANCHES = {"12.4": "550", "12.6": "560", "12.8": "570", "12.9": "575", "13.0": "580"}
# The names of the hook for NVML's brands that nvidia-smi prints in another way (nvml.h, nvmlBrandType_t).
_BRANDS = {
    "nvidia virtual applications": "vapps",
    "nvidia virtual pc": "vpc",
    "nvidia virtual compute server": "vcs",
    "nvidia rtx virtual workstation": "vws",
    "nvidia cloud gaming": "cloudgaming",
}
# The older drivers that the tags -cu129 admit, by the environment of v0.29.0-cu129; not with GPUs of these brands.
_CU129_BRANCHES = ((535,), (550,), (560,), (565,), (570,))
_CONSUMER = ("geforce", "titan")
# The last version whose tag -cu129 starts. Users report that `vllm` fails at its imports in v0.30.0-cu129 (operator
# torchvision::nms does not exist) and v0.31.0-cu129 (torchcodec needs libnvrtc.so.13); vLLM #48592 is of this kind.
_LAST_CU129 = ((0, 29), "v0.29.0")
_CONDITION = re.compile(r"([^<>=!]+)(!=|<=|>=|=|<|>)([^<>=!]+)")
_HELD = {
    "=": (0,),
    "!=": (-1, 1),
    "<": (-1,),
    "<=": (-1, 0),
    ">": (1,),
    ">=": (0, 1),
}
_TRUE = ("1", "t", "true")


@dataclass(frozen=True)
class _Image:
    """The image of a model's containers. path: where the inventory sets it. published: the reference that
    a registry has: of a recipe the base. env: the environment of the containers. on_host: whether the
    image's own environment is in it."""

    path: str
    published: str
    env: Mapping[str, str]
    on_host: bool

    @property
    def requirements(self) -> dict[str, str]:
        if self.unchecked:
            return {}
        return {
            name: value
            for name, value in self.env.items()
            if name.startswith("NVIDIA_REQUIRE_") and not name.startswith("NVIDIA_REQUIRE_JETPACK") and value.strip()
        }

    @property
    def unchecked(self) -> bool:
        """Whether the check of the hook is switched off."""
        return self.env.get("NVIDIA_DISABLE_REQUIRE", "").lower() in _TRUE

    @property
    def compatible(self) -> bool:
        """Whether vLLM uses the image's libraries for older drivers of data centre and professional GPUs."""
        return self.env.get("VLLM_ENABLE_CUDA_COMPATIBILITY", "").strip().lower() in _TRUE

    @property
    def cuda(self) -> Optional[str]:
        """Such as 13.0; None where not known. An image on the host without these variables has no CUDA of NVIDIA's."""
        for text in (self.env.get("CUDA_VERSION", ""), *self.requirements.values()):
            found = re.match(r"(?:cuda>=)?(\d+\.\d+)", text)
            if found:
                return found[1]
        return None if self.on_host else published_cuda(self.published)

    @property
    def unknown(self) -> str:
        """What to do if the image may have a CUDA of NVIDIA's, which is not known; else empty."""
        if self.cuda or self.requirements or (self.on_host and not self.env.get("CUDA_VERSION")):
            return ""
        if self.on_host:
            version = self.env["CUDA_VERSION"]
            return f"CUDA_VERSION in the image or in the model's env: expected such as 13.0, got {version!r}"
        return "when the image is on the host, run preflight again: then its own variables count"


def published_cuda(image: str) -> Optional[str]:
    """The CUDA of a published image of vLLM, by its tag."""
    name, _colon, tag = image.partition("@")[0].rpartition("/")[2].partition(":")
    suffix = re.search(r"-cu(\d\d)(\d)(-|$)", tag)
    version = re.match(r"v?(\d+)\.(\d+)", tag)
    if name not in _PUBLISHED_NAMES:
        return None
    if suffix:
        return f"{suffix[1]}.{suffix[2]}"
    if not version:
        return None
    return next((cuda for first, cuda in _PUBLISHED if (int(version[1]), int(version[2])) >= first), None)


def inspected_images(fleet: Fleet) -> set[str]:
    """The images whose environment the check needs."""
    found: set[str] = set()
    for model in _models(fleet):
        found.add(fleet.image_of(model))
        if not model.image and model.recipe:
            found.add(fleet.recipe(model.recipe).base_image(fleet.images))
    return found


def cuda_checks(fleet: Fleet, images: Environments, gpus: Sequence[Gpu]) -> Iterator[Check]:
    """images: those of `inspected_images` that are on the host."""
    checks: dict[Check, None] = {}
    judged = False
    for model in _models(fleet):
        image = _image(fleet, model, images)
        own = [gpu for gpu in gpus if not model.devices.pinned or gpu.index in model.devices.pinned]
        judged = judged or bool(own and (image.cuda or image.requirements))
        found = [_check(image, gpu) for gpu in own]
        bad = [one for one in found if one]
        if bad:
            worst = next((one for one in bad if one.state == FAULT), bad[0])
            # The model may run on the other GPUs.
            state = worst.state if len(bad) == len(found) else WARN
            checks[Check(worst.name, state, worst.found, worst.remedy)] = None
    yield from checks
    if judged and not checks:
        supported = ", ".join(sorted({gpu.cuda for gpu in gpus if gpu.cuda}))
        fits = f"the driver supports CUDA {supported}, as the images of the models need"
        yield Check("cuda", OK, fits if supported else "the driver meets the requirements of the models' images")


def _models(fleet: Fleet) -> Iterator[Model]:
    return (model for model in fleet.models if model.containers and not model.devices.cpu)


def _image(fleet: Fleet, model: Model, images: Environments) -> _Image:
    reference = fleet.image_of(model)
    published, env = reference, images.get(reference)
    path = f"fleet_models[{fleet.models.index(model)}].image"
    if not model.image and model.recipe:
        recipe = fleet.recipe(model.recipe)
        published = recipe.base_image(fleet.images)
        if env is None and published in images:
            env = {**images[published], **recipe.env}
        by_key = published != recipe.base
        path = f"fleet_images.{recipe.base}" if by_key else f"fleet_recipes.{model.recipe}.base"
    elif not model.image:
        path = "fleet_images.vllm_omni" if model.type in OMNI_TYPES else "fleet_images.vllm"
    return _Image(path, published, {**(env or {}), **dict(model.env)}, env is not None)


def _check(image: _Image, gpu: Gpu) -> Optional[Check]:
    """None for an image that the GPU's driver fits."""
    on = f"driver {gpu.driver} supports {f'CUDA {gpu.cuda}' if gpu.cuda else 'an unknown CUDA'} on {gpu}"
    for name, expression in image.requirements.items():
        try:
            if meets(expression, gpu):
                continue
        except ValueError as error:
            found = f"{image.published} has {name}={error}, which NVIDIA's hook cannot read"
            return Check(image.path, FAULT, found, "correct the variable in the image or in the model's env")
        first = expression.split()[0]
        found = f"{image.published} requires {first}, and {on}: NVIDIA's hook would refuse the container"
        other = f"install a driver that meets {name} and reboot, or set {image.path} to another image"
        return Check(image.path, FAULT, found, _remedy(image, gpu) if name == "NVIDIA_REQUIRE_CUDA" else other)
    if image.unknown:
        found = f"the CUDA of {image.published} is not known, so the image was not compared with driver {gpu.driver}"
        return Check(image.path, WARN, found, image.unknown)
    if image.cuda and not gpu.cuda:
        branch = _BRANCHES.get(image.cuda)
        found = f"{image.published} is built for CUDA {image.cuda}, and {on}: they were not compared"
        remedy = "see what `nvidia-smi` on the host prints as CUDA version"
        return Check(image.path, WARN, found, remedy + (f"; driver {branch} or later is needed" if branch else ""))
    lower = _lower(gpu.cuda, image.cuda)
    found = f"{image.published} is built for CUDA {image.cuda}, and {on}"
    if lower == "major" and not image.compatible:
        admitted = bool(image.requirements) or image.unchecked
        more = ": it runs only on data centre and professional GPUs, with the image's compatibility libraries"
        either = ', or set VLLM_ENABLE_CUDA_COMPATIBILITY: "1" in the model\'s env'
        remedy = _remedy(image, gpu)
        if admitted:
            return Check(image.path, WARN, found + more, remedy + either)
        return Check(image.path, FAULT, found, remedy)
    if lower == "minor" and not image.requirements and not image.unchecked:
        more = ": kernels that are compiled at run time may fail, and NVIDIA's hook may refuse the container"
        return Check(image.path, WARN, found + more, _remedy(image, gpu))
    return None


def _remedy(image: _Image, gpu: Gpu) -> str:
    """Both ways out: a newer driver, or an image for an older CUDA."""
    branch = _BRANCHES.get(image.cuda or "")
    driver = f"driver {branch} or later" if branch else f"a driver that supports CUDA {image.cuda or 'of the image'}"
    repository, _colon, tag = image.published.partition("@")[0].rpartition(":")
    name = repository.rpartition("/")[2]
    other = f"an image for CUDA {gpu.cuda} or earlier"
    # The tag exists for each version whose own CUDA is 13.
    tagged = name == "vllm-openai" and tag and "-cu" not in tag and _numbers(image.cuda)[:1] == (13,)
    admitted = _numbers(gpu.driver)[:1] in _CU129_BRANCHES and not _brand(gpu).startswith(_CONSUMER)
    if tagged and (admitted or (12, 9) <= _numbers(gpu.cuda) < (13,)):
        other = f"{repository}:{tag if _numbers(tag)[:2] <= _LAST_CU129[0] else _LAST_CU129[1]}-cu129"
    return f"install {driver} and reboot, or set {image.path} to {other}"


def meets(expression: str, gpu: Gpu) -> bool:
    """A value of NVIDIA_REQUIRE_*: alternatives divided by blanks, each of conditions divided by commas.

    Raises ValueError with a condition that the hook cannot read.
    """
    alternatives = expression.split()
    return not alternatives or any(
        all(_holds(condition, gpu) for condition in one.split(",") if condition) for one in alternatives
    )


def _holds(condition: str, gpu: Gpu) -> bool:
    """What is not known of the GPU holds, as for the hook. nvidia-smi's log lacks the compute capability (arch)."""
    match = _CONDITION.fullmatch(condition)
    name = match[1].lower() if match else ""
    if match is None or name not in ("cuda", "driver", "arch", "brand"):
        raise ValueError(condition)
    operator, wanted = match[2], match[3]
    if name == "brand":
        if operator not in ("=", "!="):
            raise ValueError(condition)
        return not _brand(gpu) or (_brand(gpu) == wanted.lower()) == (operator == "=")
    if not re.fullmatch(r"[\d.]*\d[\d.]*", wanted):
        raise ValueError(condition)
    known = {"cuda": gpu.cuda, "driver": gpu.driver}.get(name)
    if not known:
        return True
    ours, theirs = _numbers(known), _numbers(wanted)
    return ((ours > theirs) - (ours < theirs)) in _HELD[operator]


def _brand(gpu: Gpu) -> str:
    brand = (gpu.brand or "").lower()
    return _BRANDS.get(brand, brand.replace(" ", ""))


def _lower(supported: Optional[str], built: Optional[str]) -> str:
    """Whether the CUDA that a driver supports is lower than an image's: `major`, `minor` or empty."""
    if not supported or not built or _numbers(supported) >= _numbers(built):
        return ""
    return "major" if _numbers(supported)[:1] < _numbers(built)[:1] else "minor"


def _numbers(version: Optional[str]) -> tuple[int, ...]:
    """Without zeros at the end: 13.0 is 13."""
    numbers = [int(number) for number in re.findall(r"\d+", version or "")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    return tuple(numbers)

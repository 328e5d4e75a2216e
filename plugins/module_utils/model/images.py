# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which image a container runs: the published images, pinned in this one place, and the choice among them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.model.parse import Fields

OMNI_TYPES = ("tts", "image")


@dataclass(frozen=True)
class Images:
    """`fleet_images`: an image reference for each part of the service."""

    vllm: str = "vllm/vllm-openai:v0.22.0"
    vllm_omni: str = "vllm/vllm-omni:v0.22.0"
    litellm: str = "litellm/litellm:v1.106.2"
    postgres: str = "postgres:15.18"
    caddy: str = "caddy:2.11.7"
    prometheus: str = "prom/prometheus:v3.5.0"
    grafana: str = "grafana/grafana:12.2.0"
    dcgm_exporter: str = "nvidia/dcgm-exporter:4.4.1-4.5.2-ubuntu22.04"
    node_exporter: str = "prom/node-exporter:v1.9.1"
    blackbox_exporter: str = "prom/blackbox-exporter:v0.27.0"

    @classmethod
    def parse(cls, data: object, path: str) -> Images:
        with Fields(data, path) as read:
            return cls(**{part.name: read.text(part.name, part.default, *IMAGE_REFERENCE) for part in fields(cls)})


# As `docker pull` takes it, with the tag or digest that a pinned inventory has.
IMAGE_REFERENCE = (
    r"[a-zA-Z0-9][\w.:/-]*(:[\w.-]+|@sha256:[0-9a-f]{64})",
    "an image reference with a tag or digest, such as vllm/vllm-openai:v0.22.0",
)


@dataclass(frozen=True)
class Recipe:
    """An image made on the host: packages on top of an engine's image."""

    base: str
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object, path: str) -> Recipe:
        with Fields(data, path) as read:
            return cls(base=read.one_of("base", ("vllm", "vllm_omni")), apt=read.texts("apt"), pip=read.texts("pip"))

    def image(self, name: str, images: Images) -> str:
        """The reference of this recipe's image; its tag is a hash of all that goes into it."""
        content = {**asdict(self), "base": getattr(images, self.base)}
        digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"inference-fleet/recipe-{name}:{digest[:12]}"


def engine_image(
    model_type: str, own: Optional[str], recipe: Optional[str], recipes: Mapping[str, Recipe], images: Images
) -> str:
    """The model's own image, else its recipe's, else the standard one of its type."""
    if own:
        return own
    if recipe:
        return recipes[recipe].image(recipe, images)
    return images.vllm_omni if model_type in OMNI_TYPES else images.vllm

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of the containers: published images, pinned in this one place."""

from __future__ import annotations

from dataclasses import dataclass, fields

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields

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


# A reference for `docker pull`, with a tag or digest, so that the version is pinned.
IMAGE_REFERENCE = (
    r"[a-zA-Z0-9][\w.:/-]*(:[\w.-]+|@sha256:[0-9a-f]{64})",
    "an image reference with a tag or digest, such as vllm/vllm-openai:v0.22.0",
)


def short_reference(image: str) -> str:
    """As Docker lists it: Docker Hub's images without the registry, and digests without a tag."""
    for prefix in ("index.docker.io/", "docker.io/", "library/"):
        image = image.removeprefix(prefix)
    name, at, digest = image.partition("@")
    return f"{repository_of(name)}@{digest}" if at else image


def repository_of(image: str) -> str:
    """The reference without its tag and digest."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]

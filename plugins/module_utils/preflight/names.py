# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The names that a host must resolve before its fleet can run. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import NEVER, Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import repositories
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import short_reference

DOCKER_HUB = "registry-1.docker.io"  # the registry of references that name none
_MONITORING = ("prometheus", "grafana", "dcgm_exporter", "node_exporter", "blackbox_exporter")
_ENGINES = ("vllm", "vllm_omni")  # pulled for the models that run them


@dataclass(frozen=True)
class Name:
    """A host name to look up. wanted_for: its purpose, for display. resolves: whether the lookup succeeded."""

    name: str
    wanted_for: str
    resolves: bool


def needed_names(
    fleet: Fleet, images: Collection[str], containers: Collection[str], docker: Mapping[str, Any]
) -> dict[str, str]:
    """Host name -> its purpose.

    images: the tags and digests of the host's images. docker: the engine's `/info`: with a proxy or a
    mirror, the name of the proxy or mirror is looked up instead of the registry's, and with `fleet_proxy` that of the
    proxy.
    """
    wanted: dict[str, list[str]] = defaultdict(list)
    for image in sorted({*_images(fleet)}):
        if short_reference(image) not in images:
            wanted[_asked_for_image(fleet, image, docker)].append(image)
    for model in fleet.models:
        env = dict(model.env)
        new = [name for name in model.containers if name not in containers]
        asks = env.get("HF_HUB_OFFLINE", "0") == "0" and fleet.cache.downloads != NEVER
        if model.state == "running" and repositories(model) and new and asks:
            hub = env.get("HF_ENDPOINT") or fleet.cache.endpoint
            proxy = env.get("HTTPS_PROXY") or env.get("https_proxy") or (fleet.proxy and fleet.proxy.for_url(hub))
            host = _host(proxy or hub)
            wanted[host].append(f"the weights of {model.name}")
    return {name: _in_words(things) for name, things in wanted.items() if name}


def registry(image: str) -> str:
    """The registry of an image: the first part of its reference if that is a host name."""
    first, slash, _rest = image.partition("/")
    if slash and (first == "localhost" or "." in first or ":" in first):
        return DOCKER_HUB if first in ("docker.io", "index.docker.io") else first.partition(":")[0]
    return DOCKER_HUB


def _images(fleet: Fleet) -> Iterator[str]:
    for part in fields(fleet.images):
        if part.name in _ENGINES or (part.name in _MONITORING and not fleet.monitoring):
            continue
        if part.name != "dcgm_exporter" or fleet.needs_gpus:
            yield getattr(fleet.images, part.name)
    for model in fleet.models:
        if model.containers and (model.image or not model.recipe):  # a recipe's image is built, not pulled
            yield fleet.image_of(model)


def _asked_for_image(fleet: Fleet, image: str, docker: Mapping[str, Any]) -> str:
    mirrors = (docker.get("RegistryConfig") or {}).get("Mirrors") or ()
    asked = registry(image)
    proxy = docker.get("HttpsProxy") or docker.get("HttpProxy")
    if fleet.proxy:  # Docker has it before it pulls
        proxy = fleet.proxy.for_url(f"https://{asked}")
    if proxy:
        return _host(proxy)
    return _host(mirrors[0]) if mirrors and asked == DOCKER_HUB else asked


def _host(url: str) -> str:
    return urlsplit(url if "//" in url else f"//{url}").hostname or ""


def _in_words(things: list[str]) -> str:
    return things[0] if len(things) == 1 else f"{things[0]} and {len(things) - 1} more"

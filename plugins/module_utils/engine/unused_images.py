# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The images of a host that nothing uses any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import in_gb
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import (
    Images,
    repository_of,
    short_reference,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import REPOSITORY

_ENGINES = ("vllm", "vllm_omni")  # used by models only
_WATCHERS = ("prometheus", "grafana", "dcgm_exporter", "node_exporter", "blackbox_exporter")


@dataclass(frozen=True)
class HostImage:
    """tags, digests: as Docker lists them. size: bytes, with layers that other images share. used: whether a container
    in any state has it."""

    id: str
    tags: tuple[str, ...]
    digests: tuple[str, ...]
    size: int
    used: bool

    @property
    def digest(self) -> str:
        """In the registry it was pulled from; empty if it was built or loaded on this host."""
        return self.digests[0].partition("@")[2] if self.digests else ""

    def __str__(self) -> str:
        return f"{', '.join(self.tags or self.digests) or self.id[:19]} ({in_gb(self.size)})"


def unused_images(fleet: Fleet, images: Iterable[HostImage], foreign: bool = False) -> tuple[HostImage, ...]:
    """The images that no container has and the inventory does not name, largest first.

    foreign: include those with a name in a repository that the fleet does not know, which may belong to others.
    """
    needed = {short_reference(image) for image in _needed(fleet)}
    known = {
        repository_of(short_reference(image)) for image in (*_needed(fleet), *_all_of(Images()), *_all_of(fleet.images))
    }
    found = []
    for image in images:
        names = (*image.tags, *image.digests)
        ours = names and all(repository_of(name) in known or name.startswith(REPOSITORY) for name in names)
        if not image.used and not needed & set(names) and (ours or foreign):
            found.append(image)
    return tuple(sorted(found, key=lambda one: (-one.size, str(one))))


def _needed(fleet: Fleet) -> Iterator[str]:
    """The images of the inventory, with those that recipes are built on. Stopped models need theirs too."""
    for part in fields(fleet.images):
        if part.name not in _ENGINES and (fleet.monitoring or part.name not in _WATCHERS):
            yield getattr(fleet.images, part.name)
    for model in fleet.models:
        if model.containers:
            yield fleet.image_of(model)
            if model.recipe:
                yield fleet.recipe(model.recipe).base_image(fleet.images)
    if fleet.cache.image:
        yield fleet.cache.image


def _all_of(images: Images) -> list[str]:
    return [getattr(images, part.name) for part in fields(images)]

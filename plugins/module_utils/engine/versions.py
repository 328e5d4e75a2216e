# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The versions of a model: the image, the arguments and the environment that its containers have. Pure.

A host remembers the version that serves and the one that served before, for the playbook `rollback`. Where a model
runs, how many replicas it has and who may use it are no part of a version.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import short_reference
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model, is_secret
from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import SHIPPED
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

# The keys of an entry of `fleet_models` that a rollback replaces.
KEYS = ("type", "source", "image", "recipe", "args", "env", "adapters", "devices", "shm_size", "memory")
_APART = ("recipe", "devices")  # a change of these alone makes no new version: the image stands for the recipe


@dataclass(frozen=True)
class Version:
    """entry: the keys KEYS of the model's entry, without `image` and without secret values of `env`.

    image: the reference. image_id: Docker's ID of it; empty if it is not on the host. secrets: the names of the
    variables of `env` whose values are left out.
    """

    entry: Mapping[str, Any]
    image: str
    image_id: str = ""
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True)
class Served:
    """What a host remembers of a model."""

    now: Version
    before: Optional[Version] = None


@dataclass(frozen=True)
class Previous:
    """What a rollback brings. entry: the keys KEYS of the inventory's entry. secrets: as in Version."""

    entry: Mapping[str, Any]
    secrets: tuple[str, ...] = ()


def version_of(fleet: Fleet, model: Model, image_id: str = "") -> Version:
    """image_id: of the image that the model's containers have, or get."""
    secrets = tuple(name for name, value in model.env if is_secret(name, value))
    entry = {key: value for key, value in model.plain().items() if key in KEYS and key != "image"}
    entry["env"] = {name: value for name, value in model.env if name not in secrets}
    return Version(json.loads(json.dumps(entry)), fleet.image_of(model), image_id, secrets)


def same(one: Version, other: Version) -> bool:
    """A tag may be another image since then, and an image may have several names."""
    ids = (one.image_id, other.image_id)
    same_image = ids[0] == ids[1] if all(ids) else one.image == other.image
    return same_image and one.secrets == other.secrets and _compared(one) == _compared(other)


def _compared(version: Version) -> Mapping[str, Any]:
    return {key: value for key, value in version.entry.items() if key not in _APART}


def remember(
    known: Mapping[str, Served], serving: Mapping[str, Version], gone: Collection[str] = ()
) -> dict[str, Served]:
    """What the host remembers after a run. serving: model -> the version that all its replicas answer with. gone:
    models that the host no longer has."""
    after = {name: served for name, served in known.items() if name not in gone}
    for name, version in serving.items():
        old = after.get(name)
        before = None if old is None else old.before if same(old.now, version) else old.now
        after[name] = Served(version, before)
    return after


def previous(fleet: Fleet, model: Model, served: Optional[Served], images: Iterable[HostImage], file: str) -> Previous:
    """The last version that served and is not the version in the inventory. So a second rollback changes nothing.

    images: those on the host. file: where the host remembers versions, for messages.
    """
    name = model.name
    if model.state != "running":
        raise FleetError(f"fleet_models.{name}.state: expected running for a rollback, got {model.state}")
    names = {image.id: (*image.digests, *image.tags) for image in images}
    ids = {one: image for image, found in names.items() for one in found}
    present = version_of(fleet, model, ids.get(short_reference(fleet.image_of(model)), ""))
    for version in (served.now, served.before) if served else ():
        if version and not same(version, present):
            return Previous(_entry(version, fleet, model, _image(name, version, names, ids)), version.secrets)
    raise FleetError(
        f"{name}: expected a previous version of the model in {file}, found none; the host remembers the versions that "
        "served since the first run with a version of the collection that has the playbook rollback"
    )


def _image(name: str, version: Version, names: Mapping[str, Collection[str]], ids: Mapping[str, str]) -> str:
    """A reference of the version's image, which Docker pulls if it is not on the host."""
    found = ids.get(short_reference(version.image))
    if not version.image_id or found == version.image_id:
        return version.image
    if others := names.get(version.image_id):
        return next(iter(others))
    if not found:
        return version.image
    raise FleetError(
        f"image {version.image}: expected {version.image_id}, which the previous version of {name} had, found {found}; "
        f"the previous image has no name on this host; give it one (docker tag {version.image_id} NAME:TAG)"
    )


def _entry(version: Version, fleet: Fleet, model: Model, image: str) -> dict[str, Any]:
    """The keys KEYS. The image is left out where the recipe or the default of the fleet is this image."""
    entry = dict(version.entry)
    recipe = entry.pop("recipe", None)
    recipe = recipe if recipe in SHIPPED or recipe in fleet.recipes else None
    if fleet.image_of(replace(model, type=entry["type"], image=None, recipe=recipe)) == image:
        return {**entry, "recipe": recipe} if recipe else entry
    return {**entry, "image": image}


def shown(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The entry without defaults, for a person who writes it into the inventory."""
    least = {"name": name, "type": entry["type"], "source": entry["source"]}
    defaults = Model.parse(least, "").plain()
    return {**least, **{key: value for key, value in entry.items() if value != defaults.get(key)}}


def with_entry(models: Any, name: str, entry: Mapping[str, Any], secrets: Collection[str]) -> list[Any]:
    """`fleet_models` with the keys KEYS of one model from `entry`, and the secret variables of `env` as they are."""
    changed: list[Any] = []
    for index, one in enumerate(models):
        if isinstance(one, Mapping) and one.get("name") == name:
            given = one.get("env")
            env: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
            lacking = [variable for variable in secrets if variable not in env]
            if lacking:
                raise FleetError(
                    *(
                        f"fleet_models[{index}] ({name}).env.{variable}: missing; the previous version had a secret "
                        "in this variable, and the host keeps none: add it to the inventory"
                        for variable in lacking
                    )
                )
            own = {key: value for key, value in one.items() if key not in KEYS}
            one = {**own, **entry, "env": {**entry["env"], **{variable: env[variable] for variable in secrets}}}
        changed.append(one)
    return changed

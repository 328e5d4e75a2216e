# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A parsed fleet as JSON data and back, without a second validation. Pure.

The controller parses the inventory once. `pack` selects the parts of the fleet that a module needs, `unpack`
restores the frozen dataclasses on the host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet

T = TypeVar("T")

# Before a value that results have too, such as `1` or `true`: Ansible masks the values of `secrets` in every result.
SHORT = "inference.fleet:"
_SHORT = re.compile(rf".{{0,7}}|[\d.,:+-]*|{SHORT}.*", re.DOTALL)

# The options of every module that takes a fleet; doc_fragments/fleet.py describes them.
OPTIONS: Mapping[str, Any] = dict(
    models=dict(type="list", elements="dict"),
    fleet=dict(type="dict", default={}),
    secrets=dict(type="dict", default={}, no_log=True),
)


@dataclass(frozen=True)
class Needs:
    """The parts of the fleet that a module gets. parts: fields of Fleet. secrets: whether it also gets the hub's token
    and the secret values of the models' environments. proxy: whether it also gets the user name and the password of the
    proxy. No module gets the master key."""

    parts: tuple[str, ...]
    secrets: bool = False
    proxy: bool = False


_IMAGES = ("models", "absent", "images", "recipes", "ca_bundle")
_MODELS = (*_IMAGES, "proxy")
NEEDS: Mapping[str, Needs] = {
    "host_check": Needs((*_MODELS, "cache", "mig", "postgres", "monitoring", "network", "config_folder"), proxy=True),
    "model_cache": Needs((*_MODELS, "cache", "network", "logs"), secrets=True, proxy=True),
    "model_containers": Needs(
        (*_MODELS, "cache", "mig", "monitoring", "logs", "config_folder"), secrets=True, proxy=True
    ),
    "previous_version": Needs(_IMAGES, secrets=True),
    "recipe_image": Needs((*_MODELS, "cache", "network"), proxy=True),
    "unused_images": Needs((*_IMAGES, "cache", "monitoring")),
}


def to_wire(value: Any) -> Any:
    """Dataclasses as dictionaries of all fields, tuples as lists: data for JSON."""
    if is_dataclass(value):
        return {field.name: to_wire(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_wire(item) for key, item in value.items()}
    return list(map(to_wire, value)) if isinstance(value, (list, tuple)) else value


def from_wire(kind: type[T], data: Any) -> T:
    """The reverse of `to_wire`: a value of that type. Fields that `data` lacks have their default."""
    return _read(kind, data)  # type: ignore[no-any-return]  # by the type hints of the dataclasses


def pack(fleet: Fleet, needs: Needs) -> dict[str, Any]:
    """The options `fleet` and `secrets` of a module. Only `secrets` contains secret values."""
    packed = {part: to_wire(getattr(fleet, part)) for part in needs.parts}
    environments = {}
    for index, model in enumerate(packed.get("models", ())):
        secret = fleet.models[index].secret_env
        environments[str(index)] = {name: _unlike_results(value) for name, value in model["env"] if name in secret}
        model["env"] = [[name, value] for name, value in model["env"] if name not in secret]
    secrets: dict[str, Any] = {"hf_token": fleet.hf_token, "env": environments} if needs.secrets else {}
    if fleet.proxy and "proxy" in packed and fleet.proxy.shown != fleet.proxy.url:
        packed["proxy"]["url"] = fleet.proxy.shown
        secrets |= {"proxy": fleet.proxy.url} if needs.proxy else {}
    return {"fleet": packed, "secrets": secrets}


def unpack(params: Mapping[str, Any]) -> Fleet:
    """The reverse of `pack`: the packed parts of the fleet. params: the module's parameters."""
    secrets = params["secrets"]
    found = from_wire(Fleet, params["fleet"])
    environments = {
        index: {name: value.removeprefix(SHORT) for name, value in env.items()}
        for index, env in secrets.get("env", {}).items()
    }
    models = tuple(
        replace(model, env=tuple(sorted({**dict(model.env), **environments.get(str(index), {})}.items())))
        for index, model in enumerate(found.models)
    )
    proxy = replace(found.proxy, url=secrets.get("proxy", found.proxy.url)) if found.proxy else None
    return replace(found, models=models, hf_token=secrets.get("hf_token"), proxy=proxy)


def _unlike_results(value: str) -> str:
    return SHORT + value if _SHORT.fullmatch(value) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind)


def _read(kind: Any, data: Any) -> Any:
    if is_dataclass(kind):
        hints = _hints(kind)  # type: ignore[arg-type]  # a class, not an instance
        return kind(**{name: _read(hints[name], value) for name, value in data.items()})  # type: ignore[operator]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Union:  # Optional[X] is the only union of the inventory's dataclasses
        return None if data is None else _read(arguments[0], data)
    if origin is tuple:
        kinds = [arguments[0]] * len(data) if arguments[-1] is Ellipsis else arguments
        return tuple(_read(item_kind, item) for item_kind, item in zip(kinds, data))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {key: _read(arguments[1], value) for key, value in data.items()}
    return data

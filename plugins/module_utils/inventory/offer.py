# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What clients are offered besides the models themselves: other names, other models where one is down, prices. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields, below
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show

MILLION = 1_000_000
# Type of a model -> the parts of a price that LiteLLM 1.106.2 counts for it.
PARTS: Mapping[str, tuple[str, ...]] = {
    "chat": ("input", "output"),
    "vision": ("input", "output"),
    "embedding": ("input",),
    "rerank": ("request",),
    "stt": ("second",),
    "tts": ("input",),
    "image": ("image",),
}
# Part of a price -> LiteLLM's parameter of a deployment, and how many units of it the price is for.
_PARAMETERS = {
    "input": ("input_cost_per_token", MILLION),
    "output": ("output_cost_per_token", MILLION),
    "request": ("input_cost_per_query", 1),
    "second": ("input_cost_per_second", 1),
    "image": ("output_cost_per_image", 1),
}
# Types whose requests and answers have the same form: one can answer for another.
_SAME_FORM = ({"chat", "vision"},)
_ALIAS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._:@/-]{0,253}[A-Za-z0-9])?")


@dataclass(frozen=True)
class Price:
    """`price` of a model, in USD. input, output: for a million tokens (tts: of characters). second: of audio.
    image: one. request: one, to a reranker."""

    input: Optional[float] = None
    output: Optional[float] = None
    second: Optional[float] = None
    image: Optional[float] = None
    request: Optional[float] = None

    @classmethod
    def parse(cls, data: object, path: str) -> Price:
        with Fields(data, path) as read:
            return cls(**{one.name: read.amount(one.name) for one in fields(cls)})

    @property
    def given(self) -> dict[str, float]:
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name)) is not None}

    def parameters(self, type: str) -> dict[str, float]:
        """LiteLLM's parameters of the model's deployment."""
        if type == "tts" and self.input is not None:
            return {"input_cost_per_character": self.input / MILLION}
        return {_PARAMETERS[name][0]: value / _PARAMETERS[name][1] for name, value in self.given.items()}


def price_fault(type: str, price: Optional[Price]) -> Optional[str]:
    wrong = [name for name in price.given if name not in PARTS[type]] if price and type in PARTS else []
    if not wrong:
        return None
    return f"{', '.join(wrong)}: not counted for the type {type}, whose price has {' and '.join(PARTS[type])}"


def parse_aliases(read: Fields, key: str) -> dict[str, str]:
    """`fleet_aliases`: name for clients -> name of a model."""
    found = read.values(key, _target)
    for name in found:
        if not _ALIAS.fullmatch(name):
            read.faults.append(
                f"{below(key, name)}: expected a name of letters, digits and . _ : @ / - inside, got {show(name)}"
            )
    return found


def _target(data: object, path: str) -> str:
    if isinstance(data, str) and data:
        return str(data)
    raise FleetError(f"{path}: expected the name of a model, got {show(data)}")


def alias_faults(aliases: Mapping[str, str], models: Collection[str]) -> Iterator[str]:
    """models: all names of models and adapters of the host."""
    for alias, target in aliases.items():
        path = below("fleet_aliases", alias)
        if alias in models:
            yield f"{path}: is also the name of a model or an adapter; choose another alias, or rename the model"
        if target in aliases:
            yield f"{path}: {target!r} is an alias itself; expected the model {aliases[target]!r}"
        elif target not in models:
            yield f"{path}: the fleet has no model {target!r}{nearest(target, models)}"


def fallbacks_by_name(models: Collection[Any], aliases: Mapping[str, str]) -> list[dict[str, tuple[str, ...]]]:
    """LiteLLM's list of `fallbacks`: one entry for each name that clients use, so for aliases too."""
    return [
        {name: model.fallbacks}
        for model in models
        if model.in_gateway and model.fallbacks
        for name in (model.name, *(alias for alias, target in aliases.items() if target == model.name))
    ]


def fallback_faults(name: str, type: str, fallbacks: Collection[str], others: Mapping[str, Any]) -> Iterator[str]:
    """Faults of one model's `fallbacks`. others: name -> model, of all models of the host."""
    same = next((types for types in _SAME_FORM if type in types), {type})
    for one in fallbacks:
        if one == name:
            yield f"{one!r} is the model itself"
        elif one not in others:
            yield f"the fleet has no model {one!r}{nearest(one, others)}"
        elif others[one].type not in same:
            yield f"{one!r} is of type {others[one].type}, and answers no requests for the type {type}"
        elif name in others[one].fallbacks:
            yield f"{one!r} has {name!r} as its own fallback: a request would go in a circle; remove one of the two"

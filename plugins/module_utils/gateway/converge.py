# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Applies a plan of virtual keys, then checks that LiteLLM has the desired keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Optional, Protocol

from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import Action, ObservedKey, Plan
from ansible_collections.inference.fleet.plugins.module_utils.gateway.litellm import NoAnswer
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

RANDOM_BYTES = 32


class Gateway(Protocol):
    """What converging needs from LiteLLM."""

    def keys(self) -> tuple[ObservedKey, ...]: ...
    def create(self, action: Action, value: str) -> None: ...
    def update(self, action: Action) -> None: ...
    def delete(self, action: Action) -> None: ...


@dataclass
class Outcome:
    """The result of a plan. done: the applied actions. new_keys: alias -> value of keys created
    with a generated value. faults: by alias."""

    done: list[Action] = field(default_factory=list)
    new_keys: dict[str, str] = field(default_factory=dict)
    faults: dict[str, str] = field(default_factory=dict)


def new_value() -> str:
    """A generated key, from the system's random source."""
    return f"sk-{secrets.token_urlsafe(RANDOM_BYTES)}"


def converge(
    plan: Plan,
    litellm: Gateway,
    values: Optional[Mapping[str, str]],
    plan_again: Callable[[tuple[ObservedKey, ...]], Plan],
) -> Outcome:
    """A failed action stops only the actions on its own key. values: alias -> the value of a key to create,
    or None to generate it. plan_again: the remaining actions, given the present keys.
    """
    outcome = Outcome()
    try:
        for action in plan.actions:
            if action.alias not in outcome.faults:
                _try(action, litellm, values, outcome)
        left = plan_again(litellm.keys()).actions if outcome.done else ()
    except NoAnswer as error:
        outcome.faults["litellm"] = str(error)
        left = ()
    for action in left:
        outcome.faults.setdefault(
            action.alias, f"{action.alias}: LiteLLM accepted the change but did not apply: {action}"
        )
    return outcome


def _try(action: Action, litellm: Gateway, values: Optional[Mapping[str, str]], outcome: Outcome) -> None:
    try:
        _carry_out(action, litellm, values, outcome.new_keys)
    except NoAnswer:
        raise
    except FleetError as error:
        outcome.faults[action.alias] = f"{action.alias}: {error}"
    else:
        outcome.done.append(action)


def _carry_out(action: Action, litellm: Gateway, values: Optional[Mapping[str, str]], new_keys: dict[str, str]) -> None:
    if action.verb == "delete":
        litellm.delete(action)
    elif action.verb == "update":
        litellm.update(action)
    elif action.key and action.key.key:
        litellm.create(action, action.key.key)
    elif values is None:
        _create_new(action, litellm, new_keys)
    elif action.alias in values:
        litellm.create(action, values[action.alias])
    else:
        raise FleetError("the key is to be created, but `values` has no value for it")


def _create_new(action: Action, litellm: Gateway, new_keys: dict[str, str]) -> None:
    """Without an answer from LiteLLM the key may still have been created, so its value is returned."""
    new_keys[action.alias] = new_value()
    try:
        litellm.create(action, new_keys[action.alias])
    except NoAnswer:
        raise
    except FleetError:
        del new_keys[action.alias]
        raise

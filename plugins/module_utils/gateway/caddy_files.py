# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files that Caddy reads at each request: keys, and the models of each route. Pure.

So Caddy's configuration contains no key, and a change of keys or models needs no reload: a reload
loses requests that arrive on new connections at that moment (golang/go #75591).
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.access import DIRECT, OPEN_ALIAS

MASTER_KEY = "master_key"
SALT_KEY = "salt_key"
OPEN_KEY = "open_key"
NOTHING = "."  # neither a model name (a DNS label) nor a key; a missing file would be an error in Caddy


def caddy_files(
    values: Mapping[str, str],
    previous: Mapping[str, Iterable[Mapping[str, Any]]],
    models: Sequence[Mapping[str, Any]],
) -> dict[str, str]:
    """File -> its content, one entry per line.

    values, previous: as inference.fleet.host_secrets returns them. models: those of the fact `fleet`.
    `master`, `direct`: whole Authorization values. `previous-…`: the expiry in seconds since the epoch,
    a blank, and an Authorization value. `litellm`: LiteLLM's master key; `gateway`: from `gateway_password`;
    `open_key`: the prefix of the keys from `open_keys`. `…-models`: names.

    Previous keys come first, as the files are written in this order: in no moment is a key refused that stays valid.
    """
    direct = [name for name in values if name.startswith(DIRECT)]
    return {
        "previous-master": _lines(_previous(previous, (MASTER_KEY,))),
        "previous-direct": _lines(_previous(previous, (MASTER_KEY, *direct))),
        "litellm": values[MASTER_KEY],
        "gateway": gateway_password(values[SALT_KEY]),
        OPEN_KEY: values[OPEN_KEY],
        "master": _bearer(values[MASTER_KEY]),
        "direct": _lines(_bearer(values[name]) for name in (MASTER_KEY, *direct)),
        "direct-models": _lines(model["name"] for model in models if model["has_direct_route"]),
        "open-models": _lines(model["name"] for model in models if model["has_open_route"]),
    }


def gateway_password(salt_key: str) -> str:
    """By which LiteLLM knows requests that Caddy sends for a master key (fleet_guard.py). Like the salt key it never
    changes, so it is the same for two LiteLLMs with different master keys. It does not tell the salt key."""
    return hmac.new(salt_key.encode(), b"Caddy", "sha256").hexdigest()


def open_keys(open_key: str, models: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The virtual keys that Caddy sends in place of a client's key, as options of inference.fleet.litellm_key.

    One key per model, valid for that model only: with the master key, a request's body could name other
    models as fallbacks.
    """
    return [
        {
            "alias": OPEN_ALIAS + model["name"],
            "models": [model["name"], *model["adapters"]],
            "key": f"{open_key}-{model['name']}",
        }
        for model in models
        if model["in_gateway"] and model["has_open_route"]
    ]


def _previous(previous: Mapping[str, Iterable[Mapping[str, Any]]], names: Iterable[str]) -> list[str]:
    return [f"{one['until']} {_bearer(one['value'])}" for name in names for one in previous.get(name, ())]


def _bearer(key: str) -> str:
    return f"Bearer {key}"


def _lines(lines: Iterable[str]) -> str:
    return "\n".join(lines) or NOTHING

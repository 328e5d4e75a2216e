# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The repositories on a hub that a model needs. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import options
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import (
    DRAFT,
    code_repositories,
    further_adapters,
    is_repository,
    named_sources,
)

MAIN = "main"


@dataclass(frozen=True)
class Repository:
    """weights: whether the model needs weights of it, or only descriptions such as a tokenizer."""

    name: str
    revision: str = MAIN
    weights: bool = True


def repositories(model: Model) -> tuple[Repository, ...]:
    """The repositories that `vllm serve` will request."""
    args = options(model.args)
    found = []
    if not model.local_path:
        found.append(Repository(model.source, str(args.get("revision") or MAIN)))
    for option, name in named_sources(model.args).items():
        if is_repository(name) and option == DRAFT:
            found.append(Repository(name, str(args["speculative-config"].get("revision") or MAIN)))
        elif is_repository(name):
            revision = args.get("tokenizer-revision") if option == "tokenizer" else None
            found.append(Repository(name, str(revision or MAIN), weights=False))
    # vLLM loads an adapter from the branch main (vllm/lora/utils.py, get_adapter_absolute_path).
    adapters = [*(source for _name, source in model.all_adapters), *further_adapters(model.args)]
    found += [Repository(source) for source in adapters if is_repository(source)]
    found += [Repository(name, weights=False) for name in code_repositories(model.args)]
    return tuple(dict.fromkeys(found))


def downloads_itself(model: Model, at_start: bool) -> bool:
    """Whether the model's containers contact a hub: `env` says so, or all models download at their start."""
    own = dict(model.env)
    return is_online({"HF_HUB_OFFLINE": "0" if at_start and repositories(model) else "1", **own})


def is_online(env: Mapping[str, str]) -> bool:
    """Whether huggingface_hub contacts a hub in this environment, by its own reading of HF_HUB_OFFLINE."""
    return env.get("HF_HUB_OFFLINE", "0").upper() not in ("1", "ON", "YES", "TRUE")

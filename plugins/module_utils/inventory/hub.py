# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The repositories on a hub that a model needs. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model

MAIN = "main"
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Repository:
    """weights: whether the model needs weights of it, or only descriptions such as a tokenizer."""

    name: str
    revision: str = MAIN
    weights: bool = True


def repositories(model: Model) -> tuple[Repository, ...]:
    """The repositories that `vllm serve` will request."""
    args = dict(model.args)
    found = []
    if not model.local_path:
        found.append(Repository(model.source, str(args.get("revision") or MAIN)))
    if _is_repository(args.get("tokenizer")):
        found.append(Repository(args["tokenizer"], str(args.get("tokenizer-revision") or MAIN), weights=False))
    if _is_repository(args.get("hf-config-path")):
        found.append(Repository(args["hf-config-path"], weights=False))
    draft = args.get("speculative-config")
    if isinstance(draft, Mapping) and _is_repository(draft.get("model")):
        found.append(Repository(draft["model"], str(draft.get("revision") or MAIN)))
    return tuple(found)


def is_online(env: Mapping[str, str]) -> bool:
    """Whether huggingface_hub contacts a hub in this environment, by its own reading of HF_HUB_OFFLINE."""
    return env.get("HF_HUB_OFFLINE", "0").upper() not in ("1", "ON", "YES", "TRUE")


def _is_repository(value: Any) -> bool:
    return isinstance(value, str) and bool(_REPOSITORY.fullmatch(value))

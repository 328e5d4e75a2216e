# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How long the last start of each model took, in a file of the host."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Mapping
from contextlib import suppress
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import is_whole
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import STARTS
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put

FILE = STARTS


def read_starts() -> dict[str, int]:
    """Model -> seconds. Empty if the file is missing or broken."""
    with suppress(OSError, ValueError, AttributeError), open(FILE, encoding="utf-8") as file:
        return {str(model): seconds for model, seconds in json.load(file).items() if is_whole(seconds)}
    return {}


def write_starts(took: Mapping[str, float], down: Optional[str] = None) -> None:
    """Adds these. down: a folder for what Caddy answers while no replica of a model is up. A host whose disk is full
    keeps what it had."""
    if took:
        known = {**read_starts(), **{model: round(seconds) for model, seconds in took.items()}}
        with suppress(OSError):
            put(FILE, json.dumps(known, indent=1, sort_keys=True) + "\n", 0o644)
            if down:
                os.makedirs(down, mode=0o700, exist_ok=True)
            for model in took if down else ():
                put(f"{down}/{model}.json", json.dumps(down_answer(model, known[model])), 0o600)


def forget_answers(models: Collection[str], down: str) -> None:
    """Removes from the folder `down` what Caddy would answer for models that are not in the inventory."""
    with suppress(OSError):
        for file in {*os.listdir(down)} - {f"{model}.json" for model in models}:
            os.remove(f"{down}/{file}")


def down_answer(model: str, seconds: int) -> dict[str, Any]:
    """In the form that OpenAI's clients expect, as the answers of the Caddyfile are."""
    message = f"no replica of the model {model} accepts requests; its last start took {seconds} s"
    return {"error": {"message": message, "type": "server_error", "param": None, "code": "upstream_error"}}

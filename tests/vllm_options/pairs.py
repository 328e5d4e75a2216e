"""Prints the recipes as pairs of command lines, theirs and ours, for `compare.py`."""

from __future__ import annotations

import json
import shlex

from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.tests.vllm_options.parsed import recipes

OWN_WORDS = 7
"""The source, and the three options that the collection sets, with their values: the recipes have none of them."""


def main() -> None:
    pairs = []
    for recipe in recipes():
        entry = {"name": "m", "type": "chat", "source": "a/b", "args": recipe["args"]}
        model = Model.parse({**entry, "devices": recipe.get("devices", {"gpus": 1})}, recipe["from"])
        ours = list(model.command[OWN_WORDS:])
        pairs.append({"name": recipe["from"], "theirs": shlex.split(recipe["command"]), "ours": ours})
    print(json.dumps(pairs))


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.recipe_image, with progress lines. Documented in modules/recipe_image.py."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.plugin_utils.watched import Watched


class ActionModule(Watched):
    module = "recipe_image"

    def more(self, fleet: Fleet, arguments: Mapping[str, Any], task_vars: Any) -> dict[str, Any]:
        """Recipe to folder, for recipes whose folder of wheels is missing on this machine."""
        copied = {name: recipe.wheelhouse or "" for name, recipe in fleet.recipes.items() if recipe.copies_wheels}
        folders = {name: Path(task_vars.get("inventory_dir") or "", folder) for name, folder in copied.items()}
        return {"missing_wheelhouses": {name: str(one) for name, one in folders.items() if not one.is_dir()}}

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.recipe_image, whose steps are shown while it works. Documented in modules/recipe_image.py."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.plugin_utils.watched import Watched


class ActionModule(Watched):
    module = "inference.fleet.recipe_image"

    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        missing = _missing(self._task.args.get("recipes"), task_vars.get("inventory_dir") or "")
        self._task.args["missing_wheelhouses"] = dict(missing)
        return super().run(tmp, task_vars)


def _missing(recipes: Any, inventory: str) -> Iterator[tuple[str, str]]:
    """Recipe and folder, of recipes whose wheels are to come from a folder of this machine that is not there.

    What is wrong with a recipe itself is the module's to tell.
    """
    for name, recipe in recipes.items() if isinstance(recipes, Mapping) else ():
        wheelhouse = recipe.get("wheelhouse") if isinstance(recipe, Mapping) else None
        if isinstance(wheelhouse, str) and not wheelhouse.startswith("/"):
            folder = Path(inventory, wheelhouse)
            if not folder.is_dir():
                yield name, str(folder)

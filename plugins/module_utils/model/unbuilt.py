# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory may already say and this version does not do yet. Pure.

A line goes when its part is built.
"""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import Fleet


def refused(fleet: Fleet) -> list[str]:
    """Faults: what would keep a model from running at all."""
    faults = []
    for index, model in enumerate(fleet.models):
        if model.containers and model.recipe and not model.image:
            faults.append(
                f"fleet_models[{index}].recipe: this version does not build recipes yet; "
                f"build the image yourself and name it as the model's image"
            )
    return faults

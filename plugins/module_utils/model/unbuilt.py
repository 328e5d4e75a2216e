# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What an inventory may already say and this version does not do yet. Pure.

A line goes when its part is built.
"""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.module_utils.model.fleet import Fleet


def ignored(fleet: Fleet) -> list[str]:
    """Warnings: what is taken and has no effect."""
    return ["fleet_monitoring: has no effect yet in this version"] if fleet.monitoring else []

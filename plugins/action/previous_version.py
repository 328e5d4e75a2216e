# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.previous_version, with the fleet of the host. Documented in modules/previous_version.py."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.plugin_utils.with_fleet import WithFleet


class ActionModule(WithFleet):
    module = "previous_version"

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.page_access, whose faults are printed once, as text. Documented in modules/page_access.py."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.plugin_utils.locked import Locked


class ActionModule(Locked):
    module = "page_access"

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.caddy_reload, for the run that holds the host's lock. Documented in modules/caddy_reload.py."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.plugin_utils.locked import Locked


class ActionModule(Locked):
    module = "caddy_reload"

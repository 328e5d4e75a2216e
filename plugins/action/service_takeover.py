# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.service_takeover, for the run that holds the host's lock. Documented in
modules/service_takeover.py."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.plugin_utils.locked import Locked


class ActionModule(Locked):
    module = "service_takeover"

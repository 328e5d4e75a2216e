# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.model_cache, whose steps are shown while it works. Documented in modules/model_cache.py."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.plugin_utils.watched import Watched


class ActionModule(Watched):
    module = "inference.fleet.model_cache"

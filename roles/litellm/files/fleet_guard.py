# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loaded by LiteLLM in its container: rejects requests that would bypass the fleet's models.

LiteLLM accepts these parameters in a request's body, and with them calls other providers on the
internet, or bypasses its own choice of a deployment. Keys give access to models, not to this.
"""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from litellm.integrations.custom_logger import CustomLogger

REFUSED = frozenset(
    {
        "custom_llm_provider",
        "deployment_id",
        "model_list",
        "router_settings_override",
        "specific_deployment",
        "user_config",
    }
)


class Guard(CustomLogger):
    async def async_pre_call_hook(self, user_api_key_dict: Any, cache: Any, data: Any, call_type: Any) -> Any:
        found = sorted(REFUSED & data.keys())
        if found:
            raise HTTPException(status_code=400, detail={"error": f"not accepted here: {', '.join(found)}"})
        return data


guard = Guard()

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Loaded by LiteLLM in its container: requests that would have it go elsewhere than to the fleet's models.

LiteLLM takes these parameters from a request's body, and with them asks other providers in the
internet, or picks a deployment past its own choice. Keys open models, not that.
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
            raise HTTPException(status_code=400, detail={"error": f"not taken here: {', '.join(found)}"})
        return data


guard = Guard()

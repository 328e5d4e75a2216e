# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a host holds: the virtual keys with their spend, from LiteLLM, and the weights in its cache."""

from __future__ import annotations

import http.client
import json
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import MOST, as_list, as_mapping, number, text

PORT = 4000
_LITELLM_S = 3.0
_PAGE = 100  # the largest of /key/list
_MOST_ANSWER = 4_000_000  # bytes


def spends(address: str, master_key: str, port: int = PORT) -> Optional[list[dict[str, Any]]]:
    """The keys with an alias and what each has spent, the largest spend first; None if LiteLLM does not answer soon.

    address: of LiteLLM in Docker's network, which only root reaches.
    """
    found: list[dict[str, Any]] = []
    connection = http.client.HTTPConnection(address, port, timeout=_LITELLM_S)
    try:
        page, pages = 1, 1
        while page <= pages and len(found) < MOST:
            path = f"/key/list?return_full_object=true&size={_PAGE}&page={page}"
            connection.request("GET", path, headers={"Authorization": f"Bearer {master_key}"})
            response = connection.getresponse()
            answer = as_mapping(json.loads(response.read(_MOST_ANSWER)))
            if response.status != 200:
                return None
            found += [
                {"alias": text(one.get("key_alias")), "spend": number(one.get("spend"))}
                for one in map(as_mapping, as_list(answer.get("keys")))
                if one.get("key_alias")
            ]
            page, pages = page + 1, int(number(answer.get("total_pages")) or 0)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    finally:
        connection.close()
    return sorted(found, key=lambda one: (-(one["spend"] or 0.0), one["alias"]))[:MOST]


def weights(folder: str) -> Optional[list[dict[str, Any]]]:
    """The repositories in the cache with their bytes, the largest first; None if the cache cannot be read."""
    try:
        found = CacheFolder(folder).observe()
    except FleetError:
        return None
    sizes = {repo: sum(cached.blobs.values()) + cached.other for repo, cached in found.items()}
    largest = sorted(sizes, key=lambda repo: (-sizes[repo], repo))[:MOST]
    return [{"source": text(repo), "bytes": sizes[repo]} for repo in largest]

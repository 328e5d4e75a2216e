# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What runs behind Caddy on this host, and what Caddy answers to clients."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Iterator
from typing import Any, Optional
from urllib.parse import quote

from ansible_collections.inference.fleet.plugins.module_utils.gateway.host_drain import CODE, Server
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import ENGINE_PORT
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import ask
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

LITELLM_PORT = 4000
HERE, HTTPS_PORT = "127.0.0.1", 443
_SECONDS = 10


def servers() -> tuple[list[Server], list[Server]]:
    """The running containers of LiteLLM, and those of the models. Raises FleetError if Docker does not answer."""
    return (
        list(_running(["managed-by=inference.fleet", "service=litellm"], LITELLM_PORT)),
        list(_running(["managed-by=inference.fleet", "model-name"], ENGINE_PORT)),
    )


def refuses(name: str) -> Optional[bool]:
    """Whether Caddy answers a request for models as on a drained host; None if Caddy does not answer. name: of the host
    in its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # the address is this host's own
    connection = http.client.HTTPSConnection(HERE, HTTPS_PORT, timeout=_SECONDS, context=context)
    try:
        connection.request("GET", "/v1/models", headers={"Host": name})
        return bool(_code(connection.getresponse().read()) == CODE)
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()


def _running(labels: list[str], port: int) -> Iterator[Server]:
    found = ask(f"/containers/json?filters={quote(json.dumps({'label': labels, 'status': ['running']}))}")
    if found is None:
        raise FleetError("Docker does not answer: its containers are not known; see `systemctl status docker`")
    for one in found:
        # A container that ended meanwhile has no process.
        process = ((ask(f"/containers/{one['Id']}/json") or {}).get("State") or {}).get("Pid")
        if process:
            yield Server(str(one["Names"][0]).lstrip("/"), int(process), port)


def _code(body: bytes) -> Any:
    try:
        return json.loads(body)["error"]["code"]
    except (ValueError, LookupError, TypeError):
        return None

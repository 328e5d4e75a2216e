# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The network of containers that download and of builds, on this host: created, and under the host's rules, before one
of them starts. `install` creates the network with the others; `prefetch` and `build_images` may run before `install`.
"""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import DOWNLOADS
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_rules import apply_rules
from ansible_collections.inference.fleet.plugins.module_utils.preflight.networks import FoundNetwork, plan_networks
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import ask, request
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import name_servers, routes

_SECONDS = 60


def provide_network(fleet: Fleet) -> str:
    """The name of the network. Raises FleetError if the network cannot be created, or the host refuses the rules."""
    found = tuple(map(FoundNetwork.parse, ask("/networks") or ()))
    # Planned alone, so that it takes no address of a network that only `install` may remove.
    plan = plan_networks((DOWNLOADS,), found, fleet.network, routes(), name_servers())
    if plan.faults:
        raise FleetError(plan.faults[0])
    apply_rules(present=True, check=False, downloads=fleet.download_addresses)
    for name, _why in plan.recreate:
        _change("DELETE", f"/networks/{name}")
    for options in plan.to_create():
        _change("POST", "/networks/create", _body(options))
    return DOWNLOADS.name


def _body(options: dict[str, Any]) -> dict[str, Any]:
    """options: of community.docker.docker_network."""
    return {
        "Name": options["name"],
        "CheckDuplicate": True,  # Docker 20.10 would create a second network of the same name
        "Driver": "bridge",
        "EnableIPv6": options["enable_ipv6"],
        "IPAM": {"Config": [{"Subnet": one["subnet"]} for one in options["ipam_config"]]},
        "Options": options["driver_options"],
        "Labels": options["labels"],
    }


def _change(method: str, path: str, body: Any = None) -> None:
    status, content = request(method, path, body, _SECONDS)
    if status not in (200, 201, 204):
        try:
            said = str(json.loads(content)["message"])
        except (ValueError, KeyError, TypeError):
            said = f"status {status}" if status else "Docker does not answer"
        raise FleetError(f"network {DOWNLOADS.name}: {said}; containers that download and builds of images need it")

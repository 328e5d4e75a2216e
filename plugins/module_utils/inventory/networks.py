# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Docker networks of a host, and which container is in which: what need not talk to each other cannot. Pure.

Caddy connects them: Caddy is in `llm-network`, from which its ports are published, in a network with LiteLLM, in that
of the monitoring, and in that of each model. All but `llm-network` are internal: Docker publishes ports through the
first network by name that is not internal, so Caddy's ports stay where they are when models come and go.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import options
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import is_online, repositories
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import WATCHERS, Model

FRONT = "llm-network"
LITELLM, POSTGRES, MONITORING = "fleet-litellm", "fleet-postgres", "fleet-monitoring"
MONITORING_OUT = "fleet-monitoring-out"
DOWNLOAD = "fleet-download"  # of containers that download weights, and of builds of images
MODEL, OUT = "fleet-model-", "fleet-out-"  # prefixes, before the name of a model
# Prefixes of the bridges' device names: the rules on the host (host_rules) hold for each device with such a name.
INTERNAL_DEVICE, OUT_DEVICE = "fli-", "flo-"
RESERVED = 3  # addresses of a subnet that no container gets: the network itself, its gateway, and the broadcast address
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True)
class Net:
    """internal: without a way out. containers: how many it has. room: addresses of a new subnet, a power of two; more
    than needed, so that the network can stay when containers are added."""

    name: str
    internal: bool
    containers: int
    room: int

    @property
    def device(self) -> str:
        """The name of its bridge, at most 15 characters; empty for one whose name Docker chooses."""
        prefix = INTERNAL_DEVICE if self.internal else OUT_DEVICE if self.name.startswith((OUT, DOWNLOAD)) else ""
        return prefix and prefix + hashlib.sha256(self.name.encode()).hexdigest()[:8]


DOWNLOADS = Net(DOWNLOAD, False, 1, 8)


def networks(models: Sequence[Model], at_start: bool, monitoring: bool, watchers_out: Sequence[str]) -> tuple[Net, ...]:
    """at_start: whether containers download weights by themselves. watchers_out: the containers of the monitoring that
    connect to other machines."""
    found = [Net(FRONT, False, 1, 8), Net(LITELLM, True, 2, 8), Net(POSTGRES, True, 2, 8), DOWNLOADS]
    if monitoring:
        found.append(Net(MONITORING, True, len(WATCHERS) + 1, 16))
    if watchers_out:
        found.append(Net(MONITORING_OUT, False, len(watchers_out), 8))
    for model in (one for one in models if one.containers):
        replicas = len(model.containers)
        # Twice the replicas: a replica and its successor may run side by side.
        found.append(Net(MODEL + model.name, True, replicas + 1, _power(2 * replicas + 1 + RESERVED)))
        if has_way_out(model, at_start):
            found.append(Net(OUT + model.name, False, replicas, _power(2 * replicas + RESERVED)))
    return tuple(found)


def model_networks(model: Model, at_start: bool) -> tuple[str, ...]:
    return (MODEL + model.name, *([OUT + model.name] if has_way_out(model, at_start) else []))


def service_networks(wanted: Sequence[Net], watchers_out: Sequence[str]) -> Mapping[str, list[str]]:
    """Service -> its networks. watchers_out: as for `networks`."""
    names = [one.name for one in wanted]
    watching = [name for name in names if name == MONITORING]
    inner = [name for name in names if name in (LITELLM, MONITORING) or name.startswith(MODEL)]
    return {
        "caddy": [FRONT, *inner],
        "litellm": [LITELLM, POSTGRES],
        "postgres": [POSTGRES],
        **{name: watching + [MONITORING_OUT] * (name in watchers_out) for name in WATCHERS},
    }


def has_way_out(model: Model, at_start: bool) -> bool:
    """Whether the model's containers may connect to other machines: `outbound`, else whether they download weights,
    fetch media by URL from domains that the inventory allows, or have a proxy."""
    return any(_reasons(model, at_start)) if model.outbound is None else model.outbound


def _reasons(model: Model, at_start: bool) -> Iterator[bool]:
    env = {**({} if at_start else {"HF_HUB_OFFLINE": "1"}), **dict(model.env)}
    yield bool(repositories(model)) and is_online(env)
    yield bool(options(model.args).get("allowed-media-domains"))
    yield any(name.upper() in _PROXIES for name in env)


def _power(number: int) -> int:
    """The next power of two, at least 16."""
    return max(16, 1 << (number - 1).bit_length())

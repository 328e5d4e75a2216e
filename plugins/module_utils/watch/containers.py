# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The containers of the collection, from what Docker reports. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import requested_devices
from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import as_list, as_mapping, text

_NEVER = "0001-01-01"  # Docker's time of what did not happen yet
_LONGEST_NAME = 128


@dataclass(frozen=True)
class Seen:
    """model, service, type: from its labels; None where it has no such label. health: Docker's word, empty without a
    health check. ready: whether a model's container answers; None for a service. started_at, ended_at: RFC 3339, empty
    before. exit_code: None unless it has ended. devices: as requested, UUIDs or indices. address: in a Docker network;
    empty if it has none."""

    name: str
    id: str
    model: Optional[str]
    service: Optional[str]
    type: Optional[str]
    status: str
    health: str
    image: str
    image_id: str
    started_at: str
    ended_at: str
    exit_code: Optional[int]
    restarts: int
    devices: tuple[str, ...]
    address: str = ""
    ready: Optional[bool] = None

    @classmethod
    def parse(cls, data: object) -> Seen:
        """data: what Docker reports of one container. Whatever is missing or of another type is left out."""
        found = as_mapping(data)
        config, state, host = (as_mapping(found.get(key)) for key in ("Config", "State", "HostConfig"))
        labels = as_mapping(config.get("Labels"))
        status, code, restarts = text(state.get("Status")), state.get("ExitCode"), found.get("RestartCount")
        networks = as_mapping(as_mapping(found.get("NetworkSettings")).get("Networks")).values()
        addresses = (text(as_mapping(one).get("IPAddress")) for one in networks)
        model = _label(labels, "model-name")
        return cls(
            name=text(found.get("Name"), _LONGEST_NAME + 1).lstrip("/"),
            id=text(found.get("Id")),
            model=model,
            service=_label(labels, "service"),
            type=_label(labels, "model-type"),
            status=status,
            health=text(as_mapping(state.get("Health")).get("Status")).replace("none", ""),
            image=text(config.get("Image")),
            image_id=text(found.get("Image")),
            started_at=_time(state.get("StartedAt")),
            ended_at=_time(state.get("FinishedAt")) if status != "running" else "",
            exit_code=code if isinstance(code, int) and status in ("exited", "dead", "restarting") else None,
            restarts=restarts if isinstance(restarts, int) else 0,
            devices=tuple(text(one) for one in as_list(_devices(host))),
            address=next(filter(None, addresses), ""),
            ready=None if model is None else False,
        )

    @property
    def may_answer(self) -> bool:
        return self.model is not None and self.status == "running" and bool(self.address)

    def plain(self) -> dict[str, Any]:
        data = asdict(self)
        del data["id"], data["address"]
        return {**data, "devices": list(self.devices)}


def with_answers(containers: Sequence[Seen], answers: Mapping[str, bool]) -> tuple[Seen, ...]:
    """answers: container ID -> whether it answers."""
    return tuple(replace(one, ready=answers[one.id]) if one.id in answers else one for one in containers)


def digest(containers: Iterable[Seen], *marks: str) -> str:
    """Differs when something differs that a person would want to see at once. marks: what else of the host."""
    parts = json.dumps([*marks, *(asdict(one) for one in containers)])
    return hashlib.sha256(parts.encode()).hexdigest()[:32]


def _label(labels: Mapping[str, Any], name: str) -> Optional[str]:
    return text(labels.get(name), _LONGEST_NAME) or None


def _time(value: object) -> str:
    found = text(value, 40)
    return "" if found.startswith(_NEVER) else found


def _devices(host: Mapping[str, Any]) -> tuple[str, ...]:
    requests = [one for one in as_list(host.get("DeviceRequests")) if isinstance(one, Mapping)]
    return requested_devices({"DeviceRequests": requests})

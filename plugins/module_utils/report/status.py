# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The status of hosts: as data, as text for a terminal, and as one JSON document for programs. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.recipe import REPOSITORY
from ansible_collections.inference.fleet.plugins.module_utils.report.table import headed, table

SCHEMA = 1  # of the document; becomes 2 when a key is removed or changes its meaning
_MODELS = ("MODEL", "TYPE", "READY", "DEVICE", "IMAGE", "DIGEST", "UP", "ENDPOINT")
_SERVICES = ("SERVICE", "STATUS", "IMAGE", "DIGEST")
_CONTAINER = (
    *("name", "status", "ready", "device", "devices", "image", "image_id", "started_at", "exit_code", "restarts"),
    "log",
)
_SHORT = 12  # digits of a digest in a table, as Docker shows them
FAIL_ON = ("model", "replica", "never")
_NOT_ASKED = "not asked: an earlier task failed on this host"


def host_status(
    fleet: Mapping[str, Any],
    answer: Mapping[str, Any],
    services: Sequence[Mapping[str, Any]],
    restore: Mapping[str, Any],
    drained_since: str = "",
) -> dict[str, Any]:
    """A host's entry in the document.

    An image's digest is None if the image was built or loaded on the host.

    fleet: the fact. answer: the result of inference.fleet.model_containers with `report`. services: containers as
    Docker's API lists them. restore: the result of boot.restore.last_restore.
    drained_since: the text of the file of inference.fleet.host_drain, or empty.
    """
    digests = answer["digests"]
    return {
        "fault": None,
        "drained_since": drained_since or None,
        "models": [
            _model(
                model,
                fleet["base_url"],
                [
                    {**{key: one[key] for key in _CONTAINER}, "digest": digests.get(one["image_id"])}
                    for one in answer["containers"]
                    if one["model"] == model["name"]
                ],
            )
            for model in fleet["models"]
            if model["state"] != "absent"
        ],
        "services": [
            {"name": name, "status": status, "image": image, "image_id": image_id, "digest": digests.get(image_id)}
            for name, status, image, image_id in sorted(
                (str(name).lstrip("/"), one.get("Status", ""), one.get("Image", ""), one.get("ImageID", ""))
                for one in services
                for name in (one.get("Names") or ())[:1]
            )
        ],
        "last_restore": dict(restore),
        "install_would": list(answer["actions"]),
        "gpu_trouble": list(answer["trouble"]),
        "unused_images": list(answer["unused_images"]),
    }


def without_status(fault: Optional[str]) -> dict[str, Any]:
    """The entry of a host whose status is unknown. fault: the reason, if known."""
    return {
        "fault": fault or _NOT_ASKED,
        "drained_since": None,
        "models": [],
        "services": [],
        "last_restore": None,
        "install_would": [],
        "gpu_trouble": [],
        "unused_images": [],
    }


def document(hosts: Mapping[str, Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "time": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "hosts": hosts,
        "images_that_differ": images_that_differ(hosts),
    }


def images_that_differ(hosts: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[str]]]:
    """The references that are not the same image in all containers -> digest, or ID without one -> names of hosts.

    The images of recipes are built on each host, so they are left out.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for host, status in hosts.items():
        containers = [one for model in status["models"] for one in model["containers"]]
        for one in (*containers, *status["services"]):
            if one["image_id"] and not one["image"].startswith(REPOSITORY):
                having = found.setdefault(one["image"], {}).setdefault(one["digest"] or one["image_id"], [])
                if host not in having:
                    having.append(host)
    return {image: found[image] for image in sorted(found) if len(found[image]) > 1}


def difference_lines(hosts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """`images_that_differ` as text."""
    return [
        f"{image}: " + "; ".join(f"{_short(digest)} on {', '.join(names)}" for digest, names in digests.items())
        for image, digests in images_that_differ(hosts).items()
    ]


def status_text(host: str, status: Mapping[str, Any], now: datetime) -> str:
    """A host's entry as text: the name of the host, and below it a block for each part that is not empty."""
    if status["fault"]:
        return headed(host, [status["fault"]])
    blocks = [
        drained_lines(status["drained_since"]),
        model_table(status["models"], now),
        _listed(
            "added to args for the families of models (docs/models.md):",
            [f"{model['name']}: {', '.join(model['added_args'])}" for model in status["models"] if model["added_args"]],
        ),
        _listed("down:", [line for model in status["models"] for line in _down(model, now)]),
        table(
            [
                _SERVICES,
                *((one["name"], one["status"], one["image"], _short(one["digest"])) for one in status["services"]),
            ]
        ),
        status["last_restore"]["text"],
        _listed("install would:", status["install_would"]),
        _listed("the GPUs are in trouble:", status["gpu_trouble"]),
        _listed("images that nothing uses (playbook prune_images removes them):", status["unused_images"]),
    ]
    lines = [line for block in blocks if block for line in (*block, "")]
    return headed(host, lines[:-1])


def drained_lines(since: Optional[str]) -> list[str]:
    return (
        [f"drained since {since}: Caddy refuses requests for models; the playbook undrain ends this"] if since else []
    )


def model_table(models: Sequence[Mapping[str, Any]], now: datetime) -> list[str]:
    """A head, and a line for each model."""
    rows = [
        (
            model["name"],
            model["type"],
            f"{model['ready']}/{model['wanted']}" + (" stopped" if model["state"] == "stopped" else ""),
            ", ".join(map(_device, model["containers"])) or "-",
            model["image"],
            ", ".join(dict.fromkeys(_short(one["digest"]) for one in model["containers"] if one["image_id"])) or "-",
            _age(model["running_since"], now) if model["running_since"] else "-",
            model["endpoint"] or "-",
        )
        for model in models
    ]
    return table([_MODELS, *rows])


def down_models(models: Sequence[Mapping[str, Any]], fail_on: str) -> list[str]:
    """A line for each model that is down: no replica answers (fail_on: model), or fewer than wanted (replica)."""
    return [
        f"{model['name']}: {model['ready']} of {model['wanted']} replicas answer"
        for model in models
        if fail_on != "never" and model["ready"] < (1 if fail_on == "model" else model["wanted"]) and model["wanted"]
    ]


def _down(model: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Why each replica that should answer does not, and the end of its log."""
    for one in model["containers"] if model["wanted"] else ():
        if not one["ready"]:
            whole = f"the playbook logs with -e model={model['name']} -e lines=0 prints all"
            log = [f"the end of its log ({whole}):", *(f"  {text}" for text in one["log"])]
            yield "\n  ".join([f"{one['name']}: {_why(one, now)}", *(log if one["log"] else ())])


def _why(container: Mapping[str, Any], now: datetime) -> str:
    if container["status"] == "missing":
        return "has no container"
    restarts = f", restarts by Docker: {container['restarts']}" if container["restarts"] else ""
    if container["status"] == "running":
        return f"runs for {_age(container['started_at'], now)}, but does not answer{restarts}"
    code = "" if container["exit_code"] is None else f" with exit code {container['exit_code']}"
    return f"is {container['status']}{code}{restarts}"


def _device(container: Mapping[str, Any]) -> str:
    return f"{container['name']} missing" if container["status"] == "missing" else str(container["device"])


def _short(digest: Optional[str]) -> str:
    return digest.partition(":")[2][:_SHORT] if digest else "-"


def _model(model: Mapping[str, Any], base_url: str, containers: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "name": model["name"],
        "type": model["type"],
        "source": model["source"],
        "state": model["state"],
        "ready": sum(one["ready"] for one in containers),
        "wanted": model["replicas"] if model["state"] == "running" else 0,
        "image": model["image"],
        "added_args": list(model["added_args"]),
        "endpoint": _endpoint(model, base_url),
        "running_since": min((one["started_at"] for one in containers if one["status"] == "running"), default=None),
        "containers": list(containers),
    }


def _endpoint(model: Mapping[str, Any], base_url: str) -> Optional[str]:
    """The base URL for the model's clients with virtual keys."""
    return f"{base_url}/v1" if model["in_gateway"] else None


def _listed(head: str, lines: Sequence[str]) -> list[str]:
    return [head, *(f"  {part}" for line in lines for part in line.splitlines())] if lines else []


def _age(started_at: str, now: datetime) -> str:
    """`3d 4h`, `4h 5m` or `5m 6s` since an RFC 3339 time in UTC; fractions of a second are ignored."""
    started = datetime.strptime(started_at[:19], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=timezone.utc)
    seconds = max(0, int((now - started).total_seconds()))
    for unit, smaller, unit_seconds, smaller_seconds in (("d", "h", 86400, 3600), ("h", "m", 3600, 60)):
        if seconds >= unit_seconds:
            return f"{seconds // unit_seconds}{unit} {seconds % unit_seconds // smaller_seconds}{smaller}"
    return f"{seconds // 60}m {seconds % 60}s"

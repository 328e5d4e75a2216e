# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The observation of a host: one document for programs. Pure.

It has two parts. `now` is cheap and read each time; `details` (layout and holders of the GPUs, the last restore, the
disk, the root certificate) change rarely and are kept between observations.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.watch.figures import FIGURES
from ansible_collections.inference.fleet.plugins.module_utils.watch.plain import text

NOT_YET = "the GPUs are being read"
SCHEMA = 1  # becomes 2 when a key is removed or changes its meaning
NOTHING: Mapping[str, Any] = {
    "gpus": (),
    "gpu_note": NOT_YET,
    "devices": {},
    "last_restore": None,
    "disk": None,
    "root_certificate": None,
    "keys": None,
    "weights": None,
}
"""The details before they were read."""
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]{1,20000}\n-----END CERTIFICATE-----")


def observation(host: str, time: float, now: Mapping[str, Any], details: Mapping[str, Any]) -> dict[str, Any]:
    """now, details: of inference.fleet.host_state. time: seconds since 1970."""
    ended = {one["name"] for one in now["containers"] if one["status"] != "running"}
    figures = {one["uuid"]: one for one in now["figures"]}
    return {
        "schema": SCHEMA,
        "host": host,
        "time": time,
        "fault": None,
        "containers": [{**one, "device": device_text(one, details["devices"])} for one in now["containers"]],
        "gpus": [_gpu(one, figures.get(one["uuid"], {}), ended) for one in details["gpus"]],
        "gpu_note": now["gpu_note"] or details["gpu_note"],
        "drained_since": now["drained_since"],
        "last_restore": details["last_restore"],
        "metrics": now["metrics"],
        "alerts": now["alerts"],
        "disk": details["disk"],
        "root_certificate": details["root_certificate"],
        "keys": details.get("keys"),
        "weights": details.get("weights"),
    }


def without_observation(host: str, time: float, fault: str) -> dict[str, Any]:
    """Of a host that could not be read. fault: the reason, in one line."""
    return {"schema": SCHEMA, "host": host, "time": time, "fault": one_line(fault)}


def one_line(words: str, longest: int = 500) -> str:
    return text(" ".join(words.split()), longest) or "no reason was given"


def device_text(container: Mapping[str, Any], devices: Mapping[str, str]) -> str:
    """Such as `GPU 0` or `GPU 0, MIG 3g.20gb`; `CPU` for a model without a device, empty for a service without one."""
    asked = container["devices"]
    if not asked:
        return "CPU" if container["model"] else ""
    return "; ".join("all GPUs" if one == "all" else devices.get(one, one) for one in asked)


def device_names(gpus: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Index and UUID of each GPU, and the UUID of each MIG device -> its name for a person.

    gpus: as `Gpu.as_dict`."""
    names: dict[str, str] = {}
    for gpu in gpus:
        names[str(gpu["index"])] = names[gpu["uuid"]] = f"GPU {gpu['index']}"
        for part in (part for instance in gpu["instances"] for part in instance["compute"]):
            if part["uuid"]:
                names[part["uuid"]] = f"GPU {gpu['index']}, MIG {part['name']}"
    return names


def gpu_details(gpus: Iterable[Mapping[str, Any]], holders: Mapping[str, Collection[str]]) -> list[dict[str, Any]]:
    """gpus: as `Gpu.as_dict`. holders: container -> the UUIDs of the GPUs and MIG devices that it holds. On a GPU with
    MIG devices, a container that holds only a MIG device is named at its instance."""
    return [
        {
            "index": gpu["index"],
            "uuid": text(gpu["uuid"]),
            "name": text(gpu["name"]),
            "memory_mib": gpu["memory"],
            "power_limit": gpu["power_limit"],
            "mig": gpu["mig"],
            "links": dict(gpu["links"]),
            "profiles": [
                {key: one[key] for key in ("name", "slices", "size", "starts", "total", "memory_gib")}
                for one in gpu["profiles"]
            ],
            "instances": [_instance(one, holders) for one in gpu["instances"]],
            "containers": _holding({gpu["uuid"]}, holders),
            "processes": [{"pid": one["pid"], "name": text(one["name"])} for one in gpu["processes"]],
        }
        for gpu in gpus
    ]


def root_certificate(words: str) -> Any:
    """The first certificate of the text in PEM; None if it has none."""
    found = _CERTIFICATE.search(words.replace("\r\n", "\n"))
    return f"{found[0]}\n" if found else None


def _instance(one: Mapping[str, Any], holders: Mapping[str, Collection[str]]) -> dict[str, Any]:
    uuids = [part["uuid"] for part in one["compute"] if part["uuid"]]
    return {
        **{key: one[key] for key in ("id", "profile", "start", "size")},
        "uuids": uuids,
        "containers": _holding(set(uuids), holders),
    }


def _holding(devices: Collection[str], holders: Mapping[str, Collection[str]]) -> list[str]:
    return sorted(text(name) for name, held in holders.items() if set(held) & set(devices))


def _gpu(details: Mapping[str, Any], figures: Mapping[str, Any], ended: Collection[str]) -> dict[str, Any]:
    """With the figures, and without containers that ended after the details were read."""
    known = {key: figures[key] if key in figures else details.get(key) for key in FIGURES}
    if known["memory_mib"] is None:
        known["memory_mib"] = details["memory_mib"]
    instances = [{**one, "containers": _without(one["containers"], ended)} for one in details["instances"]]
    return {**details, **known, "instances": instances, "containers": _without(details["containers"], ended)}


def _without(names: Sequence[str], ended: Collection[str]) -> list[str]:
    return [name for name in names if name not in ended]

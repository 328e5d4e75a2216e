# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What Prometheus scrapes and what the node exporter hands on, from the fact `fleet`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import ENGINE_PORT

_GPU_MODEL = "inference_fleet_gpu_model_info"


def model_targets(models: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each replica of each model that is to run, as Prometheus' file_sd_configs take it.

    The instance is the container's name, under which the rest of the collection speaks of it.
    """
    return [
        {
            "targets": [f"{container}:{ENGINE_PORT}"],
            "labels": {
                "instance": container,
                "model": model["name"],
                "replica": container.rpartition("-")[2],
                "type": model["type"],
            },
        }
        for model in models
        if model["state"] == "running"
        for container in model["containers"]
    ]


def certificate_targets(https: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The names whose certificates are looked at, each with its module of `certificate_modules`."""
    return [
        {"targets": [name], "labels": {"__param_module": f"certificate_{index}", "https_mode": https["mode"]}}
        for index, name in enumerate(https["names"])
    ]


def certificate_modules(https: Mapping[str, Any]) -> dict[str, Any]:
    """For the Blackbox exporter: a TLS handshake with Caddy under each name. Whether the certificate is trusted
    is not asked, since Caddy's own CA is not known to it."""
    return {
        f"certificate_{index}": {
            "prober": "tcp",
            "tcp": {
                "tls": True,
                "tls_config": {"insecure_skip_verify": True, "server_name": name.replace("*", "any", 1)},
            },
        }
        for index, name in enumerate(https["names"])
    }


def gpu_models_text(devices: Iterable[Mapping[str, Any]]) -> str:
    """One series for each GPU or GPU instance, for the node exporter's textfile collector.

    Its labels UUID and GPU_I_ID are the DCGM exporter's, so that its series can be joined with the model's name.
    devices: as inference.fleet.gpu_info returns them.
    """
    lines = [
        f"# HELP {_GPU_MODEL} Which model runs on a GPU or a GPU instance; empty where none does.",
        f"# TYPE {_GPU_MODEL} gauge",
    ]
    for one in devices:
        labels = {
            "UUID": one["uuid"],
            **({} if one["instance"] is None else {"GPU_I_ID": str(one["instance"])}),
            "model": ", ".join(one["models"]),
            "container": ", ".join(one["containers"]),
        }
        told = ",".join(f'{name}="{value}"' for name, value in labels.items())
        lines.append(f"{_GPU_MODEL}{{{told}}} 1")
    return "\n".join(lines) + "\n"

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Targets of Prometheus and metrics for the node exporter, from the fact `fleet`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import METRICS_PORT

_GPU_MODEL = "inference_fleet_gpu_model_info"


def model_targets(models: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each replica of each model with state running, in the form of Prometheus' file_sd_configs.

    Prometheus is in no network of a model: Caddy passes the requests on. The instance is the container's name, as
    everywhere in the collection.
    """
    return [
        {
            "targets": [f"caddy:{METRICS_PORT}"],
            "labels": {
                "__metrics_path__": f"/replicas/{container}/metrics",
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
    """The names whose certificates are checked, each with its module of `certificate_modules`."""
    return [
        {"targets": [name], "labels": {"__param_module": f"certificate_{index}", "https_mode": https["mode"]}}
        for index, name in enumerate(https["names"])
    ]


def certificate_modules(https: Mapping[str, Any]) -> dict[str, Any]:
    """Modules of the Blackbox exporter: a TLS handshake with Caddy under each name. Does not check trust, since the
    exporter does not know Caddy's CA."""
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

    The labels UUID and GPU_I_ID are those of the DCGM exporter, so that a query can join the series.
    devices: the result of inference.fleet.gpu_info.
    """
    lines = [
        f"# HELP {_GPU_MODEL} Which model runs on a GPU or a GPU instance; empty if none does.",
        f"# TYPE {_GPU_MODEL} gauge",
    ]
    for one in devices:
        labels = {
            "UUID": one["uuid"],
            **({} if one["instance"] is None else {"GPU_I_ID": str(one["instance"])}),
            "model": ", ".join(one["models"]),
            "container": ", ".join(one["containers"]),
        }
        pairs = ",".join(f'{name}="{value}"' for name, value in labels.items())
        lines.append(f"{_GPU_MODEL}{{{pairs}}} 1")
    return "\n".join(lines) + "\n"

"""The targets of Prometheus, from inventories."""

from __future__ import annotations

import re
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import (
    certificate_modules,
    certificate_targets,
    gpu_models_text,
    model_targets,
)
from ansible_collections.inference.fleet.tests.unit.inventories import inventories
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet
from hypothesis import given


def https(**settings: Any) -> dict[str, Any]:
    data: dict[str, Any] = fleet(https=settings).public()["https"]
    return data


def test_each_replica_is_a_target_that_knows_its_model() -> None:
    assert model_targets(fleet(entry(replicas=2)).public()["models"]) == [
        {
            "targets": ["caddy:9180"],
            "labels": {
                "__metrics_path__": f"/replicas/vllm-qwen3-8b-{replica}/metrics",
                "instance": f"vllm-qwen3-8b-{replica}",
                "model": "qwen3-8b",
                "replica": str(replica),
                "type": "chat",
            },
        }
        for replica in (1, 2)
    ]


def test_what_is_stopped_or_absent_is_no_target() -> None:
    models = fleet(entry(state="stopped"), entry(name="gone", state="absent")).public()["models"]
    assert model_targets(models) == []


@given(inventories)
def test_of_any_inventory_all_that_runs_is_a_target_once(variables: dict[str, Any]) -> None:
    models = Fleet.parse(variables).public()["models"]
    found = [group["labels"]["__metrics_path__"] for group in model_targets(models)]
    running = [name for model in models if model["state"] == "running" for name in model["containers"]]
    assert found == [f"/replicas/{name}/metrics" for name in running]
    # Caddy passes on requests with such a path alone.
    assert all(re.fullmatch(r"/replicas/(vllm-[a-z0-9-]+)/metrics", path) for path in found)


def test_each_name_has_its_certificate_looked_at_under_it() -> None:
    given_names = https(names=["llm.example.com", "10.0.0.7"])
    targets, modules = certificate_targets(given_names), certificate_modules(given_names)
    assert [(group["targets"], group["labels"]["https_mode"]) for group in targets] == [
        (["llm.example.com"], "internal"),
        (["10.0.0.7"], "internal"),
    ]
    names = [modules[group["labels"]["__param_module"]]["tcp"]["tls_config"]["server_name"] for group in targets]
    assert names == ["llm.example.com", "10.0.0.7"]


def test_of_a_wildcard_a_name_that_it_covers_is_asked_for() -> None:
    (module,) = certificate_modules({"mode": "files", "names": ["*.example.com"]}).values()
    assert module["tcp"]["tls_config"]["server_name"] == "any.example.com"


def test_a_gpu_and_a_slice_are_told_of_in_the_dcgm_exporters_terms() -> None:
    devices = [
        {"uuid": "GPU-0", "instance": 2, "models": ["a"], "containers": ["vllm-a-1"]},
        {"uuid": "GPU-0", "instance": 3, "models": ["p"], "containers": ["vllm-p-1", "vllm-p-2"]},
        {"uuid": "GPU-1", "instance": None, "models": [], "containers": []},
    ]
    series = [line for line in gpu_models_text(devices).splitlines() if not line.startswith("#")]
    assert series == [
        'inference_fleet_gpu_model_info{UUID="GPU-0",GPU_I_ID="2",model="a",container="vllm-a-1"} 1',
        'inference_fleet_gpu_model_info{UUID="GPU-0",GPU_I_ID="3",model="p",container="vllm-p-1, vllm-p-2"} 1',
        'inference_fleet_gpu_model_info{UUID="GPU-1",model="",container=""} 1',
    ]


def test_without_gpus_there_are_no_series() -> None:
    assert re.fullmatch(r"(#.*\n)+", gpu_models_text([]))

"""From `fleet_*` variables to a plan and the rendered configurations, for very many models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    Container,
    Desired,
    ImageDefaults,
    Observed,
    desired_containers,
    plan_containers,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import HostContainer
from ansible_collections.inference.fleet.plugins.module_utils.gpu.devices import plan_devices
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.plugins.module_utils.gpu.placement import DeviceRequest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, scope
from docker import DockerClient
from playbook import BenchError
from report import Findings, against

SIZES = (1_000, 3_000, 10_000)
GPUS = 8  # of one server
MORE_GPUS = (8, 64, 1_000)
ROUNDS = 5
AIM_SECONDS = 1
ROLES = Path(__file__).resolve().parents[2] / "roles"
TEMPLATES = {
    "render LiteLLM's configuration": ROLES / "litellm/templates/config.yaml.j2",
    "render the Caddyfile": ROLES / "caddy/templates/Caddyfile.j2",
}
CADDY_VARIABLES = ROLES / "caddy/vars/main.yml"
WHOLE = "all of it"
IMAGE = ImageDefaults(id="sha256:0", env={"PATH": "/usr/bin"}, labels={"maintainer": "somebody"})


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    init_plugin_loader([])  # the templates have lookups
    timings: dict[int, dict[str, float]] = {}
    for size in SIZES:
        say(f"{size} models")
        rounds = [_time(size) for _number in range(ROUNDS)]
        timings[size] = {stage: median(one[stage] for one in rounds) for stage in rounds[0]}
    first, last = SIZES[0], SIZES[-1]
    rows = [
        (stage, *(f"{timings[size][stage] * 1000:.0f} ms" for size in SIZES), f"{timings[last][stage] / took:.1f} x")
        for stage, took in timings[first].items()
    ]
    whole = {size: timings[size][WHOLE] for size in SIZES}
    yield Findings(
        title=f"Validating and rendering {first:,} models",
        columns=("", *(f"{size:,} models" for size in SIZES), f"{first:,} to {last:,}"),
        rows=tuple(rows),
        notes=(
            f"{first:,} models: {against(whole[first], AIM_SECONDS, ' s')}.",
            f"{first:,} to {last:,}: {whole[last] / whole[first]:.1f} x; exactly linear is {last / first:g} x.",
            f"One host with {GPUS} GPUs: {GPUS} models have one GPU each, the others use the CPU.",
            f"Medians of {ROUNDS}; one process; templates rendered by Ansible, without network or Docker. "
            "No other tool does the same, so there is no comparison.",
        ),
    )
    say("placement by GPUs")
    yield _by_gpus(first)


def _time(size: int) -> dict[str, float]:
    """Stage -> seconds, for one pass."""
    timings: dict[str, float] = {}

    def timed(stage: str, work: Callable[[], Any]) -> Any:
        begun = time.perf_counter()
        result = work()
        timings[stage] = time.perf_counter() - begun
        return result

    given, gpus = _variables(size, GPUS), _gpus(GPUS)
    observed = _observed(given)
    containers = _host_containers(observed)
    fleet = timed("parse and validate", lambda: Fleet.parse(given))
    names = scope(fleet, None, ())
    request = DeviceRequest(fleet, gpus, containers, names, prune=True)
    devices = timed("place on GPUs", lambda: plan_devices(request))
    desired = timed("desired containers", lambda: desired_containers(fleet, devices.given, names))
    plan = timed("plan, everything present", lambda: plan_containers(desired, observed, True, names))
    public = timed("plain data for templates", fleet.public)
    public["https"]["names"] = ["localhost"]
    role_variables = yaml.safe_load(CADDY_VARIABLES.read_text())
    for stage, template in TEMPLATES.items():
        loader = DataLoader()
        loader.set_basedir(str(template.parent))  # where a template's includes are looked for
        search = {"ansible_search_path": [str(template.parents[1])]}  # and the files of its lookups
        variables = {"fleet": public, "ansible_managed": "Ansible", **search, **role_variables}
        templar = Templar(loader=loader, variables=variables)
        text = timed(stage, lambda source=template, on=templar: on.template(trust_as_template(source.read_text())))
        if stage.startswith("render LiteLLM") and text.count("model_name:") != size:
            raise BenchError(f"{template.name} has {text.count('model_name:')} models instead of {size}")
    if plan.actions:
        raise BenchError(f"with everything present there was to be nothing to do, but: {plan.actions[0]}")
    timings[WHOLE] = sum(timings.values())
    return timings


def _by_gpus(size: int) -> Findings:
    """The cost of placement by the number of GPUs, all of them held."""
    rows = []
    for count in MORE_GPUS:
        variables, gpus = _variables(size, count), _gpus(count)
        fleet, containers = Fleet.parse(variables), _host_containers(_observed(variables))
        request = DeviceRequest(fleet, gpus, containers, scope(fleet, None, ()), prune=True)
        taken = []
        for _number in range(ROUNDS):
            begun = time.perf_counter()
            plan_devices(request)
            taken.append(time.perf_counter() - begun)
        rows.append((f"{count:,} GPUs", f"{median(taken) * 1000:.0f} ms"))
    return Findings(
        title=f"Placing {size:,} models, by the GPUs of the host",
        columns=("", "place on GPUs"),
        rows=tuple(rows),
        notes=("One model on each GPU. No server has 1,000 GPUs: the row only shows the growth.",),
    )


def _observed(variables: dict[str, Any]) -> Observed:
    """Docker with every container of the fleet as desired: the first models have a GPU each."""
    fleet = Fleet.parse(variables)
    on_gpus = [model for model in fleet.models if not model.devices.cpu]
    given = {name: (f"GPU-{index}",) for index, model in enumerate(on_gpus) for name in model.containers}
    containers = tuple(_container(one) for one in desired_containers(fleet, given))
    return Observed(containers, frozenset(), {fleet.images.vllm: IMAGE})


def _container(desired: Desired) -> Container:
    spec = desired.spec.resolved(IMAGE)
    return Container(id=spec.name, spec=replace(spec, env=dict(spec.env)), status="running", address="10.0.0.1")


def _host_containers(observed: Observed) -> list[HostContainer]:
    """The same containers as placement sees them."""
    return [
        HostContainer(one.id, one.spec.name, one.spec.image, labels=one.spec.labels, devices=one.spec.devices)
        for one in observed.containers
    ]


def _gpus(count: int) -> tuple[Gpu, ...]:
    """Fictional GPUs, without MIG and NVLink."""
    return tuple(
        Gpu(index, f"GPU-{index}", "NVIDIA L40S", f"{index:08x}:01:00.0", index, 46068, "550.90.07")
        for index in range(count)
    )


def _variables(size: int, gpus: int) -> dict[str, Any]:
    return {"fleet_schema": 1, "fleet_models": [_model(index, index < gpus) for index in range(size)]}


def _model(index: int, on_gpu: bool) -> dict[str, Any]:
    return {
        "name": f"model-{index}",
        "type": ("chat", "embedding")[index % 2],
        "source": f"organisation/model-{index}",
        "devices": {"gpus": 1} if on_gpu else {"cpu": True},
        "args": {"max-model-len": 8192, "gpu-memory-utilization": 0.9, "enable-prefix-caching": True},
        "env": {"VLLM_LOGGING_LEVEL": "INFO"},
    }

"""From models to what Prometheus scrapes, for very many of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.report.scrape import model_targets
from docker import DockerClient
from playbook import BenchError
from report import Findings, against
from validate import _variables as variables

SIZES = (1_000, 10_000)
GPUS = 8
ROUNDS = 5
AIM_MS = 1000
ROLE = Path(__file__).resolve().parents[2] / "roles/monitoring"


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    took: dict[int, dict[str, float]] = {}
    for size in SIZES:
        say(f"{size} models")
        rounds = [_time(size) for _number in range(ROUNDS)]
        took[size] = {stage: median(one[stage] for one in rounds) for stage in rounds[0]}
    whole = sum(took[SIZES[0]].values())
    yield Findings(
        title=f"Scrape configuration for {SIZES[0]:,} models",
        columns=("", *(f"{size:,} models" for size in SIZES)),
        rows=tuple((stage, *(f"{took[size][stage] * 1000:.0f} ms" for size in SIZES)) for stage in took[SIZES[0]]),
        notes=(
            f"{SIZES[0]:,} models: {against(whole * 1000, AIM_MS, ' ms')}.",
            f"Medians of {ROUNDS}; one process. prometheus.yml, rendered by Ansible, is the same for "
            "all models; only the targets grow, in a file that Prometheus watches.",
        ),
    )


def _time(size: int) -> dict[str, float]:
    """Stage -> seconds, once through."""
    fleet = Fleet.parse({**variables(size, GPUS), "fleet_monitoring": True}).public()
    fleet["https"]["names"] = ["localhost"]
    given: dict[str, Any] = {"fleet": fleet, "ansible_managed": "Ansible", "inventory_hostname": "gpu1"}
    given.update(yaml.safe_load((ROLE / "vars/main.yml").read_text()))
    given["__monitoring_scraped"] = trust_as_template(given["__monitoring_scraped"])
    templar = Templar(loader=DataLoader(), variables=given)
    begun = time.perf_counter()
    targets = json.dumps(model_targets(fleet["models"]), indent=4, sort_keys=True)
    between = time.perf_counter()
    templar.template(trust_as_template((ROLE / "templates/prometheus.yml.j2").read_text()))
    ended = time.perf_counter()
    if targets.count("instance") != size:
        raise BenchError(f"{targets.count('instance')} targets instead of {size}")
    return {"render the targets": between - begun, "render prometheus.yml": ended - between}

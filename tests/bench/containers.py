"""A re-run with nothing to change: model_containers, docker_container in a loop, and a ping."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import traces
from docker import DockerClient
from playbook import Playbooks
from report import Findings, against, seconds, spread

COUNTS = (8, 32, 128)
COMPARED = 32
ROUNDS = 3
OURS, LOOP, PING = "model_containers", "docker_container", "ping"
RATIO_AIM, PING_AIM, STEP_AIM_MS = 10, 1.5, 10

Timings = dict[int, dict[str, list[float]]]


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    traces.refuse(traces.foreign(docker), "the bench needs a machine without model containers of somebody else")
    traces.need_images(docker, traces.ENGINE)
    with tempfile.TemporaryDirectory() as folder, traces.networks_and_volume(docker, max(COUNTS)):
        playbooks = Playbooks(Path(folder), _variables(0))
        try:
            timings = {count: _time(playbooks, count, say) for count in COUNTS}
            yield _compared(timings)
            yield _growth(timings)
        finally:
            say("removing the containers")
            traces.remove_own(docker)


def _time(playbooks: Playbooks, count: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Each contestant's runs over the same containers, alternating."""
    say(f"starting {count} containers")
    playbooks.use(_variables(count))
    playbooks.run(OURS)
    contestants = [OURS, PING] + ([LOOP] if count <= COMPARED else [])
    timings: dict[str, list[float]] = {name: [] for name in contestants}
    for number in range(ROUNDS):
        for name in contestants:
            say(f"{count} containers, round {number + 1} of {ROUNDS}: {name}")
            timings[name].append(playbooks.rerun(name).seconds)
    return timings


def _compared(timings: Timings) -> Findings:
    at = {name: median(values) for name, values in timings[COMPARED].items()}
    return Findings(
        title=f"Re-run with nothing to change, {COMPARED} containers",
        columns=("one `ansible-playbook` run", f"median of {ROUNDS} (all)", "model_containers is"),
        rows=(
            ("inference.fleet.model_containers, one task", spread(timings[COMPARED][OURS]), ""),
            (
                "community.docker.docker_container, a loop",
                spread(timings[COMPARED][LOOP]),
                against(at[LOOP] / at[OURS], RATIO_AIM, " x as fast", at_least=True),
            ),
            (
                "ansible.builtin.ping, one task",
                spread(timings[COMPARED][PING]),
                against(at[OURS] / at[PING], PING_AIM, " x as long"),
            ),
        ),
        notes=(
            "All three with tests/bench/ansible.cfg (pipelining on), on the same containers, in turn.",
            "model_containers also checks every model's /health; docker_container does not.",
        ),
    )


def _growth(timings: Timings) -> Findings:
    rows = []
    for before, count in zip((None, *COUNTS), COUNTS, strict=False):
        cells = [f"{count} containers", spread(timings[count][OURS])]
        for name in (OURS, LOOP):
            step = _step_ms(timings, name, before, count)
            aim = name == OURS and count == COUNTS[-1]
            cells.append("" if step is None else against(step, STEP_AIM_MS, " ms") if aim else f"{step:.1f} ms")
        over_ping = median(timings[count][OURS]) - median(timings[count][PING])
        rows.append((*cells, seconds(over_ping)))
    return Findings(
        title="Cost per further container",
        columns=("", "model_containers", "each further container", "in the docker_container loop", "above a ping"),
        rows=tuple(rows),
        notes=(
            "Each further container: the difference to the row above, divided by the number of containers. "
            f"The loop stops at {COMPARED}.",
        ),
    )


def _step_ms(timings: Timings, name: str, before: int | None, count: int) -> float | None:
    if before is None or name not in timings[before] or name not in timings[count]:
        return None
    return (median(timings[count][name]) - median(timings[before][name])) / (count - before) * 1000


def _variables(count: int) -> dict[str, Any]:
    """The inventory with this number of models."""
    return {
        "fleet_models": [model(index) for index in range(1, count + 1)],
        "fleet_images": {"vllm": traces.ENGINE},
    }


def model(index: int) -> dict[str, Any]:
    return {
        "name": traces.model_name(index),
        "type": "chat",
        "source": "Qwen/Qwen3-8B",
        "devices": {"cpu": True},
        "args": {"max-model-len": 8192},
        "env": {"VLLM_LOGGING_LEVEL": "INFO"},
        "ready_timeout": 300,
        "shm_size": "1g",
    }

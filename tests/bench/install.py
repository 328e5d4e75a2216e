"""`install` and `reboot_restore` on a converged host."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import traces
from containers import model
from docker import DockerClient
from playbook import BenchError, Playbooks, Run
from report import Findings, against, seconds, spread

MODELS = 8
ROUNDS = 3
SLOWEST = 5
AIM_SECONDS = {"install": 8, "reboot_restore": 6}
BY_THE_UNIT = "reboot_restore"
"""The playbook that a host runs by itself, with an Ansible of its own."""
STATE = Path("/etc/inference-fleet")
KEYS = "fleet-postgres"
IMAGES = {
    "vllm": traces.ENGINE,
    "litellm": "inference-fleet/litellm:1.106.2",
    "postgres": "inference-fleet/postgres:15",
    "caddy": "inference-fleet/caddy:2.11.7",
}


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    _refuse_a_host_in_use(docker)
    traces.need_images(docker, *IMAGES.values())
    variables = {
        "fleet_schema": 1,
        "fleet_models": [model(index) for index in range(1, MODELS + 1)],
        "fleet_images": IMAGES,
        "fleet_https": {"mode": "internal", "names": ["localhost"]},
        "fleet_cache": {"min_free_gb": 1, "downloads": "at_start"},
    }
    with tempfile.TemporaryDirectory() as folder:
        playbooks = Playbooks(Path(folder), variables)
        try:
            say(f"install, the first time, with {MODELS} models")
            first = playbooks.run("inference.fleet.install")
            # Packs the modules, as the first boot does.
            playbooks.rerun(f"inference.fleet.{BY_THE_UNIT}", as_the_unit=True)
            reruns: dict[str, list[Run]] = {name: [] for name in (*AIM_SECONDS, "ping")}
            for number in range(ROUNDS):
                for name, runs in reruns.items():
                    say(f"round {number + 1} of {ROUNDS}: {name} again")
                    playbook = f"inference.fleet.{name}" if name in AIM_SECONDS else name
                    runs.append(playbooks.rerun(playbook, as_the_unit=name == BY_THE_UNIT))
            yield _whole(first, reruns)
            for name in AIM_SECONDS:
                yield _slowest(name, reruns[name])
        finally:
            say("taking all of it away")
            _take_away(docker, playbooks)


def _refuse_a_host_in_use(docker: DockerClient) -> None:
    traces.refuse(traces.managed(docker), "the bench installs on this machine and found it in use")
    left = [str(STATE)] if STATE.exists() else []
    left += [f"volume {name}" for name in (KEYS, traces.CACHE) if traces.has_volume(docker, name)]
    if left:
        raise BenchError(f"the bench installs on this machine and found {', '.join(left)}: it would remove that")


def _take_away(docker: DockerClient, playbooks: Playbooks) -> None:
    """Removes all that this run created, including the keys that uninstall keeps."""
    services = {"caddy", "litellm", "postgres"}
    traces.refuse(sorted(set(traces.foreign(docker)) - services), "meanwhile somebody else began to use this machine")
    playbooks.run("inference.fleet.uninstall", "-e", "uninstall_confirm=true")
    if traces.has_volume(docker, KEYS):
        docker.volumes.get(KEYS).remove()
    shutil.rmtree(STATE, ignore_errors=True)  # missing if the run failed before creating it


def _whole(first: Run, reruns: dict[str, list[Run]]) -> Findings:
    ping = median(run.seconds for run in reruns["ping"])
    return Findings(
        title=f"One converged host with {MODELS} models",
        columns=("one `ansible-playbook` run", "time", "tasks", ""),
        rows=(
            *(_again(name, reruns[name], ping) for name in AIM_SECONDS),
            ("a ping, for comparison", spread([run.seconds for run in reruns["ping"]]), "1", ""),
            ("`install`, the first time", seconds(first.seconds), _tasks(first), "with LiteLLM's migrations"),
        ),
        notes=(
            "This machine over a local connection, tests/bench/ansible.cfg (pipelining on); stand-in engines, "
            "real Caddy, LiteLLM and PostgreSQL.",
            "`reboot_restore` with the modules packed by an earlier run, as the host's unit runs it.",
            "No other tool does the same, so there is no comparison.",
        ),
    )


def _again(name: str, runs: list[Run], ping: float) -> tuple[str, ...]:
    times = [run.seconds for run in runs]
    verdict = f"{against(median(times), AIM_SECONDS[name], ' s')}, {median(times) / ping:.1f} x a ping"
    return f"`{name}`, nothing to change", spread(times), _tasks(runs[0]), verdict


def _slowest(name: str, reruns: list[Run]) -> Findings:
    """Sorted by the median over the re-runs; each runs the same tasks."""
    tasks = [
        (same[0][0], median(duration for _name, duration in same))
        for same in zip(*(run.tasks for run in reruns), strict=True)
    ]
    longest = sorted(tasks, key=lambda task: task[1], reverse=True)[:SLOWEST]
    whole = median(run.seconds for run in reruns)
    return Findings(
        title=f"The longest tasks of `{name}`",
        columns=("task", "median", "of the whole run"),
        rows=tuple((name, seconds(duration), f"{duration / whole:.0%}") for name, duration in longest),
        notes=(f"All tasks together: {seconds(sum(duration for _name, duration in tasks))}.",),
    )


def _tasks(run: Run) -> str:
    return f"{len(run.tasks)} run, {run.skipped} skipped"

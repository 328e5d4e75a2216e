"""Runs of ansible-playbook against one host, timed from the outside, result parsed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PLAYBOOKS = HERE / "playbooks"
CONFIG = HERE / "ansible.cfg"
HOST = "bench-host"
THIS_MACHINE = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
LIMIT_SECONDS = 1800


class BenchError(Exception):
    """The bench must stop, and why."""


@dataclass(frozen=True)
class Run:
    """seconds: of the whole process. tasks: name -> seconds, of those that were not skipped. messages: of the tasks."""

    seconds: float
    tasks: tuple[tuple[str, float], ...]
    skipped: int
    changed: int
    messages: tuple[str, ...] = ()


class Playbooks:
    """ansible-playbook with an inventory of one host. connection: its variables that say how to reach it."""

    def __init__(
        self, folder: Path, variables: Mapping[str, Any], connection: Mapping[str, Any] = THIS_MACHINE
    ) -> None:
        self._folder = folder
        self._connection = connection
        self.use(variables)

    def use(self, variables: Mapping[str, Any]) -> None:
        """Use another inventory from now on."""
        inventory = {"fleet": {"hosts": {HOST: dict(self._connection)}, "vars": dict(variables)}}
        (self._folder / "inventory.json").write_text(json.dumps(inventory))

    def run(self, playbook: str, *more: str, as_the_unit: bool = False) -> Run:
        """A file of playbooks/ or the full name of a collection's playbook. more: further arguments.

        as_the_unit: with the settings of the unit that restores a host at boot which make a difference to the time.
        """
        own = PLAYBOOKS / f"{playbook}.yml"
        program = Path(sys.executable).with_name("ansible-playbook")
        command = [
            str(program),
            "--inventory",
            str(self._folder / "inventory.json"),
            str(own if own.exists() else playbook),
            *more,
        ]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        environment["ANSIBLE_CONFIG"] = str(CONFIG)
        environment["ANSIBLE_COLLECTIONS_PATH"] = str(Path(sys.prefix, "src"))  # not what molecule installed at home
        if as_the_unit:
            environment["ANSIBLE_CALLBACKS_ENABLED"] = "inference.fleet.packed_modules"
            environment["INFERENCE_FLEET_PACKED_MODULES"] = str(self._folder / "modules")
        begun = time.perf_counter()
        done = subprocess.run(
            command, env=environment, cwd=self._folder, capture_output=True, text=True, timeout=LIMIT_SECONDS
        )
        took = time.perf_counter() - begun
        if done.returncode:
            raise BenchError(
                f"{playbook} ended with {done.returncode}: {_why(done.stdout) or done.stderr or done.stdout}"
            )
        return _parse(done.stdout, took)

    def rerun(self, playbook: str, as_the_unit: bool = False) -> Run:
        """A run that changes nothing; raises BenchError otherwise."""
        run = self.run(playbook, as_the_unit=as_the_unit)
        if run.changed:
            raise BenchError(f"{playbook} was to find nothing to do, and reported changed={run.changed}")
        return run


def _parse(output: str, took: float) -> Run:
    """output: what the callback ansible.posix.json prints at its end, after the output of action plugins."""
    _reported, opening, rest = f"\n{output}".partition("\n{")
    data = json.loads(opening + rest)
    results = [
        (one["task"], one["hosts"][HOST]) for play in data["plays"] for one in play["tasks"] if HOST in one["hosts"]
    ]
    return Run(
        seconds=took,
        tasks=tuple((task["name"], _duration(task)) for task, result in results if not result.get("skipped")),
        skipped=sum(bool(result.get("skipped")) for _task, result in results),
        changed=data["stats"][HOST]["changed"],
        messages=tuple(str(result["msg"]) for _task, result in results if result.get("msg")),
    )


def _duration(task: Mapping[str, Any]) -> float:
    start, end = (datetime.fromisoformat(task["duration"][part].rstrip("Z")) for part in ("start", "end"))
    return (end - start).total_seconds()


def _why(output: str) -> str:
    """The messages of the tasks that failed."""
    try:
        plays = json.loads(output)["plays"]
    except ValueError:
        return ""
    failed = [
        f"{one['task']['name']}: {result.get('msg', result)}"
        for play in plays
        for one in play["tasks"]
        for result in one["hosts"].values()
        if result.get("failed") or result.get("unreachable")
    ]
    return "\n".join(failed)

"""`install` on a lab host with each Docker Engine that the tests have."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from containers import model
from docker import DockerClient
from install import IMAGES
from playbook import Playbooks, Run
from report import Findings, seconds, spread

LAB = Path(__file__).resolve().parents[1] / "lab"
HOST = "bench"
ENGINES = {
    "20.10, Debian 12": ("lab-host", False),
    "26.1, Debian 13": ("lab-host-trixie", False),
    "26.1 behind the stand-in for 29, Debian 13": ("lab-host-trixie", True),
    "28.5 of Debian unstable, Debian 13": ("lab-host-sid", False),
}
"""What it is called here -> the image of the host, whether the stand-in for Docker Engine 29 is before the engine."""
MODELS = 2
RERUNS = 3


def measure(docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    del docker
    say("building the images of the lab hosts")
    names = ("postgres", "litellm", "caddy", "engine-stand-in", *dict.fromkeys(image for image, _ in ENGINES.values()))
    lab_program("images/build.py", *names)
    tags = dict(line.split("\t") for line in lab_program("images/build.py", "--list", *names).splitlines())
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
        rows = []
        for name, (image, gate) in ENGINES.items():
            try:
                say(f"{name}: install on a new host, and {RERUNS} times again")
                started = lab_program("hosts.py", "start", HOST, tags[image], f"{key}.pub", *IMAGES.values())
                first, again = _install(Path(folder), started.split()[-1], key, gate)
            finally:
                lab_program("hosts.py", "remove", HOST)
            times = [run.seconds for run in again]
            tasks = f"{len(first.tasks)} and {len(again[0].tasks)}"
            rows.append((name, seconds(first.seconds), spread(times), tasks, str(max(run.changed for run in again))))
    yield Findings(
        title=f"`install` on each Docker Engine, {MODELS} models",
        columns=("", "a new host", "again", "tasks", "changed=, again"),
        rows=tuple(rows),
        notes=(
            "Lab hosts over SSH, tests/bench/ansible.cfg (pipelining on); stand-in engines, real Caddy, LiteLLM and "
            "PostgreSQL, whose images the host has.",
        ),
    )


def _install(folder: Path, address: str, key: Path, gate: bool) -> tuple[Run, list[Run]]:
    variables = {
        "fleet_schema": 1,
        "fleet_models": [model(index) for index in range(1, MODELS + 1)],
        "fleet_images": IMAGES,
        "fleet_cache": {"min_free_gb": 1, "downloads": "at_start"},
    }
    playbooks = Playbooks(folder, variables, connection(address, folder, key))
    playbooks.run("ready", "-e", f"gate={str(gate).lower()}")
    return playbooks.run("inference.fleet.install"), [playbooks.rerun("inference.fleet.install") for _ in range(RERUNS)]


def connection(address: str, folder: Path, key: Path) -> dict[str, str]:
    """How Ansible reaches a lab host."""
    return {
        "ansible_host": address,
        "ansible_user": "root",
        "ansible_ssh_private_key_file": str(key),
        "ansible_ssh_common_args": f"-o StrictHostKeyChecking=accept-new -o UserKnownHostsFile={folder}/{address}",
        "ansible_python_interpreter": "/usr/bin/python3",
    }


def lab_program(program: str, *arguments: str) -> str:
    path = LAB / program
    done = subprocess.run(
        [sys.executable, path.name, *arguments], cwd=path.parent, stdout=subprocess.PIPE, text=True, check=True
    )
    return done.stdout

"""Two runs of ansible-playbook on one host, each of which believes that it holds the host's lock.

The collection is a copy whose folder for locks is the test's; community.docker is a stand-in that reports whether it
runs behind the lock.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.work import LOST

ROOT = Path(__file__).parents[2]
CONTAINER = """#!/usr/bin/python
import fcntl
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=dict(work=dict(), name=dict()), supports_check_mode=True)
with open(module.params["work"]) as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        held = False
    except OSError:
        held = True
    module.exit_json(changed=True, held=held, mark=file.read().split()[-1:])
"""
LOCK = """
- hosts: all
  gather_facts: false
  tasks:
    - inference.fleet.host_lock: {path: "FOLDER/lock", take_over: TAKE_OVER}
"""
FIRST = (
    LOCK
    + """
    - inference.fleet.service_container: {name: caddy, work: "FOLDER/work"}
      register: first
    - ansible.builtin.copy: {content: "{{ first | to_json }}", dest: "FOLDER/first"}
    - ansible.builtin.wait_for: {path: "FOLDER/go", sleep: 1}
    - block:
        - inference.fleet.service_container: {name: caddy, work: "FOLDER/work"}
      rescue:
        - inference.fleet.host_files: {folders: [{path: "FOLDER/made"}]}
"""
)
SECOND = (
    LOCK
    + """
    - inference.fleet.service_container: {name: caddy, work: "FOLDER/work"}
"""
)


class Site:
    """A machine with the collection and one host, the machine itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        fleet = folder / "collections/ansible_collections/inference/fleet"
        docker = folder / "collections/ansible_collections/community/docker/plugins/modules"
        shutil.copytree(ROOT / "plugins", fleet / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copytree(ROOT / "meta", fleet / "meta")
        work = fleet / "plugins/module_utils/system/work.py"
        changed = re.sub(r'^RUN = ".*"', f'RUN = "{folder}"', work.read_text(), flags=re.MULTILINE)
        work.write_text(changed)
        docker.mkdir(parents=True)
        (docker / "docker_container.py").write_text(CONTAINER)

    def start(self, name: str, play: str, take_over: bool = False) -> subprocess.Popen[str]:
        text = play.replace("FOLDER", str(self.folder)).replace("TAKE_OVER", str(take_over).lower())
        (self.folder / f"{name}.yml").write_text(text)
        inventory = f"localhost ansible_connection=local ansible_python_interpreter={sys.executable}\n"
        (self.folder / "hosts").write_text(inventory)
        command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "hosts", f"{name}.yml"]
        where = {"ANSIBLE_COLLECTIONS_PATH": str(self.folder / "collections"), "ANSIBLE_NOCOLOR": "1"}
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env={**os.environ, **where},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def reached(self, name: str) -> str:
        """The content of the file, as soon as it is there."""
        deadline = time.monotonic() + 120
        while not (self.folder / name).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(0.1)
        return (self.folder / name).read_text()


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def test_a_run_that_was_taken_for_dead_stops_at_its_next_task(site: Site) -> None:
    """It is paused, as with a laptop that sleeps; an admin breaks its lock, and the second run comes to its end."""
    first = site.start("first", FIRST)
    seen = json.loads(site.reached("first"))
    assert (seen["held"], seen["mark"]) == (True, ["service_container"])
    os.killpg(first.pid, signal.SIGSTOP)
    second = site.start("second", SECOND, take_over=True)
    output = second.communicate(timeout=120)[0]
    assert second.returncode == 0, output
    (site.folder / "go").touch()
    os.killpg(first.pid, signal.SIGCONT)
    output = first.communicate(timeout=120)[0]
    assert first.returncode == 2, output
    assert output.count(f"{site.folder}/lock: expected the lock of this run") >= 2, output
    assert LOST in output
    assert not (site.folder / "made").exists()


def test_a_second_run_is_refused_and_the_first_goes_on(site: Site) -> None:
    first = site.start("first", FIRST)
    site.reached("first")
    second = site.start("second", SECOND)
    output = second.communicate(timeout=120)[0]
    assert second.returncode == 2, output
    assert f"PID {first.pid}" in output
    (site.folder / "go").touch()
    output = first.communicate(timeout=120)[0]
    assert first.returncode == 0, output

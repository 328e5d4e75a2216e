#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_lock
short_description: Lock a host, so that only one run at a time changes it
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Takes the host's lock for the C(ansible-playbook) process that runs the task, or releases it. If another run holds
    the lock, the task fails and reports holder, origin and start time.
  - A lock whose process has ended is taken over with a warning. This is checked on the machine of the process, so it
    works for runs from the same machine; a lock left by another machine is taken over with O(take_over=true).
  - If a module of a killed run still changes the host, C(model_containers) and C(recipe_image) are stopped, and the
    task waits up to half an hour for the end of another one; with O(take_over=true), every module is stopped. With
    O(wait) too, as in a restore at boot, every module is stopped after 10 minutes.
  - A run whose lock was taken over stops. Its next module that would change the host finds the lock of another run and
    fails. A module that acts keeps the others waiting until it ends, by a lock of the kernel.
  - The lock is a file under C(/run), so a reboot removes it.
options:
  state:
    description: V(present) takes the lock, V(absent) releases it unless another run holds it.
    type: str
    choices: [present, absent]
    default: present
  take_over:
    description: Take the lock even if another run holds it, after O(wait).
    type: bool
    default: false
  wait:
    description:
      - Seconds to wait for another run to release the lock. If the holder is a run of C(reboot_restore), the task waits
        up to 10 minutes even with V(0), since such a run ends soon.
    type: int
    default: 0
  path:
    description: The lock's file.
    type: path
    default: /run/inference-fleet/lock
  owner:
    description: The run that takes the lock. Set by the action plugin of the same name.
    type: dict
  replaces:
    description: The ended holder whose lock may be taken over. Set by the action plugin.
    type: dict
  stops:
    description: The modules to stop if they still work when this run has the lock. Set by the action plugin.
    type: list
    elements: str
    default: []
attributes:
  action:
    support: full
    description: The holder of the lock is checked on the controller.
  check_mode:
    support: full
    description: The lock is read but not taken.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Lock this host
  inference.fleet.host_lock:

- name: Release the lock
  inference.fleet.host_lock:
    state: absent
"""

RETURN = r"""
holder:
  description: The holder of the lock after the task; null if there is none.
  returned: always
  type: dict
  sample:
    user: ann
    host: admin-laptop
    pid: 4711
    run: 5e1f6a0f8bb0c5d3a1f7c3a9b0a4d2e6
    since: 2026-11-24 02:40:11 UTC
    command: ansible-playbook inference.fleet.install
works:
  description:
    - The module of a previous run that still changes the host, since the run was killed; null if there is none. The
      action plugin waits for its end.
  returned: always
  type: dict
  sample: {pid: 4712, module: model_containers}
"""

import fcntl
import json
import os

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import LOCK
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.work import parse_holder, worker

SPEC = dict(
    state=dict(type="str", choices=["present", "absent"], default="present"),
    take_over=dict(type="bool", default=False),
    wait=dict(type="int", default=0),
    path=dict(type="path", default=LOCK),
    owner=dict(type="dict"),
    replaces=dict(type="dict"),
    stops=dict(type="list", elements="str", default=[]),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    owner, path = module.params["owner"], module.params["path"]
    if owner is None:
        module.fail_json(msg="owner: missing; the action plugin inference.fleet.host_lock sets it")
    if module.check_mode and not os.path.exists(path):
        module.exit_json(holder=None)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    with open(path, "a+", errors="replace", opener=_opened) as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # briefly, for this file; the content of the file is the lock
        file.seek(0)
        holder = parse_holder(file.read())
        mine = holder is not None and holder.get("run") == owner["run"]
        if module.params["state"] == "absent":
            wanted = None if mine else holder
        elif mine:
            wanted = holder
        elif holder is None or module.params["take_over"] or holder == module.params["replaces"]:
            wanted = owner
        else:
            wanted = holder
        if wanted != holder and not module.check_mode:
            file.truncate(0)
            file.write(json.dumps(wanted))
    works = None
    if module.params["state"] == "present" and (mine or wanted == owner) and not module.check_mode:
        works = worker(os.path.dirname(path), module.params["stops"])
    module.exit_json(holder=wanted, works=works and dict(pid=works[0], module=works[1]))


def _opened(path: str, flags: int) -> int:
    """For root alone: whoever can open the file can lock it, and so stop every run."""
    opened = os.open(path, flags | os.O_NOFOLLOW, 0o600)
    os.fchmod(opened, 0o600)
    return opened


if __name__ == "__main__":
    main()

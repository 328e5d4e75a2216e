#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_versions
short_description: Read the versions of a host's system, and compare its clock with the controller's
version_added: 0.2.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Reads the versions of the distribution, the kernel, Docker, NVIDIA's driver and this collection on the host. Needs
    only Python on the host, and changes nothing.
  - If the host cannot be reached or read, the task does not fail; RV(fault) has the reason. So
    M(inference.fleet.drift_report) has all hosts of the play.
options: {}
attributes:
  action:
    support: full
    description: The clock is compared on the machine that runs Ansible.
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
seealso:
  - module: inference.fleet.drift_report
"""

EXAMPLES = r"""
- name: Read the versions and the clock of the host
  inference.fleet.host_versions:
  register: versions
"""

RETURN = r"""
fault:
  description: Why the host could not be read, and then the only value. Null if it was read.
  returned: always
  type: str
system:
  description: The distribution and its release.
  returned: if the host was read
  type: str
  sample: debian 12
kernel:
  description: The release of the running kernel.
  returned: if the host was read
  type: str
  sample: 6.1.0-18-amd64
kernels:
  description: The releases of the installed kernels. Empty if the host has none of its own, as a container.
  returned: if the host was read
  type: list
  elements: str
  sample: [6.1.0-18-amd64, 6.1.0-22-amd64]
docker:
  description: The version of Docker Engine; null if it does not answer.
  returned: if the host was read
  type: str
  sample: 28.2.2
driver:
  description:
    - The versions of NVIDIA's driver. C(loaded) in the kernel, C(library) the installed NVML, C(module) the kernel
      module on disk for the running kernel. Each is null if there is none.
  returned: if the host was read
  type: dict
  sample: {loaded: 550.90.07, library: 550.90.07, module: 550.90.07}
collection:
  description: The version of the copy of this collection that the host restores itself with; null if it has none.
  returned: if the host was read
  type: str
  sample: 0.2.0
clock:
  description:
    - The host's clock. C(ahead), the seconds that it is ahead of the controller's, negative if it is behind. C(error),
      the largest error of that measure, half of the time that the fastest of three connections took. C(synchronized),
      whether a time server sets the clock, as the kernel knows it; null if the kernel does not tell.
  returned: if the host was read
  type: dict
  sample: {ahead: -0.012, error: 0.031, synchronized: true}
"""

import ctypes
import json
import os
import re
from contextlib import suppress
from pathlib import Path
from typing import Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import KIT
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux import os_release
from ansible_collections.inference.fleet.plugins.module_utils.preflight.linux_nvidia import driver_versions
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import engine
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run

BOOT = Path("/boot")
TIMEX_BYTES = 512  # more than the kernel's structure has
TIME_ERROR = 5  # "clock not synchronized"
IMAGE = "vmlinuz-"
COLLECTION = Path(KIT, "collections/ansible_collections/inference/fleet")


def main() -> None:
    run(_work, AnsibleModule(argument_spec={}, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    release = os_release()
    docker = engine()
    module.exit_json(
        changed=False,
        fault=None,
        system=f"{release.get('ID', '?')} {release.get('VERSION_ID', '')}".strip(),
        kernel=os.uname().release,
        kernels=sorted(path.name[len(IMAGE) :] for path in BOOT.glob(f"{IMAGE}[0-9]*") if "rescue" not in path.name),
        docker=docker["Version"] if docker else None,
        driver=driver_versions(),
        collection=_collection(),
        clock={"synchronized": _synchronized()},
    )


def _synchronized() -> Optional[bool]:
    """False some hours after the last correction of the clock, whichever program made it (adjtimex(2), TIME_ERROR)."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else bool(state != TIME_ERROR)


def _collection() -> Optional[str]:
    """An installed collection has MANIFEST.json, a checkout galaxy.yml."""
    with suppress(OSError, ValueError, KeyError):
        return str(json.loads((COLLECTION / "MANIFEST.json").read_text())["collection_info"]["version"])
    with suppress(OSError):
        found = re.search(r"^version:\s*['\"]?([^\s'\"]+)", (COLLECTION / "galaxy.yml").read_text(), re.MULTILINE)
        return found[1] if found else None
    return None


if __name__ == "__main__":
    main()

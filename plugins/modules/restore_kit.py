#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_kit
short_description: Copy the collections that a host uses for its boot-time restore, or that the page uses
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Copies collections, as installed on the machine that runs Ansible, to a folder of the host, and reports which other
    requirements of a boot-time restore the host has. A host with the same collections is not changed.
  - The folder is replaced as a whole, so a restore never runs from a mixture of two versions.
options:
  path:
    description: The folder. C(collections) below it has the collections, C(venv) an environment with C(ansible-core).
    type: path
    default: /opt/inference-fleet
  collections:
    description: Names of collections that are installed on the machine that runs Ansible.
    type: list
    elements: str
    required: true
  digest:
    description: The digest of the collections' files. Set by the action plugin of the same name.
    type: str
  archive:
    description: The path of the archive from the action plugin.
    type: path
attributes:
  action:
    support: full
    description: The collections come from the machine that runs Ansible.
  check_mode:
    support: full
    description: Reports whether the collections would be copied.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Copy the collections to the host
  inference.fleet.restore_kit:
    collections: [inference.fleet, community.docker]
  register: kit
"""

RETURN = r"""
ansible_core:
  description:
    - The version of C(ansible-core) that is completely installed in C(venv) for the host's present Python, or null.
      M(inference.fleet.restore_environment) installs it.
  returned: success
  type: str
  sample: 2.19.14
requirements:
  description: The SHA-256 of the pins from which that C(ansible-core) was installed; null if unknown.
  returned: success
  type: str
systemd:
  description: Whether the host runs systemd, which can start a restore at boot.
  returned: success
  type: bool
now:
  description: The host's clock, in seconds since 1970.
  returned: success
  type: float
"""

import os
import shutil
import tarfile
import time
from pathlib import Path
from typing import Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.boot.environment import (
    LINK,
    ansible_core,
    pins,
    python_for_ansible,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import KIT
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run, words_of
from ansible_collections.inference.fleet.plugins.module_utils.system.files import switch

DIGEST = "DIGEST"
SPEC = dict(
    path=dict(type="path", default=KIT),
    collections=dict(type="list", elements="str", required=True),
    digest=dict(type="str"),
    archive=dict(type="path"),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    if module.params["digest"] is None:
        module.fail_json(msg="digest: missing; the action plugin inference.fleet.restore_kit sets it")
    folder = Path(module.params["path"])
    changed = _digest(folder / "collections") != module.params["digest"]
    if changed and module.params["archive"]:
        try:
            unpack(Path(module.params["archive"]), folder / "collections", module.params["digest"])
        except (OSError, EOFError, tarfile.TarError) as error:
            why = f"cannot be replaced ({words_of(error)}); the previous collections are still in use"
            module.fail_json(msg=f"{folder / 'collections'}: {why}")
    module.exit_json(
        changed=changed,
        ansible_core=ansible_core(folder / LINK, python_for_ansible()),
        requirements=pins(folder / LINK),
        systemd=os.path.isdir("/run/systemd/system"),
        now=time.time(),
    )


def unpack(archive: Path, target: Path, digest: str) -> None:
    """Unpacks beside `target`, a link, which is switched when the new folder is complete."""
    whole = target.with_name(f"{target.name}-{digest}")
    if whole.exists():  # left by an interrupted run
        shutil.rmtree(whole)
    os.umask(0o022)  # all users may read the collections, whatever umask root has here
    whole.mkdir(mode=0o755, parents=True)
    with tarfile.open(archive) as packed:
        # A keyword since 3.9.17 and 3.11.4; typeshed mistypes its value when passed as **.
        packed.extractall(whole, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))  # type: ignore[arg-type]
    (whole / DIGEST).write_text(digest)
    switch(target, whole)


def _digest(folder: Path) -> Optional[str]:
    try:
        return (folder / DIGEST).read_text()
    except OSError:
        return None


if __name__ == "__main__":
    main()

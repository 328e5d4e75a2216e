#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: restore_kit
short_description: Have on a host the collections that it restores itself with
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Copies collections, as they are installed on the machine that runs Ansible, to a folder of the host, and tells what
    else is there of what a restore at boot needs. A host that has the same already is not touched.
  - The folder is replaced as a whole, so no restore ever runs from a mixture of two versions.
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
    description: What tells one version of their files from another. Filled in by the action plugin of the same name.
    type: str
  archive:
    description: Where the action plugin put the files, packed.
    type: path
attributes:
  action:
    support: full
    description: The collections are those of the machine that runs Ansible.
  check_mode:
    support: full
    description: Says whether the collections are to be copied, and copies none.
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
    - The version of C(ansible-core) that is installed in C(venv) as a whole, for the Python that the host has now; null
      where none is. M(inference.fleet.restore_environment) puts it there.
  returned: success
  type: str
  sample: 2.19.14
systemd:
  description: Whether systemd runs the host, so that it can start a restore at boot.
  returned: success
  type: bool
now:
  description: The host's own clock, in seconds since 1970.
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
from ansible_collections.inference.fleet.plugins.module_utils.boot.environment import LINK, PYTHON, ansible_core
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import KIT
from ansible_collections.inference.fleet.plugins.module_utils.system.files import switch

DIGEST = "DIGEST"
SPEC = dict(
    path=dict(type="path", default=KIT),
    collections=dict(type="list", elements="str", required=True),
    digest=dict(type="str"),
    archive=dict(type="path"),
)


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    if module.params["digest"] is None:
        module.fail_json(msg="digest: missing; the action plugin inference.fleet.restore_kit fills it in")
    folder = Path(module.params["path"])
    changed = _digest(folder / "collections") != module.params["digest"]
    if changed and module.params["archive"]:
        try:
            unpack(Path(module.params["archive"]), folder / "collections", module.params["digest"])
        except (OSError, EOFError, tarfile.TarError) as error:
            module.fail_json(
                msg=f"{folder / 'collections'}: cannot be replaced ({error}); what was there is still in use"
            )
    module.exit_json(
        changed=changed,
        ansible_core=ansible_core(folder / LINK, Path(PYTHON).resolve()),
        systemd=os.path.isdir("/run/systemd/system"),
        now=time.time(),
    )


def unpack(archive: Path, target: Path, digest: str) -> None:
    """`target` is a link, which is replaced when the new folder is whole."""
    whole = target.with_name(f"{target.name}-{digest}")
    if whole.exists():  # cut off
        shutil.rmtree(whole)
    whole.mkdir(mode=0o755, parents=True)
    with tarfile.open(archive) as packed:
        # A keyword since 3.9.17 and 3.11.4; typeshed takes its value for a text where it is spread.
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

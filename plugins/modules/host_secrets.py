#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_secrets
short_description: Keep secrets in files on the host that only root reads, and make those that nobody gave
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Each secret is one file, mode 0600, in a folder of mode 0700. A file is replaced as a whole, so that a run that is
    interrupted leaves the old secret or the new one.
  - A secret with a value is written as it is. One without is read from its file; if there is none, it is generated
    once from the system's random source and kept from then on.
options:
  path:
    description: The folder; it is made if it is missing.
    type: path
    required: true
  given:
    description: Name of the secret (and of its file) to its value, or to null where the host's own is to be used.
    type: dict
    required: true
  prefixes:
    description: Name of a secret to what a generated value of it begins with.
    type: dict
    default: {}
  permanent:
    description:
      - Secrets that something was encrypted or set up with already. A value that differs from the one that the host has
        kept is told in RV(faults), and nothing is written.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    description: Nothing is written; a secret that would be generated is returned as a throw-away value.
  diff_mode:
    support: none
    description: Secrets are not shown.
notes:
  - The task that calls this needs C(no_log), since it returns the secrets.
"""

EXAMPLES = r"""
- name: Have the gateway's secrets on the host
  inference.fleet.host_secrets:
    path: /etc/inference-fleet/secrets
    given:
      master_key: "{{ vault_master_key }}"
      salt_key:
    prefixes: {master_key: sk-}
  register: secrets
  no_log: true
"""

RETURN = r"""
values:
  description: Name to value, of every secret in O(given).
  returned: success
  type: dict
faults:
  description: What is wrong with secrets that are O(permanent); for a task of its own to fail with, since C(no_log)
    hides the message of this one.
  returned: success
  type: list
  elements: str
"""

import os
import secrets
import stat
import tempfile
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule

SPEC = dict(
    path=dict(type="path", required=True),
    given=dict(type="dict", required=True, no_log=False),  # names; the values are hidden in main()
    prefixes=dict(type="dict", default={}),
    permanent=dict(type="list", elements="str", default=[], no_log=False),  # names
)
RANDOM_BYTES = 32
PERMANENT = (
    "{name}: the inventory gives another one than {path} on this host, which the data here was set up with; "
    "take it out of the inventory, or give the one that the host has"
)


def main() -> None:
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    module.no_log_values.update(str(value) for value in module.params["given"].values() if value)
    folder = Path(module.params["path"])
    kept = {name: _read(folder / name) for name in module.params["given"]}
    faults = [
        PERMANENT.format(name=name, path=folder / name)
        for name in module.params["permanent"]
        if kept[name] and (module.params["given"][name] or kept[name]) != kept[name]
    ]
    if faults:
        module.exit_json(changed=False, values=kept, faults=faults)
    values = {
        name: given or kept[name] or module.params["prefixes"].get(name, "") + secrets.token_urlsafe(RANDOM_BYTES)
        for name, given in module.params["given"].items()
    }
    stale = [name for name in values if values[name] != kept[name] or _mode(folder / name) != 0o600]
    loose = _mode(folder) != 0o700
    if not module.check_mode:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        for name in stale:
            _write(folder / name, values[name])
    module.exit_json(changed=bool(stale) or loose, values=values, faults=[])


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""


def _mode(path: Path) -> int:
    """Its permission bits, or -1 where there is nothing."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else -1


def _write(path: Path, value: str) -> None:
    handle, temporary = tempfile.mkstemp(dir=str(path.parent))  # 0600 from the start
    with os.fdopen(handle, "w") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, str(path))


if __name__ == "__main__":
    main()

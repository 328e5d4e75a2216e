#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_secrets
short_description: Store secrets in files on the host that only root can read, and generate missing ones
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Each secret is one file, mode 0600, in a folder of mode 0700. A file is replaced as a whole, so an interrupted run
    leaves the old or the new secret.
  - A secret with a given value is written unchanged. Otherwise the secret is read from its file; if the file is
    missing, it is generated once from the system's random source and kept.
options:
  path:
    description: The folder; it is created if it is missing.
    type: path
    required: true
  given:
    description: Name of the secret (and of its file) to its value, or to null to use the host's own.
    type: dict
    required: true
  prefixes:
    description: Name of a secret to the prefix of its generated value.
    type: dict
    default: {}
  permanent:
    description:
      - Secrets that data is already encrypted with. They are never rotated. A value that differs from the stored one is
        reported in RV(faults), and nothing is written.
    type: list
    elements: str
    default: []
  rotate:
    description:
      - Secrets to generate again now. A secret with a value in O(given) is reported in RV(faults), and nothing is
        written.
    type: list
    elements: str
    default: []
  overlapping:
    description:
      - Secrets whose previous value stays accepted for a while after a change. Previous values are in a file
        C(NAME.previous), one C(UNTIL VALUE) per line, newest first. A later change does not move the end of a value.
    type: list
    elements: str
    default: []
  overlap:
    description:
      - Seconds for which a previous value stays accepted. V(0) ends the overlap of all previous values of a changed
        secret at once; if O(rotate) is empty, of every secret.
    type: int
    default: 3600
  prune:
    description: Whether to remove files of secrets that O(given) does not name.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Nothing is written; for a secret that would be generated, a temporary value is returned.
  diff_mode:
    support: none
    description: Secrets are not shown.
notes:
  - The task needs C(no_log), since it returns the secrets; it fails without.
"""

EXAMPLES = r"""
- name: Write the gateway's secrets on the host
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
previous:
  description:
    - Name to a list of the previous values that are still accepted, newest first, for secrets of O(overlapping) that
      have any.
  returned: success
  type: dict
  contains:
    value:
      description: A previous value.
      type: str
    until:
      description: When it ends, in seconds since the epoch.
      type: int
files:
  description: The files in O(path) that were written or removed, or in check mode would be.
  returned: when RV(faults) is empty
  type: list
  elements: str
  sample: [/etc/inference-fleet/secrets/master_key]
faults:
  description: Faults of O(rotate) or O(permanent). A separate task should fail with them, since C(no_log) hides the
    message of this task.
  returned: success
  type: list
  elements: str
"""

import re
import secrets
import stat
import time
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.gateway.rotation import Previous, Wanted, plan_secrets
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put

SPEC = dict(
    path=dict(type="path", required=True),
    given=dict(type="dict", required=True, no_log=False),  # otherwise the values are masked in the result
    prefixes=dict(type="dict", default={}),
    permanent=dict(type="list", elements="str", default=[], no_log=False),  # names
    rotate=dict(type="list", elements="str", default=[], no_log=False),  # names
    overlapping=dict(type="list", elements="str", default=[], no_log=False),  # names
    overlap=dict(type="int", default=3600),
    prune=dict(type="bool", default=False),
)
RANDOM_BYTES = 32
PREVIOUS = ".previous"


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    if not module.no_log:
        module.fail_json(msg="the task's options and result contain secrets; the task needs no_log: true")
    folder, prefixes = Path(module.params["path"]), module.params["prefixes"]
    files = {path.name: path.read_text().strip() for path in folder.iterdir()} if folder.exists() else {}
    outcome = plan_secrets(
        Wanted(**{name: module.params[name] for name in ("given", "rotate", "overlap", "overlapping", "permanent")}),
        files,
        {name[: -len(PREVIOUS)]: _previous(text) for name, text in files.items() if name.endswith(PREVIOUS)},
        time.time(),
        lambda name: prefixes.get(name, "") + secrets.token_urlsafe(RANDOM_BYTES),
    )
    result = {
        "values": outcome.values,
        "previous": {name: [asdict(one) for one in before] for name, before in outcome.previous.items()},
        "faults": outcome.faults,
    }
    if outcome.faults:
        module.exit_json(changed=False, **result)
    right = {
        **outcome.values,
        **{
            name + PREVIOUS: "\n".join(f"{one.until} {one.value}" for one in before)
            for name, before in outcome.previous.items()
        },
    }
    stale = [name for name, value in right.items() if value != files.get(name) or _mode(folder / name) != 0o600]
    ended = [name for name in files if name not in right and (name.endswith(PREVIOUS) or module.params["prune"])]
    loose = _mode(folder) != 0o700
    if not module.check_mode:
        try:
            _keep(folder, {name: right[name] for name in stale}, ended)
        except OSError as error:
            module.fail_json(msg=f"{folder}: {error.strerror}; each secret has its old or its new value")
    changed = [str(folder)] * loose + [str(folder / name) for name in sorted({*stale, *ended})]
    module.exit_json(changed=bool(changed), files=changed, **result)


def _keep(folder: Path, values: dict[str, str], ended: list[str]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    # Write the previous values first: an interrupted run may then keep one too many but lose none.
    for name in sorted(values, key=lambda name: not name.endswith(PREVIOUS)):
        put(str(folder / name), values[name] + "\n")
    for name in ended:
        (folder / name).unlink()


def _previous(text: str) -> tuple[Previous, ...]:
    """The values in NAME.previous; invalid lines are ignored."""
    return tuple(Previous(value, int(until)) for until, value in re.findall(r"(?m)^([0-9]{1,12}) (.+)$", text))


def _mode(path: Path) -> int:
    """The permission bits, or -1 for a missing path."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else -1


if __name__ == "__main__":
    main()

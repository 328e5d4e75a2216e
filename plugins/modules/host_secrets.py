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
      - Secrets that something was encrypted with already. A value that differs from the one that the host has kept is
        told in RV(faults), and nothing is written. They are never rotated.
    type: list
    elements: str
    default: []
  rotate:
    description:
      - Secrets to generate anew now. One that O(given) has a value for is told in RV(faults), and nothing is written.
    type: list
    elements: str
    default: []
  overlapping:
    description:
      - Secrets whose value of before goes on being accepted for a while when it changes, in a file C(NAME.previous)
        beside the new one, one C(UNTIL VALUE) a line, newest first. Each has its own end, which no later change moves.
    type: list
    elements: str
    default: []
  overlap:
    description:
      - Seconds for which it does. V(0) ends it at once, and with it all that is still accepted of before for the same
        secret; where O(rotate) is empty, for every secret.
    type: int
    default: 3600
  prune:
    description: Whether files of secrets that O(given) does not name are removed.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
    description: Nothing is written; a secret that would be generated is returned as a throw-away value.
  diff_mode:
    support: none
    description: Secrets are not shown.
notes:
  - The task that calls this needs C(no_log), since it returns the secrets; without it, it fails.
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
previous:
  description:
    - Name to a list of what goes on being accepted beside the value, newest first, for those of O(overlapping) that
      have such.
  returned: success
  type: dict
  contains:
    value:
      description: A value of before.
      type: str
    until:
      description: When it ends, in seconds since the epoch.
      type: int
faults:
  description: What is wrong with O(rotate) or O(permanent); for a task of its own to fail with, since C(no_log) hides
    the message of this one.
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
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put

SPEC = dict(
    path=dict(type="path", required=True),
    given=dict(type="dict", required=True, no_log=False),  # else what is given would be blotted out in the answer
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
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    if not module.no_log:
        module.fail_json(msg="the task shows secrets in what it is given and returns; it needs no_log: true")
    folder, prefixes = Path(module.params["path"]), module.params["prefixes"]
    files = {path.name: path.read_text().strip() for path in folder.iterdir()} if folder.exists() else {}
    outcome = plan_secrets(
        Wanted(**{name: module.params[name] for name in ("given", "rotate", "overlap", "overlapping", "permanent")}),
        files,
        {name[: -len(PREVIOUS)]: _previous(text) for name, text in files.items() if name.endswith(PREVIOUS)},
        time.time(),
        lambda name: prefixes.get(name, "") + secrets.token_urlsafe(RANDOM_BYTES),
    )
    told = {
        "values": outcome.values,
        "previous": {name: [asdict(one) for one in before] for name, before in outcome.previous.items()},
        "faults": outcome.faults,
    }
    if outcome.faults:
        module.exit_json(changed=False, **told)
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
            module.fail_json(msg=f"{folder}: {error.strerror}; each secret is there as it was before or as it is to be")
    module.exit_json(changed=bool(stale or ended) or loose, **told)


def _keep(folder: Path, values: dict[str, str], ended: list[str]) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    folder.chmod(0o700)
    # What was before is kept first: cut off in between, the run may have kept one too many and lost none.
    for name in sorted(values, key=lambda name: not name.endswith(PREVIOUS)):
        put(str(folder / name), values[name] + "\n")
    for name in ended:
        (folder / name).unlink()


def _previous(text: str) -> tuple[Previous, ...]:
    """What NAME.previous holds; a line that was tampered with holds nothing."""
    return tuple(Previous(value, int(until)) for until, value in re.findall(r"(?m)^([0-9]{1,12}) (.+)$", text))


def _mode(path: Path) -> int:
    """Its permission bits, or -1 where there is nothing."""
    return stat.S_IMODE(path.stat().st_mode) if path.exists() else -1


if __name__ == "__main__":
    main()

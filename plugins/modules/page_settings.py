#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: page_settings
short_description: Write the settings of the page
version_added: 0.3.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Checks the variables of the role P(inference.fleet.page#role), and writes the settings of the page, which root owns
    and the user of the page may read. Passwords are written as hashes (scrypt). A hash stays while its password is the
    same.
  - Faults are reported before anything is written. In check mode, it checks and writes nothing.
options:
  path:
    description: The file.
    type: path
    required: true
  user:
    description: The user of the page.
    type: str
    required: true
  inventory:
    description: The inventory that the page shows and edits. By default, the first inventory of the run.
    type: path
  address:
    description: The address at which the page listens. Another one than a loopback address needs a login and TLS.
    type: str
  port:
    description: The port at which the page listens.
    type: int
  folder:
    description:
      - The folder with the history of runs. By default, the value of the environment variable
        E(INFERENCE_FLEET_PAGE_FOLDER) of the run, else C(/var/lib/inference-fleet-page). A folder that exists must
        belong to the page, or be empty.
    type: path
  certificate:
    description: The certificate for TLS, in PEM.
    type: path
  private_key:
    description: The private key of the certificate, in PEM.
    type: path
  users:
    description:
      - Who may use the page. Each name has C(may), which is V(change) or V(look), and may have a C(password).
      - Without users, those of the present settings stay, and the person who runs the playbook is added.
    type: dict
  passwords:
    description: The passwords by name. Set by the action plugin of the same name.
    type: dict
  keep_users:
    description: Whether the users of the present settings stay. Set by the action plugin.
    type: bool
    default: false
  oidc:
    description: A login by OpenID Connect, C(issuer), C(client_id), C(client_secret) and C(name_claim).
    type: dict
  fixed:
    description: Settings that no variable of the role changes.
    type: dict
    default: {}
attributes:
  action:
    support: full
    description: The variables are checked on the machine that runs Ansible.
  check_mode:
    support: full
    description: Nothing is written.
  diff_mode:
    support: full
    description: Shows the settings without secrets.
"""

EXAMPLES = r"""
- name: Write the settings of the page
  inference.fleet.page_settings:
    path: /etc/inference-fleet-page/settings.json
    user: inference-fleet-page
    inventory: /srv/inventory
    address: 127.0.0.1
    port: 7860
    users: {alice: {may: change}, bob: {may: look}}
"""

RETURN = r"""
settings:
  description: The settings that the variables of the role make, without users.
  returned: success
  type: dict
  sample: {inventory: /srv/inventory, folder: /var/lib/inference-fleet-page, address: 127.0.0.1, port: 7860}
uid:
  description:
    - The owner of the folder, if the folder exists and no user has this ID. It is left of a page that was removed. Else
      null.
  returned: success
  type: int
"""

import grp
import json
import os
import pwd
from collections.abc import Mapping
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put
from ansible_collections.inference.fleet.plugins.module_utils.system.passwords import hashed, is_password

MODE = 0o640
SETTINGS = ("inventory", "folder", "address", "port", "certificate", "private_key")
SPEC = dict(
    path=dict(type="path", required=True),
    user=dict(type="str", required=True),
    inventory=dict(type="path"),
    folder=dict(type="path"),
    address=dict(type="str"),
    port=dict(type="int"),
    certificate=dict(type="path"),
    private_key=dict(type="path"),
    users=dict(type="dict"),
    passwords=dict(type="dict", no_log=True),
    keep_users=dict(type="bool", default=False),
    oidc=dict(type="dict", no_log=True),
    fixed=dict(type="dict", default={}),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    given, path = module.params, module.params["path"]
    if not given["folder"]:
        module.fail_json(msg="folder: missing; the action plugin inference.fleet.page_settings sets it")
    uid = check_folder(given["folder"], given["user"])
    before = _read(path)
    own = {name: given[name] for name in SETTINGS}
    users = wanted_users(before.get("users") or {}, given["users"] or {}, given["passwords"] or {}, given["keep_users"])
    after = {**own, **given["fixed"], "users": users, "oidc": given["oidc"]}
    group = _group(given["user"])
    changed = before != after or group is None or _differs(path, group)
    if changed and not module.check_mode:
        if group is None:
            raise FleetError(f"{path}: this machine has no group {given['user']}")
        put(path, f"{json.dumps(after, indent=2)}\n", MODE, ids=(os.geteuid(), group))
    diff = dict(before_header=path, after_header=path, before=shown(before), after=shown(after, before))
    module.exit_json(changed=changed, settings=own, uid=uid, diff=diff)


def wanted_users(
    before: Mapping[str, Any], given: Mapping[str, str], passwords: Mapping[str, str], keep: bool
) -> dict[str, Any]:
    """before: of the present settings. given: name -> may. keep: whether all users of before stay, as they are."""
    users = {}
    for name, may in given.items():
        stored = (before.get(name) or {}).get("password")
        users[name] = {"may": may, "password": _hash(passwords.get(name), stored)}
    return {**users, **before} if keep else users


def _hash(password: Optional[str], stored: Optional[str]) -> Optional[str]:
    if password is None:
        return None
    return stored if stored and is_password(password, stored) else hashed(password)


def check_folder(path: str, user: str) -> Optional[int]:
    """The ID of an owner who has no name any more, or None. Raises FleetError for a folder that is not the page's."""
    try:
        found = os.stat(path)
        owner = pwd.getpwuid(found.st_uid).pw_name
    except FileNotFoundError:
        return None
    except KeyError:
        return found.st_uid
    if owner != user and (not os.path.isdir(path) or os.listdir(path)):
        raise FleetError(
            f"page_folder: {path} exists, is not empty and belongs to {owner}; give the page a folder of its own that "
            "does not exist yet or is empty"
        )
    return None


def shown(settings: Mapping[str, Any], before: Optional[Mapping[str, Any]] = None) -> str:
    """The settings as text, without secrets. before: others, to say which secrets differ from theirs."""
    if not settings:
        return ""
    known = (before or {}).get("users") or {}
    users = {
        name: {**user, "password": _mask(user["password"], (known.get(name) or {}).get("password"), bool(before))}
        for name, user in (settings.get("users") or {}).items()
    }
    oidc = dict(settings.get("oidc") or {})
    if oidc:
        secret = ((before or {}).get("oidc") or {}).get("client_secret")
        oidc["client_secret"] = _mask(oidc["client_secret"], secret, bool(before))
    return f"{json.dumps({**settings, 'users': users, 'oidc': oidc or None}, indent=2)}\n"


def _mask(value: Optional[str], before: Optional[str], compared: bool) -> Optional[str]:
    if value is None:
        return None
    return "another one, not shown" if compared and value != before else "not shown"


def _group(name: str) -> Optional[int]:
    """None before the user is created."""
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _differs(path: str, group: int) -> bool:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return True
    return (found.st_uid, found.st_gid, found.st_mode & 0o7777) != (os.geteuid(), group, MODE)


def _read(path: str) -> dict[str, Any]:
    """The present settings; empty if there are none, or no readable ones."""
    try:
        with open(path, encoding="utf-8") as file:
            settings = json.load(file)
    except (FileNotFoundError, ValueError):
        return {}
    return settings if isinstance(settings, dict) else {}


if __name__ == "__main__":
    main()

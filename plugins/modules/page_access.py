#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: page_access
short_description: Check that the user of the page may read and write an inventory
version_added: 0.3.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Tries, as the user of the page, whether the inventory, what Ansible reads beside it and the git repository around it
    can be read and written, and whether the files for TLS can be read. Changes nothing. Where something is missing, it
    fails with the commands that give the access.
options:
  user:
    description: The user of the page. If there is no such user yet, nothing is checked.
    type: str
    required: true
  inventory:
    description: The file or the folder.
    type: path
    required: true
  readable:
    description: Further files that the user must be able to read.
    type: list
    elements: path
    default: []
attributes:
  check_mode:
    support: full
    description: Never changes anything.
  diff_mode:
    support: none
    description: There is nothing to show.
"""

EXAMPLES = r"""
- name: Check that the page can edit the inventory
  inference.fleet.page_access:
    user: inference-fleet-page
    inventory: /srv/inventory
"""

RETURN = r"""
writable:
  description: The folders in which the page writes, of the inventory and of its git repository.
  returned: success
  type: list
  elements: str
  sample: [/srv/inventory]
"""

import grp
import os
import pwd
import shlex
import subprocess
from pathlib import Path
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

# What Ansible reads and writes beside an inventory that is a file.
BESIDE = ("group_vars", "host_vars", ".fleet-keys.yml", ".fleet-backups")
SHOWN = 5
SPEC = dict(
    user=dict(type="str", required=True),
    inventory=dict(type="path", required=True),
    readable=dict(type="list", elements="path", default=[]),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    inventory = Path(module.params["inventory"]).resolve()
    folder = inventory if inventory.is_dir() else inventory.parent
    repository = repository_of(folder)
    writable = [str(folder), *([str(repository)] if repository else [])]
    try:
        user = pwd.getpwnam(module.params["user"])
    except KeyError:  # in check mode, before the user is created
        module.exit_json(changed=False, writable=writable)
        return
    account = Account(user)
    faults = [*_inventory_faults(account, inventory), *(_repository_faults(account, repository) if repository else [])]
    for path in module.params["readable"]:
        faults += _file_faults(account, Path(path))
    if faults:
        raise FleetError(*faults)
    module.exit_json(changed=False, writable=writable)


class Account:
    """A user of this machine, as whom commands run."""

    def __init__(self, user: pwd.struct_passwd) -> None:
        self.name = user.pw_name
        self.group = grp.getgrgid(user.pw_gid).gr_name
        self._ids = (user.pw_uid, user.pw_gid, os.getgrouplist(user.pw_name, user.pw_gid))

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        uid, gid, groups = self._ids
        other: dict[str, Any] = {"user": uid, "group": gid, "extra_groups": groups}
        return subprocess.run(
            command,
            cwd="/",
            env={"PATH": os.defpath, "LC_ALL": "C.UTF-8"},
            capture_output=True,
            text=True,
            check=False,
            **({} if uid == os.geteuid() else other),
        )

    def may(self, path: Path, *modes: str) -> bool:
        """modes: r, w or x, as of test(1), which also knows access control lists."""
        return all(self.run("test", f"-{mode}", str(path)).returncode == 0 for mode in modes)

    def lacks(self, root: Path, *words: str) -> list[str]:
        """The paths below `root` that the user may not read or write. words: of find(1)."""
        found = self.run(
            *("find", str(root), *words),
            *("(", "!", "-readable", "-o", "!", "-writable", "-o", "-type", "d", "!", "-executable", ")", "-print0"),
        )
        return [path for path in found.stdout.split("\0") if path]


def repository_of(folder: Path) -> Optional[Path]:
    """The folder .git of the repository that the folder is in."""
    return next((one / ".git" for one in (folder, *folder.parents) if (one / ".git").is_dir()), None)


def _inventory_faults(account: Account, inventory: Path) -> list[str]:
    if (barred := _barred(account, inventory)) is not None:
        return [_barred_fault(account, inventory, barred)]
    if inventory.is_dir():
        lacking = account.lacks(inventory, "-name", ".git", "-prune", "-o", "!", "-type", "l")
        roots = [inventory]
    else:
        folder = inventory.parent
        if folder == Path(pwd.getpwuid(folder.stat().st_uid).pw_dir) and not account.may(folder, "w"):
            return [
                f"page_inventory: {inventory} lies in a home folder, in which the page would have to write files; move "
                "it to a folder of its own, such as /srv/inventory, and name it there"
            ]
        roots = [inventory, *(folder / name for name in BESIDE if (folder / name).exists())]
        lacking = [path for root in roots for path in account.lacks(root, "!", "-type", "l")]
        lacking += [] if account.may(folder, "r", "w", "x") else [str(folder)]
    return [_lacking_fault(account, "page_inventory", lacking, _mending(account, inventory, roots))] if lacking else []


def _mending(account: Account, inventory: Path, roots: list[Path]) -> list[str]:
    folder = inventory if inventory.is_dir() else inventory.parent
    paths = " ".join(shlex.quote(str(root)) for root in roots)
    alone = [] if inventory.is_dir() else [f"chgrp {account.group} {shlex.quote(str(folder))}"]
    alone += [] if inventory.is_dir() else [f"chmod g+rwxs {shlex.quote(str(folder))}"]
    owner = _owner(folder)
    return [
        *alone,
        f"chgrp -R {account.group} {paths}",
        f"chmod -R g+rwX {paths}",
        f"find {paths} -type d -exec chmod g+s {{}} +",
        *([] if owner == "root" else [f"usermod --append --groups {account.group} {owner}"]),
    ]


def _repository_faults(account: Account, repository: Path) -> list[str]:
    """git replaces files, so the rights to its folders count."""
    barred = _barred(account, repository) is not None
    lacking = [str(repository)] if barred else account.lacks(repository, "-type", "d")
    if not lacking:
        return []
    path = shlex.quote(str(repository))
    commands = [
        f"chgrp -R {account.group} {path}",
        f"chmod -R g+rwX {path}",
        f"find {path} -type d -exec chmod g+s {{}} +",
        f"git -C {shlex.quote(str(repository.parent))} config core.sharedRepository group",
    ]
    return [_lacking_fault(account, "the git repository around page_inventory", lacking, commands)]


def _file_faults(account: Account, path: Path) -> list[str]:
    if not path.exists():
        return [f"{path}: no such file"]
    if (barred := _barred(account, path)) is not None:
        return [_barred_fault(account, path, barred)]
    if account.may(path, "r"):
        return []
    quoted = shlex.quote(str(path))
    return [
        f"{path}: {account.name} may not read the file. As root, run:\n  chgrp {account.group} {quoted}\n"
        f"  chmod g+r {quoted}"
    ]


def _barred(account: Account, path: Path) -> Optional[Path]:
    """The first folder on the way to the path that the user may not enter."""
    return next((one for one in reversed(path.parents) if not account.may(one, "x")), None)


def _barred_fault(account: Account, path: Path, barred: Path) -> str:
    quoted = shlex.quote(str(barred))
    return (
        f"{path}: {account.name} may not enter {barred}. As root, run one of these (the first lets this user in alone, "
        f"and needs the package acl):\n  setfacl --modify u:{account.name}:x {quoted}\n  chmod o+x {quoted}\n"
        "or move the inventory to a folder of its own, such as /srv/inventory"
    )


def _lacking_fault(account: Account, what: str, lacking: list[str], commands: list[str]) -> str:
    more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
    lines = "".join(f"\n  {command}" for command in commands)
    return f"{what}: {account.name} may not read or write {', '.join(lacking[:SHOWN])}{more}. As root, run:{lines}"


def _owner(path: Path) -> str:
    try:
        return pwd.getpwuid(path.stat().st_uid).pw_name
    except KeyError:
        return str(path.stat().st_uid)


if __name__ == "__main__":
    main()

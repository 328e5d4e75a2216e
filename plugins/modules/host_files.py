#!/usr/bin/python
# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
module: host_files
short_description: Write folders and small text files on a host in one call
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Creates folders and writes files with the given content, owned by root unless a task names other owners. Other files
    in the folders do not change.
  - A file is replaced by rename, so readers see either the old or the new file, even if the disk is full. If the
    C(validate) command of a file rejects it, the file is not replaced, and the files after it are not written.
  - C(ansible.builtin.template) and C(ansible.builtin.file) do the same with a connection or two per file.
options:
  folders:
    description: Folders, parent folders first.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The path of the folder.
        type: path
        required: true
      mode:
        description: The mode, such as V("0700"). By default V("0755") for a new folder; an existing one keeps its mode.
        type: str
      owner:
        description: The user who owns the folder. By default, root.
        type: str
        version_added: 0.2.0
      group:
        description: The group of the folder. By default, root's.
        type: str
        version_added: 0.2.0
      expected:
        description: Names of files that may be in the folder; others are returned in RV(others) and not changed.
        type: list
        elements: str
  files:
    description: Files, in the order of writing.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The path of the file. Its folder must exist or be one of O(folders).
        type: path
        required: true
      content:
        description: The whole text of the file.
        type: str
        required: true
      mode:
        description: The mode of the file.
        type: str
        default: "0600"
      group:
        description: The group of the file. By default, root's.
        type: str
        version_added: 0.2.0
      once:
        description: Whether to keep the text of an existing file.
        type: bool
        default: false
      validate:
        description: A command that gets the new file in place of C(%s) and exits with 0 if the file is valid.
        type: str
attributes:
  check_mode:
    support: full
    description: Nothing is created, written or validated.
  diff_mode:
    support: full
    description: Shows the changes of each file; a task whose files hold secrets needs C(no_log).
"""

EXAMPLES = r"""
- name: Write the Caddy configuration if Caddy accepts it
  inference.fleet.host_files:
    folders:
      - {path: /etc/inference-fleet/caddy, mode: "0700"}
    files:
      - path: /etc/inference-fleet/caddy/Caddyfile
        content: "{{ lookup('ansible.builtin.template', 'Caddyfile.j2') }}"
        validate: caddy validate --config %s --adapter caddyfile
"""

RETURN = r"""
paths:
  description: The folders and files that were created or changed, or in check mode would be.
  returned: always
  type: list
  elements: str
  sample: [/etc/inference-fleet/caddy/Caddyfile]
others:
  description: Paths of files in a folder that are not among its C(expected) names.
  returned: success
  type: list
  elements: str
  sample: [/etc/inference-fleet/caddy/tls/key-9f2c.pem]
"""

import grp
import os
import pwd
import shlex
from typing import Any, Optional

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import run
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.files import own, put

SPEC = dict(
    folders=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(
            path=dict(type="path", required=True),
            mode=dict(type="str"),
            owner=dict(type="str"),
            group=dict(type="str"),
            expected=dict(type="list", elements="str"),
        ),
    ),
    files=dict(
        type="list",
        elements="dict",
        default=[],
        options=dict(
            path=dict(type="path", required=True),
            content=dict(type="str", required=True, no_log=False),
            mode=dict(type="str", default="0600"),
            group=dict(type="str"),
            once=dict(type="bool", default=False),
            validate=dict(type="str"),
        ),
    ),
)


def main() -> None:
    run(_work, AnsibleModule(argument_spec=SPEC, supports_check_mode=True))


def _work(module: AnsibleModule) -> None:
    changed: list[str] = []
    diff: list[dict[str, str]] = []
    try:
        for folder in module.params["folders"]:
            if _ensure_folder(module, folder):
                changed.append(folder["path"])
        for file in module.params["files"]:
            before = _text(file["path"])
            if file["once"] and before:
                file["content"] = before
            if before != file["content"] or _differs(file["path"], file["mode"], _ids(file)):
                changed.append(file["path"])
                diff.append(_diff(file["path"], before, file["content"]))
                if not module.check_mode:
                    _put(module, file)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}; the previous file is unchanged"
        module.fail_json(msg=message, paths=changed)
    others = [path for folder in module.params["folders"] for path in _others(folder["path"], folder["expected"])]
    module.exit_json(changed=bool(changed), paths=changed, others=others, diff=diff)


def _ensure_folder(module: AnsibleModule, folder: dict[str, Any]) -> bool:
    path, mode, ids = folder["path"], folder["mode"], _ids(folder)
    if os.path.isdir(path) and (mode is None or not _differs(path, mode, ids)):
        return False
    if not module.check_mode:
        if not os.path.isdir(path):
            os.makedirs(os.path.dirname(path), 0o755, exist_ok=True)
            os.mkdir(path, 0o700)
        own(path, int(mode or "0755", 8), _known(ids, folder))
    return True


def _others(path: str, expected: Optional[list[str]]) -> list[str]:
    if expected is None or not os.path.isdir(path):
        return []
    return [os.path.join(path, name) for name in sorted(os.listdir(path)) if name not in expected]


def _put(module: AnsibleModule, file: dict[str, Any]) -> None:
    def validate(new: str) -> None:
        command = shlex.split(file["validate"].replace("%s", shlex.quote(new)))
        status, out, err = module.run_command(command)
        if status:
            module.fail_json(
                msg=f"{file['path']}: not replaced, {command[0]} rejects the new file:\n{(err or out).strip()}"
            )

    check = validate if file["validate"] else None
    put(file["path"], file["content"], int(file["mode"], 8), check, ids=_known(_ids(file), file))


def _ids(entry: dict[str, Any]) -> Optional[tuple[int, int]]:
    """Of the user and the group; None if one of them does not exist (in check mode, before a task creates it)."""
    owner, group = entry.get("owner"), entry["group"]
    try:
        return (
            pwd.getpwnam(owner).pw_uid if owner else os.geteuid(),
            grp.getgrnam(group).gr_gid if group else os.getegid(),
        )
    except KeyError:
        return None


def _known(ids: Optional[tuple[int, int]], entry: dict[str, Any]) -> tuple[int, int]:
    if ids is None:
        names = " or ".join(f"{kind} {entry[kind]}" for kind in ("owner", "group") if entry.get(kind))
        raise FleetError(f"{entry['path']}: the host has no {names}")
    return ids


def _differs(path: str, mode: str, ids: Optional[tuple[int, int]]) -> bool:
    """Whether owner, group or mode differ; true for a missing path."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return True
    return ids != (found.st_uid, found.st_gid) or found.st_mode & 0o7777 != int(mode, 8)


def _text(path: str) -> Optional[str]:
    """None for a file that is missing or not text."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return file.read()
    except (FileNotFoundError, UnicodeDecodeError):
        return None


def _diff(path: str, before: Optional[str], after: str) -> dict[str, str]:
    return dict(before_header=path, after_header=path, before=before or "", after=after)


if __name__ == "__main__":
    main()

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
from __future__ import annotations

DOCUMENTATION = r"""
name: packed_modules
type: aggregate
short_description: Pack and compile Ansible's modules once instead of in each run
version_added: 0.1.0
author:
  - the inference.fleet authors (@inference-fleet)
description:
  - Before a module runs, Ansible parses and packs all that the module imports, and the host compiles the pack. Together
    this is half of the processor time of a run that has nothing to change. This callback keeps the packs in a folder.
  - The packs are made again when ansible-core, this collection or community.docker changed. Changes of other
    collections and of modules in a folder C(library) are not noticed. So enable the callback only where these are not
    used. The restore at boot, which has an Ansible of its own, and the tests of this collection do so.
  - Where ansible-core keeps its packs in another way, the callback has no effect.
requirements:
  - enable in configuration, C(callbacks_enabled)
options:
  folder:
    description:
      - Folder for the packs. It must belong to the user who runs Ansible, and nobody else may write to it, since
        Ansible runs its contents.
    type: path
    required: true
    ini:
      - section: callback_packed_modules
        key: folder
    env:
      - name: INFERENCE_FLEET_PACKED_MODULES
"""

import base64
import dataclasses
import hashlib
import importlib.util
import io
import marshal
import os
import shutil
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ansible.constants
from ansible.errors import AnsibleError
from ansible.executor.module_common import _CachedModule
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__

COLLECTIONS = ("ansible_collections.inference.fleet", "ansible_collections.community.docker")
HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)
"""The first bytes of byte code that is not compared with its source (PEP 552)."""
COMPILED = ".compiled"
"""The suffix of an empty file beside each pack that has byte code."""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "inference.fleet.packed_modules"
    CALLBACK_NEEDS_ENABLED = True

    _packs: Path | None = None

    def v2_playbook_on_start(self, playbook: Any) -> None:
        folder = Path(self.get_option("folder"))
        packs = folder / state_of(__version__, sys.version, *code_of_collections())
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise AnsibleError(
                f"packed_modules: {folder} belongs to user {found.st_uid} with mode {found.st_mode & 0o777:04o}; "
                f"expected user {os.geteuid()} and a mode that lets nobody else write, such as 0700"
            )
        for other in folder.iterdir():
            if other != packs:
                shutil.rmtree(other, ignore_errors=True)  # another run may be removing the same
        packs.mkdir(mode=0o700, exist_ok=True)
        (Path(ansible.constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache").symlink_to(packs)
        self._packs = packs

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for path in sorted(self._packs.glob("*-*")) if self._packs else ():
            done = path.with_name(path.name + COMPILED)
            if path.suffix not in (".lock", COMPILED) and not path.name.endswith("-part") and not done.exists():
                module = _CachedModule.load(str(path))
                dataclasses.replace(module, zip_data=with_byte_code(module.zip_data)).dump(str(path))
                done.touch()


def state_of(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def code_of_collections() -> Iterator[str]:
    """Path, time of change and size of each file that a pack can have of the collections."""
    for name in COLLECTIONS:
        spec = importlib.util.find_spec(name)
        for root in (spec and spec.submodule_search_locations) or ():
            for file in sorted(Path(root, "plugins").rglob("*.py")):
                found = file.stat()
                yield f"{file} {found.st_mtime_ns} {found.st_size}"


def with_byte_code(packed: bytes) -> bytes:
    """A pack (a zip file in base64) with byte code beside each source file.

    A host with another version of Python ignores the byte code.
    """
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as old, zipfile.ZipFile(result, "w") as new:
        for entry in old.infolist():
            source = old.read(entry)
            new.writestr(entry, source)
            if entry.filename.endswith(".py"):
                code = compile(source, entry.filename, "exec", dont_inherit=True)
                new.writestr(f"{entry.filename}c", HEADER + marshal.dumps(code), entry.compress_type)
    return base64.b64encode(result.getvalue())

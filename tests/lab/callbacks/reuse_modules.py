"""A callback of tests: Ansible packs and compiles each module once, in the folder $REUSED_MODULES, not in each run.

To pack a module, Ansible parses all that the module imports, and the host compiles all of it whenever the module runs.
Together this is half of the processor time of an `install` that has nothing to change. Ansible caches the packed
modules of a run in that run's temporary folder. Here that cache is a link to a folder that stays, one for each state of
the collection's code, and at the end of a run the packed modules get byte code beside their source. A host with another
version of Python ignores the byte code.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import importlib.util
import io
import marshal
import os
import zipfile
from pathlib import Path
from typing import Any

import ansible.constants
from ansible.executor.module_common import _CachedModule
from ansible.plugins.callback import CallbackBase
from ansible.release import __version__

PLUGINS = Path(__file__).parents[3] / "plugins"
HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)
"""Of byte code that is not compared with its source: PEP 552."""


class CallbackModule(CallbackBase):
    CALLBACK_NAME = "reuse_modules"
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NEEDS_ENABLED = True

    def v2_playbook_on_start(self, playbook: Any) -> None:
        digest = hashlib.sha256(__version__.encode())
        for file in sorted(PLUGINS.rglob("*.py")):
            digest.update(f"{file.relative_to(PLUGINS)}\0".encode() + file.read_bytes())
        self._kept = Path(os.environ["REUSED_MODULES"]) / digest.hexdigest()[:16]
        self._kept.mkdir(parents=True, exist_ok=True)
        (Path(ansible.constants.DEFAULT_LOCAL_TMP) / "ansiballz_cache").symlink_to(self._kept)

    def v2_playbook_on_stats(self, stats: Any) -> None:
        for path in self._kept.iterdir():
            done = path.with_name(f"{path.name}.compiled.lock")
            if path.suffix != ".lock" and not done.exists():
                module = _CachedModule.load(str(path))
                dataclasses.replace(module, zip_data=compiled(module.zip_data)).dump(str(path))
                done.touch()


def compiled(packed: bytes) -> bytes:
    """A packed module (a zip file, base64) with byte code beside each source file."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(packed))) as old, zipfile.ZipFile(result, "w") as new:
        for entry in old.infolist():
            source = old.read(entry)
            new.writestr(entry, source, zipfile.ZIP_DEFLATED)
            if entry.filename.endswith(".py"):
                code = compile(source, entry.filename, "exec", dont_inherit=True)
                new.writestr(f"{entry.filename}c", HEADER + marshal.dumps(code), zipfile.ZIP_DEFLATED)
    return base64.b64encode(result.getvalue())

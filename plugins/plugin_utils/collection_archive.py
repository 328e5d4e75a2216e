# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Archives of collections installed on the controller, for hosts to run."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

# The parts of a collection that are needed at run time. A checkout also has tests and more.
_PARTS = ("galaxy.yml", "MANIFEST.json", "meta", "playbooks", "plugins", "roles")
_NEVER = "__pycache__"


def collection_files(roots: Mapping[str, Path]) -> dict[str, Path]:
    """Path below a collections folder -> the file. roots: `namespace.name` -> its installed folder."""
    return {
        f"ansible_collections/{name.replace('.', '/')}/{path.relative_to(root).as_posix()}": path
        for name, root in roots.items()
        for path in _walk(root / part for part in _PARTS)
    }


def digest(files: Mapping[str, Path]) -> str:
    """A digest of names and content, independent of the time and place of installation."""
    total = hashlib.sha256()
    for name, path in sorted(files.items()):
        total.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\0".encode())
    return total.hexdigest()


def pack(files: Mapping[str, Path]) -> bytes:
    """A compressed tar of the files, owned by root and readable by all."""
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=3, mtime=0) as file,
        tarfile.open(fileobj=file, mode="w") as archive,
    ):
        for name, path in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = path.stat().st_size, 0o644
            with path.open("rb") as content:
                archive.addfile(member, content)
    return packed.getvalue()


def _walk(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            yield from (one for one in sorted(path.rglob("*")) if one.is_file() and _NEVER not in one.parts)
        elif path.is_file():
            yield path

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a program that a host runs from its copy of the collection: a module, and its imports from the
collection."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

COLLECTION = "ansible_collections.inference.fleet."


def program_files(module: str, root: Path) -> dict[str, Path]:
    """Module name -> its file, for the module and its imports from the collection, packages included.

    Module names are relative to the collection. root: its folder. Raises FleetError if it has no such module.
    """
    if _file(module, root) is None:
        raise FleetError(f"{module}: the collection has no such module")
    found: dict[str, Path] = {}
    seen = {""}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        waiting.append(name.rpartition(".")[0])
        path = _file(name, root)
        if path:
            found[name] = path
            waiting += _imports(path)
    return found


def _file(module: str, root: Path) -> Optional[Path]:
    path = root.joinpath(*module.split("."))
    return next((one for one in (path.with_suffix(".py"), path / "__init__.py") if one.is_file()), None)


def _imports(path: Path) -> Iterator[str]:
    """Imported names, relative to the collection. A name may be a module of a package, or a name in a module."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [one.name for one in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name[len(COLLECTION) :] for name in names if name.startswith(COLLECTION))

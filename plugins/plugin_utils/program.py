# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The files of a program that a host runs from its copy of the collection: a module and all that it imports of it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

COLLECTION = "ansible_collections.inference.fleet."


def program_files(module: str, root: Path) -> dict[str, Path]:
    """Module name below the collection, which is at root -> its file; of that module and what it imports, packages too.

    Raises FleetError where the collection has no such module.
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
    """Below the collection. What is imported from a package may be a module or a name in it: both are given."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        names = [one.name for one in node.names] if isinstance(node, (ast.Import, ast.ImportFrom)) else []
        if isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{name}" for name in names]
        yield from (name[len(COLLECTION) :] for name in names if name.startswith(COLLECTION))

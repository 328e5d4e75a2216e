"""Folders of module_utils import in one direction, without cycles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

MODULE_UTILS = Path(__file__).parents[2] / "plugins" / "module_utils"
MAY_IMPORT = {
    "system": set(),
    "inventory": {"system"},
    "gpu": {"inventory", "system"},
    "engine": {"gpu", "inventory", "system"},
    "gateway": {"inventory", "system"},
    "energy": {"gpu", "inventory", "system"},
    "preflight": {"gpu", "inventory", "system"},
    "boot": {"inventory", "system"},
    "report": {"inventory", "system"},
    "watch": {"boot", "engine", "gpu", "inventory", "system"},
}


def test_every_wing_has_its_rule() -> None:
    assert {folder.name for folder in MODULE_UTILS.iterdir() if (folder / "__init__.py").exists()} == set(MAY_IMPORT)


@pytest.mark.parametrize("wing", sorted(MAY_IMPORT))
def test_imports_run_one_way(wing: str) -> None:
    imported = {
        other
        for file in (MODULE_UTILS / wing).glob("*.py")
        for other in re.findall(r"plugins\.module_utils(?:\.| import )(\w+)", file.read_text())
    }
    assert imported - {wing} <= MAY_IMPORT[wing]

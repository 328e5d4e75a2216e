"""The statements of meta/ and galaxy.yml are true."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text())


def documentation(module: Path) -> Any:
    for node in ast.parse(module.read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "DOCUMENTATION":
            return yaml.safe_load(ast.literal_eval(node.value))
    raise AssertionError(f"{module} has no DOCUMENTATION")


def test_the_action_group_has_every_module_that_takes_the_fleet() -> None:
    takes_it = [
        file.stem
        for file in sorted((ROOT / "plugins/modules").glob("*.py"))
        if (about := documentation(file))
        and (
            "inference.fleet.fleet" in about.get("extends_documentation_fragment", [])
            or "fleet" in (about.get("options") or {})
        )
    ]
    assert load("meta/runtime.yml")["action_groups"] == {"fleet": takes_it}


def test_roles_want_the_same_ansible_as_the_collection() -> None:
    wanted = load("meta/runtime.yml")["requires_ansible"]
    for role in (ROOT / "roles").iterdir():
        oldest = load(f"roles/{role.name}/meta/main.yml")["galaxy_info"]["min_ansible_version"]
        assert wanted == f">={oldest}.0", role.name


def test_the_files_that_ansible_builder_reads_are_shipped() -> None:
    ignored = load("galaxy.yml")["build_ignore"]
    for file in load("meta/execution-environment.yml")["dependencies"].values():
        assert (ROOT / file).is_file()
        assert file not in ignored

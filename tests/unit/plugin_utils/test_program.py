"""Which files a program of the collection consists of: another content of one of them is another program."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.lookup.program_digest import LookupModule
from ansible_collections.inference.fleet.plugins.plugin_utils import program
from ansible_collections.inference.fleet.plugins.plugin_utils.collection_archive import digest
from ansible_collections.inference.fleet.plugins.plugin_utils.program import program_files
from ansible_collections.inference.fleet.tests.unit.samples import faults

ROOT = Path(program.__file__).parents[2]
SAMPLER = "plugins.module_utils.energy.sampler"
OWN = "ansible_collections.inference.fleet.plugins"
FILES = {
    "plugins/__init__.py": "",
    "plugins/run.py": f"import os\nfrom {OWN}.one import name\nfrom {OWN} import three\nimport {OWN}.deep.four\n",
    "plugins/one.py": f"def late():\n    from {OWN}.two import x\n",
    "plugins/two.py": f"from {OWN}.one import y  # a circle\n",
    "plugins/three.py": "",
    "plugins/deep/__init__.py": f"from {OWN}.five import z\n",
    "plugins/deep/four.py": "",
    "plugins/five.py": "",
}
OTHERS = {"plugins/os.py": "", "plugins/deep/six.py": f"import {OWN}.run\n", "plugins/name.py": ""}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, content in {**FILES, **OTHERS}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


@pytest.mark.parametrize("name", FILES)
def test_a_change_of_an_imported_file_is_another_program(root: Path, name: str) -> None:
    before = digest(program_files("plugins.run", root))
    with (root / name).open("a") as file:
        file.write("# another\n")
    assert digest(program_files("plugins.run", root)) != before


@pytest.mark.parametrize("name", OTHERS)
def test_a_change_of_another_file_is_the_same_program(root: Path, name: str) -> None:
    before = digest(program_files("plugins.run", root))
    (root / name).write_text("# another\n")
    assert digest(program_files("plugins.run", root)) == before


def test_the_files_are_those_that_python_loads_for_the_sampler() -> None:
    code = f"""
import json, sys, {SAMPLER.replace("plugins", OWN, 1)}
own = [one for name, one in sys.modules.items() if name.startswith("ansible_collections.inference.fleet.")]
print(json.dumps([one.__file__ for one in own if getattr(one, "__file__", None)]))
"""
    loaded = json.loads(subprocess.check_output([sys.executable, "-c", code], text=True))
    expected = {str(path.resolve()) for path in program_files(SAMPLER, ROOT).values()}
    assert {str(Path(path).resolve()) for path in loaded} == expected


def test_the_lookup_takes_modules_of_this_collection() -> None:
    assert LookupModule().run([SAMPLER]) == [digest(program_files(SAMPLER, ROOT))]


def test_a_module_that_is_not_there_is_named(root: Path) -> None:
    assert faults(program_files, "plugins.gone", root) == ["plugins.gone: the collection has no such module"]

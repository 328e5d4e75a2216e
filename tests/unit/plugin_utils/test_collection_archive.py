"""Archives of collections: which files a host gets, and the digest of a version."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.plugin_utils import collection_archive
from ansible_collections.inference.fleet.plugins.plugin_utils.collection_archive import collection_files, digest, pack

RUNS = {
    "galaxy.yml": "namespace: acme",
    "meta/runtime.yml": "requires_ansible: '*'",
    "playbooks/site.yml": "[]",
    "plugins/module_utils/deep/down.py": "x = 1",
    "roles/web/templates/web.conf.j2": "{{ x }}",
}
# What a checkout has beside it.
BESIDE = {
    "README.md": "",
    "docs/use.md": "",
    "tests/unit/test_down.py": "",
    "molecule/default/molecule.yml": "",
    ".git/config": "",
    ".venv/bin/python": "",
    "plugins/module_utils/deep/__pycache__/down.cpython-311.pyc": "",
}


def checkout(root: Path, files: dict[str, str] | None = None) -> Path:
    for name, content in (files or {**RUNS, **BESIDE}).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def files(root: Path) -> dict[str, Path]:
    return collection_files({"acme.web": root})


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return checkout(tmp_path / "here")


def test_of_a_checkout_goes_what_runs_and_nothing_else(root: Path) -> None:
    assert set(files(root)) == {f"ansible_collections/acme/web/{name}" for name in RUNS}


def test_this_collections_own_playbooks_roles_and_plugins_go_and_its_tests_stay() -> None:
    own = collection_files({"inference.fleet": Path(collection_archive.__file__).parents[2]})
    inside = {name.removeprefix("ansible_collections/inference/fleet/") for name in own}
    assert {"playbooks/reboot_restore.yml", "plugins/inventory/this_host.py", "roles/caddy/tasks/main.yml"} <= inside
    assert {name.partition("/")[0] for name in inside} == {"galaxy.yml", "meta", "playbooks", "plugins", "roles"}


def test_the_same_content_is_the_same_wherever_and_whenever_it_was_installed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = checkout(tmp_path / "elsewhere" / "there", {**dict(reversed(RUNS.items())), "docs/other.md": "x"})
    for path in there.rglob("*"):
        os.utime(path, (0, 0))
    assert digest(files(there)) == digest(files(root))
    before = pack(files(root))
    monkeypatch.setattr("time.time", lambda: 2e9)
    assert pack(files(there)) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"playbooks/site.yml": "[ ]"},
        {"playbooks/new.yml": ""},
        {"plugins/module_utils/deep/down.py": "x = 2"},
        # The same letters, cut at other places.
        {"meta/runtime.yml": "requires_ansible: '*'[]", "playbooks/site.yml": ""},
    ],
)
def test_another_content_is_another_version(root: Path, changed: dict[str, str]) -> None:
    before = digest(files(root))
    assert digest(files(checkout(root, changed))) != before


def test_a_file_that_moved_is_another_version(root: Path) -> None:
    before = digest(files(root))
    (root / "playbooks/site.yml").rename(root / "playbooks/cite.yml")
    assert digest(files(root)) != before


def test_what_is_packed_is_whole_and_for_all_to_read(root: Path) -> None:
    (root / "plugins/module_utils/deep/down.py").chmod(0o600)
    with tarfile.open(fileobj=io.BytesIO(pack(files(root)))) as packed:
        members = {member.name: member for member in packed}
        assert {member.mode for member in members.values()} == {0o644}
        assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
        content = {name: packed.extractfile(name) for name in members}
        read = {name: file.read().decode() for name, file in content.items() if file}
    assert read == {f"ansible_collections/acme/web/{name}": text for name, text in RUNS.items()}

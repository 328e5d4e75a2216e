"""The callback packed_modules: the second run takes the first run's packs, and a change of code makes new packs."""

from __future__ import annotations

import os
import subprocess
import sys
import zipimport
from base64 import b64encode
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

import pytest
from ansible_collections.inference.fleet.plugins.callback import packed_modules as plugin


def ping(folder: Path) -> str:
    """What Ansible prints of two modules on this machine, with the packs of `folder`."""
    (folder / "ping.yml").write_text(
        "- hosts: localhost\n  gather_facts: false\n  tasks: [{ansible.builtin.ping: }, {inference.fleet.gpu_info: }]\n"
    )
    environment = os.environ | {
        "ANSIBLE_CALLBACKS_ENABLED": "inference.fleet.packed_modules",
        "INFERENCE_FLEET_PACKED_MODULES": str(folder / "packs"),
        "ANSIBLE_LOCALHOST_WARNING": "false",
        "ANSIBLE_DEBUG": "true",
    }
    command = [Path(sys.executable).parent / "ansible-playbook", "--connection", "local", str(folder / "ping.yml")]
    ended = subprocess.run(
        [*command, "-e", f"ansible_python_interpreter={sys.executable}"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout + ended.stderr


def test_a_second_run_takes_the_packs_of_the_first(tmp_path: Path) -> None:
    assert ping(tmp_path).count("ANSIBALLZ: Creating module") == 2
    again = ping(tmp_path)
    assert "ANSIBALLZ: Creating module" not in again
    assert again.count("ANSIBALLZ: using cached module") == 2
    (packs,) = (tmp_path / "packs").iterdir()
    assert {path.name.partition("-")[0] for path in packs.glob("*.compiled")} == {
        "ansible.modules.ping",
        "ansible_collections.inference.fleet.plugins.modules.gpu_info",
    }


def test_a_folder_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "packs").mkdir()
    (tmp_path / "packs").chmod(0o777)
    told = ping(tmp_path)
    assert f"packed_modules: {tmp_path}/packs belongs to user {os.geteuid()} with mode 0777; expected user" in told
    assert list((tmp_path / "packs").iterdir()) == []


def test_a_changed_file_of_a_collection_is_another_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = plugin.state_of(*plugin.code_of_collections())
    assert before == plugin.state_of(*plugin.code_of_collections())
    stat = Path.stat

    def later(path: Path, **more: bool) -> os.stat_result:
        found = stat(path, **more)
        if path.name == "gpu_info.py":
            return os.stat_result([*found[:6], found.st_size + 1, *found[7:]])
        return found

    monkeypatch.setattr(Path, "stat", later)
    assert before != plugin.state_of(*plugin.code_of_collections())


@pytest.mark.parametrize("magic", [True, False])
def test_byte_code_runs_and_that_of_another_python_is_ignored(
    tmp_path: Path, magic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not magic:
        monkeypatch.setattr(plugin, "HEADER", b"\0" * 16)
    source, pack = tmp_path / "source.zip", tmp_path / "pack.zip"
    with ZipFile(source, "w", ZIP_DEFLATED) as new:
        new.writestr("it.py", "SAID = 'the source'")
    pack.write_bytes(plugin.base64.b64decode(plugin.with_byte_code(b64encode(source.read_bytes()))))
    assert {entry.filename for entry in ZipFile(pack).infolist()} == {"it.py", "it.pyc"}
    with ZipFile(pack) as packed, ZipFile(source, "w") as other:
        other.writestr("it.py", "SAID = 'not read'")
        other.writestr("it.pyc", packed.read("it.pyc"))
    module = zipimport.zipimporter(str(source)).load_module("it")
    expected = "the source" if magic else "not read"
    assert expected == module.SAID

"""The pins of ansible-core and of all that it needs: pip on a host installs the pinned files and nothing else."""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.boot import environment
from ansible_collections.inference.fleet.plugins.module_utils.boot.environment import check_pins, renew
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import restore_environment as module
from ansible_collections.inference.fleet.tests.unit.running import Module
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

FILES = Path(__file__).parents[3] / "roles/restore/files"
PYTHONS = ("3.11", "3.12", "3.13")  # all that ansible-core 2.19 supports


def pinned() -> dict[str, tuple[str, str]]:
    """Name -> version and marker in the role's file."""
    found = {}
    for line in (FILES / "requirements.txt").read_text().replace("\\\n", " ").splitlines():
        if not line.startswith("#"):
            requirement = Requirement(line.partition("--hash")[0])
            (version,) = requirement.specifier
            found[requirement.name] = (version.version, str(requirement.marker or ""))
    return found


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("ansible-core==2.19.13 --hash=sha256:0", "2.19.14, as restore_ansible_core says, got 2.19.13"),
        ("cffi==2.1.1 --hash=sha256:0", "2.19.14, as restore_ansible_core says, got None"),
        ("", "expected ansible-core==2.19.14"),
        ("ansible-core==2.19.14", "expected NAME==VERSION --hash=sha256:..., got 'ansible-core==2.19.14'"),
        ("ansible-core>=2.19.14 --hash=sha256:0", "expected NAME==VERSION"),
        ("ansible-core==2.19.14 --hash=md5:0", "expected NAME==VERSION"),
        ("ansible-core==2.19.14 # --hash=sha256:0", "expected NAME==VERSION"),
        ("--index-url https://x.example\nansible-core==2.19.14 --hash=sha256:0", "got '--index-url https://x.example'"),
        ("ansible-core @ https://example.com/x.whl --hash=sha256:0", "expected NAME==VERSION"),
    ],
)
def test_pins_without_a_version_or_a_hash_are_refused(
    text: str, fault: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main = Module(module.main, capsys)
    for check in (True, False):
        answer = main(check=check, path=str(tmp_path / "opt"), ansible_core="2.19.14", requirements=text)
        assert fault in answer["msg"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["ansible-core", "Ansible_Core", "ansible.core"])
def test_pins_are_found_under_each_spelling_of_the_name(name: str) -> None:
    pin = f"{name}==2.19.14 ; python_version > '3' \\\n    --hash=sha256:0 \\\n    --hash=sha256:1\n"
    check_pins(f"# comment\n\n{pin}", "2.19.14")


def test_the_pins_of_the_role_are_of_its_ansible_core() -> None:
    version = yaml.safe_load((FILES.parent / "defaults/main.yml").read_text())["restore_ansible_core"]
    check_pins((FILES / "requirements.txt").read_text(), version)
    assert f"ansible-core=={version}\n" in (FILES / "requirements.in").read_text()


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", PYTHONS)
def test_the_pins_are_all_that_their_packages_require_and_nothing_else(python: str, machine: str) -> None:
    """By the metadata of the packages that are installed here: the same versions, or versions nearby."""
    host = {"python_version": python, "python_full_version": f"{python}.0", "platform_machine": machine, "extra": ""}
    pins, needed, due = pinned(), set(), ["ansible-core"]
    while due:
        name = due.pop()
        if name in needed:
            continue
        needed.add(name)
        for text in importlib.metadata.requires(name) or ():
            one = Requirement(text)
            if one.marker is None or one.marker.evaluate(host):
                wanted = canonicalize_name(one.name)
                assert one.specifier.contains(pins[wanted][0]), f"{name} requires {one}"
                due.append(wanted)
    assert needed == {name for name, (_version, marker) in pins.items() if not marker or Marker(marker).evaluate(host)}


def test_the_lab_has_the_pinned_versions() -> None:
    """Its hosts have no other files for pip."""
    lab = FILES.parents[2] / "tests/lab/images/lab-host/requirements.txt"
    lines = [Requirement(line) for line in lab.read_text().splitlines() if line and not line.startswith("#")]
    assert {canonicalize_name(one.name): str(one.specifier) for one in lines} == {
        name: f"=={version}" for name, (version, _marker) in pinned().items()
    }


@pytest.mark.skipif(os.environ.get("PROOFS") != "whole", reason="needs an index of packages: ./run-tests proofs")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", PYTHONS)
def test_every_host_finds_a_wheel_with_a_pinned_hash(python: str, machine: str, tmp_path: Path) -> None:
    """The glibc of RHEL 9 is 2.34, of Debian 12 2.36, of Ubuntu 24.04 2.39: their pip takes wheels for 2.34."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", f"--python-version={python}", f"--dest={tmp_path}"]
    for glibc in ("manylinux_2_34", "manylinux_2_28", "manylinux2014"):
        command.append(f"--platform={glibc}_{machine}")
    run = subprocess.run([*command, "-r", str(FILES / "requirements.txt")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert len(list(tmp_path.iterdir())) == len(pinned())


# With Python and pip themselves


def wheel(folder: Path, name: str = "ansible_core", more: str = "") -> tuple[Path, str]:
    """A wheel of version 1.0.0, and the requirement with its hash. more: lines of its metadata."""
    path = folder / f"{name}-1.0.0-py3-none-any.whl"
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(path, "w") as packed:
        info = f"{name}-1.0.0.dist-info"
        packed.writestr("fake.py", "def main() -> None:\n    print('ansible-playbook [core 1.0.0]')\n")
        packed.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0.0\n{more}")
        packed.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        packed.writestr(f"{info}/entry_points.txt", "[console_scripts]\nansible-playbook = fake:main\n")
        packed.writestr(f"{info}/RECORD", "")
    return path, f"{name}==1.0.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which pip looks for files."""
    monkeypatch.setenv("PIP_NO_INDEX", "true")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    monkeypatch.setattr(environment, "PYTHON", sys._base_executable)  # type: ignore[attr-defined] # typeshed lacks it
    return tmp_path / "wheels"


def test_they_make_one_that_runs_and_keep_it(wheels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _path, requirement = wheel(wheels)
    main = Module(module.main, capsys)
    folder = str(wheels.with_name("opt"))
    answer = main(path=folder, ansible_core="1.0.0", requirements=requirement)
    assert answer.get("msg", "") == ""
    other = requirement.replace("1.0.0", "2.0.0")
    reported = main(path=folder, ansible_core="2.0.0", requirements=other)["msg"]
    assert "No matching distribution found for ansible_core==2.0.0" in reported
    assert "The previous one is still in use, ansible-playbook [core 1.0.0]." in reported
    assert main(path=folder, ansible_core="1.0.0", requirements=requirement)["changed"] is False


def attacked(file: Path, requirement: str = "") -> str:
    """What a host says that is to install the file by its right hash, or by the requirement.

    The new environment has no pip, since that takes seconds; the pip of these tests works for it."""
    folder = file.parent.with_name("opt")
    folder.mkdir()

    def run(command: list[str]) -> tuple[int, str, str]:
        words = [*command[:-1], "--without-pip", command[-1]] if "venv" in command else command
        if "pip" in command:
            words = [sys.executable, "-m", "pip", "--python", command[0], *command[3:]]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout, done.stderr

    given = requirement or f"ansible-core==1.0.0 --hash=sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}\n"
    with pytest.raises(FleetError) as caught:
        renew(folder, "1.0.0", given, environment.python_for_ansible(), run)
    assert list(folder.iterdir()) == []
    return str(caught.value)


def test_a_changed_file_is_not_installed(wheels: Path) -> None:
    """Of the same name and version, on a mirror that somebody has written to."""
    path, requirement = wheel(wheels)
    with zipfile.ZipFile(path, "a") as packed:
        packed.writestr("sitecustomize.py", "raise SystemExit('attack')")
    reported = attacked(path, requirement)
    assert "DO NOT MATCH THE HASHES" in reported
    assert "ansible_core==1.0.0" in reported
    assert "Without it, this host cannot restore the fleet at boot" in reported


def test_a_package_that_nothing_pins_is_not_installed(wheels: Path) -> None:
    wheel(wheels, name="more")
    path, _requirement = wheel(wheels, more="Requires-Dist: more\n")
    assert "In --require-hashes mode, all requirements must have their versions pinned" in attacked(path)


def test_no_package_is_built(wheels: Path) -> None:
    """A build runs code of the package as root."""
    wheels.mkdir()
    source, setup, built = wheels / "ansible-core-1.0.0.tar.gz", wheels / "setup.py", wheels / "built"
    setup.write_text(f"open({str(built)!r}, 'w')")
    with tarfile.open(source, "w:gz") as packed:
        packed.add(setup, "ansible-core-1.0.0/setup.py")
    assert "No matching distribution found" in attacked(source)
    assert not built.exists()

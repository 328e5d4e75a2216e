"""The pins of the page agree with those of the other parts of the collection, and pip accepts them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.boot.environment import check_pins
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
FILES = ROOT / "roles/page/files"


def pins(file: str) -> dict[str, str]:
    """Name -> version, of the lines that have one."""
    lines = (ROOT / file).read_text().replace("\\\n", " ").splitlines()
    found = [Requirement(line.partition("--hash")[0]) for line in lines if line and not line.startswith(("#", "-"))]
    return {canonicalize_name(one.name): str(one.specifier).removeprefix("==") for one in found}


def test_every_pin_has_a_hash_and_ansible_core_is_that_of_the_restore() -> None:
    version = yaml.safe_load((ROOT / "roles/restore/defaults/main.yml").read_text())["restore_ansible_core"]
    check_pins((FILES / "requirements.txt").read_text(), version, "page")


@pytest.mark.parametrize("file", ["requirements.txt", "requirements-energy.txt", "requirements-dev.txt"])
def test_the_versions_are_those_that_the_collection_has_elsewhere(file: str) -> None:
    """The environment of developers has both."""
    own, others = pins("roles/page/files/requirements.txt"), pins(file)
    assert {name: others[name] for name in own.keys() & others} == {name: own[name] for name in own.keys() & others}


def test_all_that_is_asked_for_is_pinned() -> None:
    asked = [Requirement(line) for line in (FILES / "requirements.in").read_text().splitlines() if line[0] != "#"]
    own = pins("roles/page/files/requirements.txt")
    assert [str(one) for one in asked if not one.specifier.contains(own.get(canonicalize_name(one.name), "0"))] == []


@pytest.mark.skipif(os.environ.get("PROOFS") != "whole", reason="needs an index of packages: ./run-tests proofs")
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_every_machine_finds_wheels_with_a_pinned_hash(python: str, machine: str, tmp_path: Path) -> None:
    """As in boot/test_pins.py."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", f"--python-version={python}", f"--dest={tmp_path}"]
    for glibc in ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014"):
        command.append(f"--platform={glibc}_{machine}")
    run = subprocess.run([*command, "-r", str(FILES / "requirements.txt")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Python environment with ansible-core that a host restores itself with.

What is in use is a link to it, so that another one is made beside it and takes its place when it is whole.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.files import switch

LINK = "venv"
PYTHON = "/usr/bin/python3"  # the system's, which another release of the system replaces
Run = Callable[[list[str]], tuple[int, str, str]]  # -> status, standard output and error; raises OSError
_PREFIX = "ansible_core-"
_REMEDY = (
    "have it where /etc/pip.conf of the host says (a mirror, or a folder of wheels), or set restore_ansible_core to a "
    "version that is there, written in full as in 2.19.14; then run install again"
)


def ansible_core(environment: Path, python: Path) -> Optional[str]:
    """The version that is installed there for that Python (no link) as a whole; None where none is.

    pip writes RECORD last of all, so an installation that was cut off has none.
    """
    if (environment / "bin/python3").resolve() == python:
        for record in environment.glob(f"lib/{python.name}/site-packages/{_PREFIX}*.dist-info/RECORD"):
            return record.parent.name[len(_PREFIX) : -len(".dist-info")]
    return None


def renew(folder: Path, version: str, python: Path, run: Run) -> None:
    """Makes another one and has LINK in the folder lead to it. Raises FleetError where that version cannot be had, and
    OSError; what was in use still is."""
    new = folder / f"{LINK}-{version}-{python.name}"  # scripts have its path in them, so it is made where it stays
    try:
        if ansible_core(new, python) != version:  # else a run was cut off just before the last step
            _clear(new)
            _do(run, str(python), "-m", "venv", str(new))
            pip = (str(new / "bin/python3"), "-m", "pip", "--disable-pip-version-check", "--no-input")
            _do(run, *pip, "install", f"ansible-core=={version}")
        _do(run, str(new / "bin/ansible-playbook"), "--version")
        if (found := ansible_core(new, python)) != version:
            raise FleetError(f"pip installed {found} for it")
    except (FleetError, OSError) as error:
        _clear(new)
        raise FleetError(
            f"{folder / LINK}: no environment with ansible-core {version} for {python.name} could be made: {error}\n"
            f"{_still(folder / LINK, run)}. What would be right: {_REMEDY}"
        ) from None
    switch(folder / LINK, new)


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _do(run: Run, *command: str) -> None:
    status, out, err = run(list(command))
    if status:
        lines = (err.strip() or out.strip()).splitlines()
        told = [line for line in lines if line.startswith("ERROR")] or lines[-5:]
        raise FleetError("\n".join([f"`{' '.join(command)}` ended with {status}", *told]))


def _still(link: Path, run: Run) -> str:
    try:
        status, out, _err = run([str(link / "bin/ansible-playbook"), "--version"])
    except OSError:
        status, out = 1, ""
    if status or not out:
        return "This host cannot restore itself until there is one"
    return f"The one of before is still in use, {out.splitlines()[0]}"

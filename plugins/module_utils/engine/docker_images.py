# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Docker images for recipes: inspects, builds and removes them through the SDK."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker, has_image, plain_text
from ansible_collections.inference.fleet.plugins.module_utils.engine.recipes import (
    CONTENT_LABEL,
    DOCKERFILE_LABEL,
    RECIPE_LABEL,
    Base,
    Build,
    Built,
    Observed,
    Removal,
    build_fault,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

_CHUNK = 1 << 20
_LOG_CHARACTERS = 20_000


class DockerImages(Docker):
    def observe_recipes(self, bases: Iterable[str], wheelhouses: Mapping[str, str]) -> Observed:
        """wheelhouses: recipe -> its folder on the host."""
        with self._naming("listing images"):
            listed = self._api.images(filters={"label": RECIPE_LABEL})
            containers = self._api.containers(all=True)
        wheels = {name: _wheels(folder) for name, folder in wheelhouses.items()}
        return Observed(
            bases={reference: base for reference in bases for base in [self._base(reference)] if base},
            built=tuple(_built(one, containers) for one in listed),
            wheels={name: found for name, found in wheels.items() if found is not None},
        )

    def build(
        self,
        build: Build,
        say: Callable[[str], None],
        arguments: Mapping[str, str],
        network: str,
    ) -> None:
        """Raises FleetError with the end of the log. arguments: variables of the build that are not kept in the image.
        network: of the build's containers. The SDK uses the classic builder; BuildKit accepts no network by name."""
        log, step = "", ""
        try:
            with tempfile.TemporaryFile(dir="/var/tmp") as context:
                _write_context(build, context)
                context.seek(0)
                for chunk in self._chunks(build, context, buildargs=dict(arguments), network_mode=network):
                    text = plain_text(str(chunk.get("stream", "")))
                    log = (log + text)[-_LOG_CHARACTERS:]  # text may be a part of a line
                    if text.startswith("Step ") and ": LABEL " not in text:
                        step = text.strip()
                        say(f"{build.recipe}: {step[:120]}")
                    if "error" in chunk:
                        raise FleetError(str(chunk["error"]))
        except (FleetError, OSError) as error:
            raise FleetError(build_fault(build, step, str(error), log.splitlines())) from error

    def remove_image(self, removal: Removal) -> None:
        with self._naming(f"removing image {removal.name}"):
            self._api.remove_image(removal.id, force=True)

    def remove_unused(self, image: HostImage) -> None:
        """Name by name, without force: Docker refuses to remove an image that a container or another image uses."""
        with self._naming(f"removing image {image}"):
            for name in image.tags or (image.id,):
                self._api.remove_image(name, force=False)

    def _chunks(self, build: Build, context: IO[bytes], **how: Any) -> Iterable[dict[str, Any]]:
        with self._naming("Docker's builder"):
            yield from self._api.build(
                fileobj=context,
                custom_context=True,
                tag=build.image,
                labels=build.labels,
                rm=True,
                forcerm=True,
                decode=True,
                **how,
            )

    def _base(self, reference: str) -> Optional[Base]:
        found = self._inspect_image(reference)
        return Base(found["Id"], (found.get("Config") or {}).get("User") or "") if found else None


def _built(listed: Mapping[str, Any], containers: Iterable[Mapping[str, Any]]) -> Built:
    labels = listed["Labels"]
    tags = tuple(tag for tag in listed.get("RepoTags") or () if not tag.startswith("<none>"))
    return Built(
        id=listed["Id"],
        tags=tags,
        recipe=labels[RECIPE_LABEL],
        content=labels.get(CONTENT_LABEL, ""),
        dockerfile=labels.get(DOCKERFILE_LABEL, ""),
        size=listed.get("Size", 0),
        used_by=tuple(
            str(name).lstrip("/")
            for one in containers
            if has_image(one, {listed["Id"], *tags})
            for name in (one.get("Names") or ["a container"])[:1]
        ),
    )


def _wheels(folder: str) -> Optional[dict[str, str]]:
    """Wheel -> SHA-256, or None where there is no such folder."""
    if not Path(folder).is_dir():
        return None
    return {path.name: _digest(path) for path in sorted(Path(folder).glob("*.whl"))}


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _write_context(build: Build, target: IO[bytes]) -> None:
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, text in {"Dockerfile": build.dockerfile, **build.files}.items():
            content = text.encode()
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            entry.mode = 0o755 if text.startswith("#!") else 0o644
            tar.addfile(entry, io.BytesIO(content))
        for path in sorted(Path(build.wheels).glob("*.whl")) if build.wheels else ():
            tar.add(path, arcname=f"wheels/{path.name}", filter=_plain)


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    """The entry without attributes that do not affect the image but would invalidate Docker's cache."""
    entry.uid = entry.gid = entry.mtime = 0
    entry.uname = entry.gname = ""
    entry.mode = 0o644
    return entry

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Downloads of weights: the Hugging Face CLI in a container, watched until it ends."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Optional, Protocol

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import Cached, Download, in_gb, whole
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    CACHE_MOUNT,
    Container,
    Mount,
    Spec,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import RUN
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

with suppress(ImportError):  # Docker itself says so
    from docker.errors import NotFound

HOST_CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
_TOKEN_MOUNT = "/run/secrets/hf-token"
_CERTIFICATES_MOUNT = "/run/secrets/host-certificates.crt"
_POLL_SECONDS = 1.0
_TOLD_SECONDS = 10
_LOG_LINES = 12
_FULL_DISK = re.compile(r"(?i)no space left on device|not enough (free )?(disk )?space")


class DownloadEngine(Protocol):
    """What a download needs of Docker."""

    def has_image(self, reference: str) -> bool: ...
    def pull(self, reference: str) -> None: ...
    def inspect(self, name: str) -> Optional[Container]: ...
    def create(self, spec: Spec) -> None: ...
    def start(self, name: str) -> None: ...
    def remove(self, container_id: str, name: str) -> None: ...
    def last_lines(self, name: str, count: int) -> list[str]: ...


class DockerVolumes(Docker):
    """The Docker engine, with what downloads need of it besides."""

    def has_image(self, reference: str) -> bool:
        return self._inspect_image(reference) is not None

    def folder_of(self, source: str) -> str:
        """Where a volume has its files on this host, or will have them; a folder is what it is."""
        if source.startswith("/"):
            return source
        with self._told(f"volume {source}"):
            try:
                return str(self._api.inspect_volume(source)["Mountpoint"])
            except NotFound:
                return f"{self._api.info()['DockerRootDir']}/volumes/{source}/_data"


def spec_of(download: Download, fleet: Fleet, image: str, certificates: bool, token: Optional[str] = None) -> Spec:
    """The container that downloads. certificates: whether the host has a bundle, which then counts instead
    of the image's own: a mirror of the site's may be signed by the site's own authority. token: the path
    of the file that has it."""
    env = {
        "HF_ENDPOINT": fleet.cache.endpoint,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        # Its store of contents that repositories share links to paths that only a container has.
        "HF_HUB_DISABLE_SHARED_BLOBS": "1",
        "HF_HUB_OFFLINE": "0",
    }
    mounts = [Mount(fleet.cache.source, CACHE_MOUNT)]
    if token:
        env["HF_TOKEN_PATH"] = _TOKEN_MOUNT
        mounts.append(Mount(token, _TOKEN_MOUNT, read_only=True))
    if certificates and fleet.cache.endpoint.startswith("https:"):
        env.update(SSL_CERT_FILE=_CERTIFICATES_MOUNT, REQUESTS_CA_BUNDLE=_CERTIFICATES_MOUNT)
        mounts.append(Mount(HOST_CERTIFICATES, _CERTIFICATES_MOUNT, read_only=True))
    repo, commit = download.wanted.repo, download.commit
    digest = hashlib.sha256(f"{repo}@{commit}".encode()).hexdigest()
    return Spec(
        name=f"fleet-download-{digest[:12]}",
        image=image,
        entrypoint=("hf", "download"),
        # Files by their names: what this collection has chosen and will verify, and nothing else.
        command=(repo, *sorted(download.files), "--revision", commit),
        env=env,
        mounts=tuple(mounts),
        networks=("bridge",),
        devices=(),
        labels={"managed-by": MANAGED_BY, "service": "download"},
        restart="no",
        shm_size=64 << 20,
        ipc="private",
    )


def fetch(
    download: Download,
    spec: Spec,
    engine: DownloadEngine,
    folder: CacheFolder,
    say: Callable[[str], None],
    pause: Callable[[float], None] = time.sleep,
    now: Callable[[], float] = time.monotonic,
) -> None:
    """Raises FleetError with the end of the container's log. What is whole stays for the next run.

    One that an earlier run began and that is still under way is waited for, not begun again.
    """
    repo, name = download.wanted.repo, spec.name
    container = engine.inspect(name)
    if container is None or container.status != "running":
        if container:
            engine.remove(container.id, name)
        if not engine.has_image(spec.image):
            say(f"pulling {spec.image}, which downloads")
            engine.pull(spec.image)
        folder.clear_orphans(repo)
        engine.create(spec)
        _start(spec, engine)
        container = engine.inspect(name)
    before, begun = folder.arrived(repo), now()
    told = begun - _TOLD_SECONDS
    while container and container.status in ("running", "created"):
        if now() - told >= _TOLD_SECONDS:
            told = now()
            say(_progress(download, folder.arrived(repo) - before, told - begun))
        pause(_POLL_SECONDS)
        container = engine.inspect(name)
    if container is None and not _noted_as_whole(download, folder):
        raise FleetError(
            f"{repo}: the container {name} that downloaded it was removed; run again, it goes on from there"
        )
    try:
        if container and container.exit_code:
            raise FleetError(_broke_off(download, folder, engine, name, container.exit_code))
        folder.verify(download)
        folder.record(download)
    finally:  # last: another run that waits for the same one finds it gone and looks for the record
        if container:
            engine.remove(container.id, name)
    say(f"{repo}: {in_gb(sum(download.files.values()))} are there, at {download.commit[:12]}")


def _start(spec: Spec, engine: DownloadEngine) -> None:
    try:
        engine.start(spec.name)
    except FleetError as error:
        engine.remove(spec.name, spec.name)
        if "executable file not found" in str(error):
            raise FleetError(
                f"image {spec.image}: has no `hf` (huggingface_hub 0.34 or later) to download with; "
                "name one that has as fleet_cache.image"
            ) from error
        raise


def _progress(download: Download, arrived: int, seconds: float) -> str:
    share = 100 * arrived // download.size if download.size else 100
    text = f"{download.wanted.repo}: {in_gb(arrived)} of {in_gb(download.size)} ({min(share, 100)} %)"
    if arrived and seconds:
        left = max(download.size - arrived, 0) * seconds / arrived
        text += f", {in_gb(int(arrived / seconds))}/s, {left / 60:.0f} min left"
    return text


def _noted_as_whole(download: Download, folder: CacheFolder) -> bool:
    """Whether another run that waited for the same container saw its end first, and noted that all is there."""
    cached = folder.observe().get(download.wanted.repo, Cached())
    return whole(replace(download.wanted, revision=download.commit), cached) is not None


def _broke_off(download: Download, folder: CacheFolder, engine: DownloadEngine, name: str, code: int) -> str:
    log = [line for line in engine.last_lines(name, 200) if line.strip()]
    left = folder.observe().get(download.wanted.repo)
    missing = sum(left.lacks(download.commit, download.files).values()) if left else download.size
    if any(_FULL_DISK.search(line) for line in log):
        why = "the disk is full; prune_cache removes what no model uses, fleet_cache.path takes another disk"
    else:
        why = f"it ended with {code}"
    lines = "\n    ".join(log[-_LOG_LINES:]) or "(nothing)"
    return (
        f"{download.wanted.repo}: the download broke off with {in_gb(missing)} missing: {why}. Files that are whole "
        f"stay, and another run goes on with the others; the end of its log:\n    {lines}"
    )


@contextmanager
def token_in_file(token: Optional[str], folder: str = RUN) -> Iterator[Optional[str]]:
    """The path of a file of root's alone with the token, which containers get as a mount: it stands in no
    command line, environment or label. It is in memory (/run), this call's own, and removed afterwards."""
    if not token:
        yield None
        return
    os.makedirs(folder, mode=0o700, exist_ok=True)
    descriptor, path = tempfile.mkstemp(prefix="hf-token-", dir=folder)
    try:
        with open(descriptor, "w") as file:
            file.write(token)
        yield path
    finally:
        with suppress(FileNotFoundError):
            os.unlink(path)


def has_certificates() -> bool:
    return os.path.isfile(HOST_CERTIFICATES)

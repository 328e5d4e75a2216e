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
from typing import Optional, Protocol

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import Download, in_gb, whole
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache_folder import CacheFolder
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    CERTIFICATES_MOUNT,
    Container,
    Mount,
    Spec,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.docker import Docker
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.labels import MANAGED_BY
from ansible_collections.inference.fleet.plugins.module_utils.inventory.networks import DOWNLOAD
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import RUN
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import CACHE_MOUNT
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

with suppress(ImportError):  # the class Docker reports it
    from docker.errors import NotFound

_TOKEN_MOUNT = "/run/secrets/hf-token"
_POLL_SECONDS = 1.0
_PROGRESS_SECONDS = 10
_LOG_LINES = 12
_FULL_DISK = re.compile(r"(?i)no space left on device|not enough (free )?(disk )?space")


class DownloadEngine(Protocol):
    """What a download needs from Docker."""

    def has_image(self, reference: str) -> bool: ...
    def pull(self, reference: str) -> None: ...
    def inspect(self, name: str) -> Optional[Container]: ...
    def create(self, spec: Spec) -> None: ...
    def start(self, name: str) -> None: ...
    def remove(self, container_id: str, name: str) -> None: ...
    def last_lines(self, name: str, count: int) -> list[str]: ...


class DockerVolumes(Docker):
    """The Docker engine, with what downloads need in addition."""

    def has_image(self, reference: str) -> bool:
        return self._inspect_image(reference) is not None

    def folder_of(self, source: str) -> str:
        """The path of a volume on this host, now or once it exists; a folder is returned unchanged."""
        if source.startswith("/"):
            return source
        with self._naming(f"volume {source}"):
            try:
                return str(self._api.inspect_volume(source)["Mountpoint"])
            except NotFound:
                return f"{self._api.info()['DockerRootDir']}/volumes/{source}/_data"


def spec_of(
    download: Download,
    fleet: Fleet,
    image: str,
    certificates: Optional[str],
    token: Optional[str] = None,
) -> Spec:
    """The container that downloads. certificates: the path of the host's certificate bundle, which replaces
    the image's: a site's mirror may use a certificate of the site's own CA. token: the path of the token file."""
    env = {
        "HF_HOME": CACHE_MOUNT,
        "HF_ENDPOINT": fleet.cache.endpoint,
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        # The store of shared blobs contains links to paths that exist only in a container.
        "HF_HUB_DISABLE_SHARED_BLOBS": "1",
        "HF_HUB_OFFLINE": "0",
        **(fleet.proxy.environment if fleet.proxy else {}),
    }
    mounts = [Mount(fleet.cache.source, CACHE_MOUNT)]
    if token:
        env["HF_TOKEN_PATH"] = _TOKEN_MOUNT
        mounts.append(Mount(token, _TOKEN_MOUNT, read_only=True))
    if certificates and (fleet.cache.endpoint.startswith("https:") or fleet.ca_bundle):
        env.update(SSL_CERT_FILE=CERTIFICATES_MOUNT, REQUESTS_CA_BUNDLE=CERTIFICATES_MOUNT)
        mounts.append(Mount(certificates, CERTIFICATES_MOUNT, read_only=True))
    repo, commit = download.wanted.repo, download.commit
    digest = hashlib.sha256(f"{repo}@{commit}".encode()).hexdigest()
    return Spec(
        name=f"fleet-download-{digest[:12]}",
        image=image,
        entrypoint=("hf", "download"),
        # Files by name: exactly those that this collection chose and will verify.
        command=(repo, *sorted(download.files), "--revision", commit),
        env=env,
        mounts=tuple(mounts),
        networks=(DOWNLOAD,),
        devices=(),
        labels={"managed-by": MANAGED_BY, "service": "download"},
        restart="no",
        shm_size=64 << 20,
        ipc="private",
        user="0",  # the cache is root's, whoever runs the models
        logs=fleet.logs,
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
    """Raises FleetError with the end of the container's log. Complete files stay for the next run.

    If a download container of an earlier run still works, waits for it instead of starting another.
    """
    repo, name = download.wanted.repo, spec.name
    container = engine.inspect(name)
    if container is None or container.status != "running":
        if container:
            engine.remove(container.id, name)
        if not engine.has_image(spec.image):
            say(f"pulling {spec.image}, which downloads")
            engine.pull(spec.image)
        folder.prepare(download)
        engine.create(spec)
        _start(spec, engine)
        container = engine.inspect(name)
    before, begun = folder.arrived(repo), now()
    said = begun - _PROGRESS_SECONDS
    while container and container.status in ("running", "created"):
        if now() - said >= _PROGRESS_SECONDS:
            said = now()
            say(_progress(download, folder.arrived(repo) - before, said - begun))
        pause(_POLL_SECONDS)
        container = engine.inspect(name)
    if container is None and not _is_recorded(download, folder):
        raise FleetError(f"{repo}: the download container {name} was removed; run again, and the download continues")
    try:
        if container and container.exit_code:
            raise FleetError(_broke_off(download, folder, engine, name, container.exit_code))
        folder.verify(download)
        folder.record(download)
    finally:  # remove it last: another run that waits for the container then looks for the record
        if container:
            engine.remove(container.id, name)
    say(f"{repo}: {in_gb(sum(download.files.values()))} complete, at {download.commit[:12]}")


def _start(spec: Spec, engine: DownloadEngine) -> None:
    try:
        engine.start(spec.name)
    except FleetError as error:
        engine.remove(spec.name, spec.name)
        if "executable file not found" in str(error):
            raise FleetError(
                f"image {spec.image}: has no `hf` (huggingface_hub 0.34 or later) to download with; "
                "set fleet_cache.image to an image that has it"
            ) from error
        raise


def _progress(download: Download, arrived: int, seconds: float) -> str:
    share = 100 * arrived // download.size if download.size else 100
    text = f"{download.wanted.repo}: {in_gb(arrived)} of {in_gb(download.size)} ({min(share, 100)} %)"
    if arrived and seconds:
        left = max(download.size - arrived, 0) * seconds / arrived
        text += f", {in_gb(int(arrived / seconds))}/s, {left / 60:.0f} min left"
    return text


def _is_recorded(download: Download, folder: CacheFolder) -> bool:
    """Whether another run that waited for the same container already recorded the complete download."""
    return whole(download.pinned, folder.observe_one(download.pinned)) is not None


def _broke_off(download: Download, folder: CacheFolder, engine: DownloadEngine, name: str, code: int) -> str:
    log = [line for line in engine.last_lines(name, 200) if line.strip()]
    missing = sum(folder.observe_one(download.pinned).lacks(download.commit, download.files).values())
    if any(_FULL_DISK.search(line) for line in log):
        why = "the disk is full; prune_cache removes what no model uses, fleet_cache.path sets another disk"
    else:
        why = f"it ended with {code}"
    lines = "\n    ".join(log[-_LOG_LINES:]) or "(nothing)"
    return (
        f"{download.wanted.repo}: the download failed with {in_gb(missing)} missing: {why}. Complete files stay, "
        f"and the next run downloads the others; the end of its log:\n    {lines}"
    )


@contextmanager
def token_in_file(token: Optional[str], folder: str = RUN) -> Iterator[Optional[str]]:
    """The path of a file with the token that only root can read, to be mounted: the token is in no command
    line, environment or label. The file is in memory (/run), used by this call only, and removed afterwards."""
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

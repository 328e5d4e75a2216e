# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of weights on a disk of this host. Containers that download can write it: hence `Folder`."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import (
    COMMIT,
    Cached,
    Download,
    Listing,
    Record,
    Removal,
    Wanted,
    folder_name,
    repo_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import is_whole
from ansible_collections.inference.fleet.plugins.module_utils.system import foreign_json
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.folder import Folder

_UNFINISHED = ".incomplete"
# Since 1.18, huggingface_hub gives each attempt its own file name and never resumes another attempt's file.
_ORPHAN = re.compile(r"\.[0-9a-f]{8}\.incomplete$")
# Of the cache, and of a repository's folder. huggingface_hub, _tree_cache.py: `trees/COMMIT.json` lists all files of a
# commit; a download of several files writes it.
_HUB, _LOCKS, _RECORDS = "hub", ".locks", "inference-fleet"
_BLOBS, _SNAPSHOTS, _REFS, _TREES = "blobs", "snapshots", "refs", "trees"
_REF_BYTES = 100
# Of a record or listing, and of all that one look at the cache reads. A listing has some 320 bytes a file, a record 50.
_JSON_BYTES, _ALL_JSON_BYTES = 2 << 20, 16 << 20


class CacheFolder:
    """path: the folder mounted at CACHE_MOUNT. It need not exist."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def observe(self, wanted: Optional[Iterable[Wanted]] = None) -> dict[str, Cached]:
        """wanted: only repositories of these, with the records and listings of these revisions. Otherwise all
        repositories, without records and listings."""
        revisions: dict[str, list[str]] = {}
        for one in wanted or ():
            revisions.setdefault(one.repo, []).append(one.revision)
        left = [_ALL_JSON_BYTES]
        with self._opened() as root:
            if wanted is None:
                with root.below(_HUB) as hub:
                    revisions = {repo: [] for repo in map(repo_of, hub.names()) if repo}
            return {repo: found for repo, asked in revisions.items() for found in _cached(root, repo, asked, left)}

    def observe_one(self, wanted: Wanted) -> Cached:
        return self.observe([wanted]).get(wanted.repo, Cached())

    def free(self) -> int:
        """Bytes."""
        folder = self._path
        with _naming(self._path):
            while not folder.exists():
                folder = folder.parent
            return shutil.disk_usage(folder).free

    def arrived(self, repo: str) -> int:
        """Bytes of a repository that are on the disk now, including unfinished files."""
        with self._opened() as root, root.below(_HUB, folder_name(repo), _BLOBS) as blobs:
            return sum(size for _name, size in blobs.files())

    def prepare(self, download: Download) -> None:
        """Removes links in place of the repository's folders, what the client would take for a file that is there, and
        parts of files that no download will resume."""
        name = folder_name(download.wanted.repo)
        with self._opened() as root:
            for part in (_BLOBS, _SNAPSHOTS, _REFS, _TREES):
                root.clear(_HUB, name, part)
            with root.below(_HUB, name) as folder, folder.below(_BLOBS) as blobs:
                for path in download.missing:
                    _discard(folder, download.commit, path)
                for orphan in filter(_ORPHAN.search, blobs.names()):
                    blobs.remove(orphan)

    def verify(self, download: Download) -> None:
        """Removes files that differ in size from the hub's and raises FleetError; the next run downloads them."""
        repo = download.wanted.repo
        wrong = self.observe_one(download.pinned).lacks(download.commit, download.files)
        with self._opened() as root, root.below(_HUB, folder_name(repo)) as folder:
            for path in wrong:
                _discard(folder, download.commit, path)
        if wrong:
            path, size = next(iter(wrong.items()))
            raise FleetError(
                f"{repo}: {len(wrong)} files differ in size from the hub's, such as {path}, expected {size} bytes; "
                "they were removed, and the next run downloads them again"
            )

    def record(self, download: Download) -> None:
        """Records the download as complete and points its branch or tag to the commit, so that models find it."""
        wanted, folder = download.wanted, folder_name(download.wanted.repo)
        content = {"weights": wanted.weights, "everything": wanted.everything, "files": dict(download.files)}
        if self.observe_one(download.pinned).is_refused(download.commit):
            self.remove_listing(Listing(wanted.repo, download.commit))
        with _naming(self._path):
            os.makedirs(self._path, exist_ok=True)
        with self._opened() as root:
            with root.made(_RECORDS, folder) as records:
                records.write(f"{download.commit}.json", json.dumps(content))
            if wanted.revision != download.commit:
                *above, ref = wanted.revision.split("/")
                with root.made(_HUB, folder, _REFS, *above) as refs:
                    refs.write(ref, download.commit)

    def remove_listing(self, listing: Listing) -> None:
        """Removes the listing. Without one, huggingface_hub takes the cached files for all that there are; online, it
        asks the hub again."""
        with self._opened() as root, root.below(_HUB, folder_name(listing.repo), _TREES) as trees:
            trees.remove(f"{listing.commit}.json")

    def remove(self, removal: Removal) -> None:
        folder, commit = folder_name(removal.repo), removal.commit
        if commit is None:
            gone: tuple[tuple[str, ...], ...] = ((_HUB, folder), (_RECORDS, folder), (_HUB, _LOCKS, folder))
        else:
            gone = (
                (_HUB, folder, _SNAPSHOTS, commit),
                *((_HUB, folder, _BLOBS, blob) for blob in removal.blobs),
                (_HUB, folder, _TREES, f"{commit}.json"),
                (_RECORDS, folder, f"{commit}.json"),
            )
        with self._opened() as root:
            for *above, name in gone:
                with root.below(*above) as upper:
                    upper.remove(name)

    @contextmanager
    def _opened(self) -> Iterator[Folder]:
        with _naming(self._path), Folder.at(str(self._path)) as root:
            yield root


def size_of(folder: str) -> Optional[int]:
    """Bytes of all files below the folder; 0 if it is missing, None if it has too many to count."""
    with suppress(FleetError), Folder.at(folder) as root:
        return sum(size for _where, one in root.walk() for _name, size in one.files())
    return None


def _cached(root: Folder, repo: str, revisions: Collection[str], left: list[int]) -> Iterator[Cached]:
    """Nothing, unless there is a folder of the repository. revisions: those whose records and listings are read. left:
    how many bytes may be read of them."""
    name = folder_name(repo)
    with root.below(_HUB, name) as folder, root.below(_RECORDS, name) as records:
        if not folder:
            return
        with folder.below(_BLOBS) as found, folder.below(_TREES) as trees:
            blobs = dict(found.files())
            cached = Cached(
                refs=dict(_refs(folder)),
                snapshots=dict(_snapshots(folder, blobs)),
                blobs={name: size for name, size in blobs.items() if not name.endswith(_UNFINISHED)},
                other=sum(size for name, size in blobs.items() if name.endswith(_UNFINISHED)),
            )
            commits = dict.fromkeys(filter(None, map(cached.snapshot_of, revisions)))
            yield replace(
                cached,
                records={one: record for one in commits for record in _record(_document(records, one, left))},
                listings={one: paths for one in commits for paths in _listed(_document(trees, one, left))},
            )


def _refs(folder: Folder) -> Iterator[tuple[str, str]]:
    with folder.below(_REFS) as refs:
        for where, one in refs.walk():
            for name in one.names():
                commit = (one.read(name, _REF_BYTES) or b"").decode("ascii", "replace").strip()
                if COMMIT.fullmatch(commit):
                    yield "/".join((*where, name)), commit


def _snapshots(folder: Folder, blobs: Mapping[str, int]) -> Iterator[tuple[str, dict[str, tuple[int, str]]]]:
    with folder.below(_SNAPSHOTS) as snapshots:
        for commit in filter(COMMIT.fullmatch, snapshots.names()):
            with snapshots.below(commit) as snapshot:
                if snapshot:
                    yield commit, dict(_contents(snapshot, blobs))


def _contents(snapshot: Folder, blobs: Mapping[str, int]) -> Iterator[tuple[str, tuple[int, str]]]:
    """Path in the repository, and the size and name of its blob. Links to anything else than a blob are left out; a
    file without a blob (a copy without links) has none."""
    for where, one in snapshot.walk():
        for name in one.names():
            target = one.target(name)
            blob = _blob(target, len(where))
            size = one.size(name) if target is None else blobs.get(blob)
            if size is not None:
                yield "/".join((*where, name)), (size, blob)


def _blob(target: Optional[str], depth: int) -> str:
    """The name of the blob to which a link at this depth of a snapshot leads; empty if it leads elsewhere."""
    above, _slash, name = (target or "").rpartition("/")
    return name if above == "../" * (depth + 2) + _BLOBS and name not in ("", ".", "..") else ""


def _discard(folder: Folder, commit: str, path: str) -> None:
    """Removes a file of a snapshot with its blob, and what is no folder on its path."""
    *above, name = path.split("/")
    where = (_SNAPSHOTS, commit, *above)
    folder.clear(*where)
    with folder.below(*where) as one, folder.below(_BLOBS) as blobs:
        blob = _blob(one.target(name), len(above))
        if blob:
            blobs.remove(blob)
        one.remove(name)


def _document(folder: Folder, commit: str, left: list[int]) -> Any:
    """The content of COMMIT.json; None if it cannot be read."""
    text = folder.read(f"{commit}.json", min(_JSON_BYTES, left[0])) or b""
    left[0] -= len(text)
    with suppress(ValueError):
        return foreign_json.parse(text)
    return None


def _record(content: Any) -> Iterator[Record]:
    with suppress(KeyError, TypeError, AttributeError):
        files = dict(content["files"].items())
        if all(map(is_whole, files.values())):
            yield Record(bool(content["weights"]), files, bool(content.get("everything")))


def _listed(content: Any) -> Iterator[frozenset[str]]:
    with suppress(KeyError, TypeError, AttributeError):  # huggingface_hub too ignores such a file
        yield frozenset(content["files"].keys())


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FleetError(f"the cache of weights {path}: {error.filename}: {error.strerror}") from error

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The cache of weights on a disk of this host."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import (
    Cached,
    Download,
    Listing,
    Record,
    Removal,
    folder_name,
    repo_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put

_UNFINISHED = ".incomplete"
# Since 1.18, huggingface_hub gives each attempt its own file name and never resumes another attempt's file.
_ORPHAN = re.compile(r"\.[0-9a-f]{8}\.incomplete$")


class CacheFolder:
    """path: the folder mounted at /root/.cache/huggingface. It need not exist."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)

    def observe(self) -> dict[str, Cached]:
        with _naming(self._path):
            folders = sorted(self._hub.iterdir()) if self._hub.is_dir() else []
            found = {repo: folder for folder in folders for repo in [repo_of(folder.name)] if repo}
            return {repo: self._cached(folder) for repo, folder in found.items()}

    def free(self) -> int:
        """Bytes."""
        folder = self._path
        with _naming(self._path):
            while not folder.exists():
                folder = folder.parent
            return shutil.disk_usage(folder).free

    def arrived(self, repo: str) -> int:
        """Bytes of a repository that are on the disk now, including unfinished files."""
        return sum(size for _name, size in _sizes(self._hub / folder_name(repo) / "blobs"))

    def clear_orphans(self, repo: str) -> None:
        """Remove parts of files that no download will resume."""
        with _naming(self._path):
            for name, _size in _sizes(self._hub / folder_name(repo) / "blobs"):
                if _ORPHAN.search(name):
                    (self._hub / folder_name(repo) / "blobs" / name).unlink()

    def verify(self, download: Download) -> None:
        """Removes files that differ in size from the hub's and raises FleetError; the next run downloads them."""
        repo = download.wanted.repo
        wrong = self.observe().get(repo, Cached()).lacks(download.commit, download.files)
        for path in wrong:
            link = self._hub / folder_name(repo) / "snapshots" / download.commit / path
            with suppress(OSError):
                link.resolve().unlink()
            with suppress(OSError):
                link.unlink()
        if wrong:
            path, size = next(iter(wrong.items()))
            raise FleetError(
                f"{repo}: {len(wrong)} files differ in size from the hub's, such as {path}, expected {size} bytes; "
                "they were removed, and the next run downloads them again"
            )

    def record(self, download: Download) -> None:
        """Records the download as complete and points its branch or tag to the commit, so that models find it."""
        wanted = download.wanted
        repo, revision = wanted.repo, wanted.revision
        content = {"weights": wanted.weights, "everything": wanted.everything, "files": dict(download.files)}
        if self.observe().get(repo, Cached()).is_refused(download.commit):
            self.remove_listing(Listing(repo, download.commit))
        with _naming(self._path):
            _write(self._records / folder_name(repo) / f"{download.commit}.json", json.dumps(content))
            if revision != download.commit:
                _write(self._hub / folder_name(repo) / "refs" / revision, download.commit)

    def remove_listing(self, listing: Listing) -> None:
        """Removes the listing. Without one, huggingface_hub takes the cached files for all that there are; online, it
        asks the hub again."""
        with _naming(self._path), suppress(FileNotFoundError):
            _listing(self._hub / folder_name(listing.repo), listing.commit).unlink()

    def remove(self, removal: Removal) -> None:
        folder = self._hub / folder_name(removal.repo)
        records = self._records / folder_name(removal.repo)
        with _naming(self._path):
            if removal.commit is None:
                for whole in (folder, records, self._hub / ".locks" / folder_name(removal.repo)):
                    if whole.exists():
                        shutil.rmtree(whole)
                return
            shutil.rmtree(folder / "snapshots" / removal.commit)
            for path in (
                *(folder / "blobs" / blob for blob in removal.blobs),
                _listing(folder, removal.commit),
                records / f"{removal.commit}.json",
            ):
                if path.exists():
                    path.unlink()

    @property
    def _hub(self) -> Path:
        return self._path / "hub"

    @property
    def _records(self) -> Path:
        return self._path / "inference-fleet"

    def _cached(self, folder: Path) -> Cached:
        blobs = dict(_sizes(folder / "blobs"))
        records = self._records / folder.name
        return Cached(
            refs={str(path.relative_to(folder / "refs")): path.read_text().strip() for path in _files(folder / "refs")},
            snapshots={one.name: dict(_links(one)) for one in _folders(folder / "snapshots")},
            records={path.stem: record for path in _files(records) for record in _record(path)},
            blobs={name: size for name, size in blobs.items() if not name.endswith(_UNFINISHED)},
            other=sum(size for name, size in blobs.items() if name.endswith(_UNFINISHED)),
            listings={path.stem: paths for path in _files(folder / "trees") for paths in _listed(path)},
        )


def size_of(folder: str) -> int:
    """Bytes of all files below the folder; 0 if it is missing."""
    return sum(path.lstat().st_size for path in _files(Path(folder)))


def _record(path: Path) -> Iterator[Record]:
    with suppress(OSError, ValueError, KeyError, TypeError):  # an unreadable record counts as missing
        content = json.loads(path.read_text())
        files = {str(name): int(size) for name, size in content["files"].items()}
        yield Record(bool(content["weights"]), files, bool(content.get("everything")))


def _listing(folder: Path, commit: str) -> Path:
    """huggingface_hub, _tree_cache.py: the list of all files of a commit, written by a download of several files."""
    return folder / "trees" / f"{commit}.json"


def _listed(path: Path) -> Iterator[frozenset[str]]:
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):  # huggingface_hub too ignores such a file
        yield frozenset(map(str, json.loads(path.read_text())["files"].keys()))


def _links(snapshot: Path) -> Iterator[tuple[str, tuple[int, str]]]:
    """Path in the repository, and the size and name of its blob; broken links are left out."""
    for path in _files(snapshot):
        with suppress(OSError):
            yield str(path.relative_to(snapshot)), (path.stat().st_size, path.resolve().name)


def _files(folder: Path) -> Iterator[Path]:
    return (Path(where, name) for where, _folders, names in os.walk(str(folder)) for name in sorted(names))


def _folders(folder: Path) -> list[Path]:
    return sorted(one for one in folder.iterdir() if one.is_dir()) if folder.is_dir() else []


def _sizes(folder: Path) -> Iterator[tuple[str, int]]:
    if folder.is_dir():
        with os.scandir(str(folder)) as entries:
            for entry in entries:
                with suppress(OSError):  # renamed meanwhile
                    yield entry.name, entry.stat().st_size


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    put(str(path), text, 0o644, owned=False)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FleetError(f"the cache of weights {path}: {error.filename}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise FleetError(f"the cache of weights {path}: a file below hub/*/refs is damaged; remove it") from error

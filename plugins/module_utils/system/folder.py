# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Folders that containers can write, read and changed by root.

Every step is one name below the descriptor of a folder, and no step follows a link. So whatever a container puts there,
also meanwhile, nothing outside of the folder is read, written or removed. Only regular files are opened: a pipe would
block, and to open a device may have an effect. Reads, walks and removals have limits.
"""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

MOST_ENTRIES = 1_000_000  # of one folder with everything below it
_LONG = 500  # bytes of a path that count as one entry more: 32 levels of long names are 8 kB for each file
DEEPEST = 32  # levels of folders that a walk enters
LONGEST_NAME = 255  # bytes, of every file system of Linux
REMOVAL_SECONDS = 3600
_REMOVED_AT_ONCE = 10_000  # entries that one round lists
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_MISSING = -1  # in place of a descriptor
# Not there, not of the expected kind, or not readable (a share with root_squash). Other errors are the disk's.
_ABSENT = (
    *(errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.EACCES),
    *(errno.ENXIO, errno.ENODEV, errno.EWOULDBLOCK, errno.EBADF),  # EBADF: below a missing folder
)


class Folder:
    """A folder; a missing one is false, and empty. Its OSErrors have the whole path as their file name."""

    def __init__(self, descriptor: int, path: str, left: list[int]) -> None:
        """path: for messages. left: how many entries may still be listed, for all folders below a first one."""
        self._descriptor = descriptor
        self._path = path
        self._left = left

    def __bool__(self) -> bool:
        return self._descriptor != _MISSING

    @classmethod
    @contextmanager
    def at(cls, path: str) -> Iterator[Folder]:
        """The folder at a path that no container can change."""
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            descriptor = _MISSING
        with cls(descriptor, path, [MOST_ENTRIES])._closing() as folder:
            yield folder

    @contextmanager
    def below(self, *names: str) -> Iterator[Folder]:
        """The folder of these nested names; missing if one of them is something else than a folder."""
        with ExitStack() as stack:
            folder = self
            for name in names:
                folder = stack.enter_context(folder._opened(name)._closing())
            yield folder

    @contextmanager
    def made(self, *names: str) -> Iterator[Folder]:
        """The folder of these nested names. Missing ones are created; what is no folder is removed first."""
        with ExitStack() as stack:
            folder = self
            for name in names:
                folder.clear(name)
                with folder._naming(name), suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=folder._descriptor)
                folder = stack.enter_context(folder.below(name))
                if not folder:
                    what = "expected a folder, found something that was put there meanwhile"
                    raise FleetError(f"{folder._path}: {what}")
            yield folder

    def names(self) -> list[str]:
        """Sorted, without names that have line breaks, control characters or bytes that are no UTF-8."""
        names = []
        for name in self._names():
            self._left[0] -= 1 + len(self._path) // _LONG
            if self._left[0] < 0:
                raise FleetError(
                    f"{self._path}: expected at most {MOST_ENTRIES} files (fewer in very long paths), found more; "
                    "remove this folder"
                )
            names.append(name)
        return sorted(filter(str.isprintable, names))

    def files(self) -> Iterator[tuple[str, int]]:
        """Name and bytes of each regular file."""
        for name in self.names():
            size = self.size(name)
            if size is not None:
                yield name, size

    def walk(self, where: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Folder]]:
        """This folder and those below it, each with its names from here. Folders deeper than DEEPEST are left out."""
        yield where, self
        for name in self.names() if len(where) < DEEPEST else ():
            with ExitStack() as stack:
                if folder := stack.enter_context(self.below(name)):
                    yield from folder.walk((*where, name))

    def size(self, name: str) -> Optional[int]:
        """Bytes of a regular file; None for anything else."""
        found = self._stat(name)
        return found.st_size if found and stat.S_ISREG(found.st_mode) else None

    def target(self, name: str) -> Optional[str]:
        """The text of a link; None for anything else."""
        with self._naming(name), _absent():
            return os.readlink(_checked(name), dir_fd=self._descriptor)
        return None

    def read(self, name: str, most: int) -> Optional[bytes]:
        """The content of a regular file of at most `most` bytes; None for anything else."""
        if self.size(name) is None:
            return None
        with self._naming(name), _absent():
            descriptor = os.open(name, _FILE, dir_fd=self._descriptor)
            try:
                if stat.S_ISREG(os.fstat(descriptor).st_mode):
                    with open(descriptor, "rb", closefd=False) as file:
                        content = file.read(most + 1)
                    return content if len(content) <= most else None
            finally:
                os.close(descriptor)
        return None

    def write(self, name: str, text: str) -> None:
        """A file of mode 0644 in place of what has this name. After a power cut, it is the old or the new one."""
        new = f".{_checked(name)}.new"
        self.remove(new)
        with self._naming(name):
            with open(os.open(new, _NEW, 0o644, dir_fd=self._descriptor), "w", encoding="utf-8") as file:
                os.fchmod(file.fileno(), 0o644)
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            if self._is_folder(name):
                self.remove(name)
            os.rename(new, name, src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor)

    def clear(self, *names: str) -> None:
        """Removes the first of these nested names that is something else than a folder."""
        if names:
            with self.below(names[0]) as folder:
                if not folder:
                    self.remove(names[0])
                folder.clear(*names[1:])

    def remove(self, name: str) -> None:
        """Removes what has this name, with everything below it; of a link, the link."""
        if not self or self._unlinked(name):
            return
        with self.below(name) as folder:
            folder._empty()
        with self._naming(name), suppress(FileNotFoundError):
            os.rmdir(name, dir_fd=self._descriptor)

    def _empty(self) -> None:
        """Moves the content of subfolders up: the depth of a tree costs neither nested calls nor descriptors."""
        deadline = time.monotonic() + REMOVAL_SECONDS
        while names := list(islice(self._names(), _REMOVED_AT_ONCE)):
            if time.monotonic() > deadline:
                raise FleetError(f"{self._path}: not empty after {REMOVAL_SECONDS} s; find out what writes there")
            for name in names:
                if not self._unlinked(name):
                    self._flatten(name)

    def _flatten(self, name: str) -> None:
        with self.below(name) as folder:
            for inner in folder._names():
                if not folder._unlinked(inner):
                    with self._naming(name):
                        other = secrets.token_hex(16)
                        os.rename(inner, other, src_dir_fd=folder._descriptor, dst_dir_fd=self._descriptor)
        try:
            with self._naming(name):
                os.rmdir(name, dir_fd=self._descriptor)
        except OSError as error:  # filled or replaced meanwhile: the next round sees it
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.ENOTDIR):
                raise

    def _unlinked(self, name: str) -> bool:
        """Removes it, unless it is a folder."""
        with self._naming(name):
            try:
                os.unlink(_checked(name), dir_fd=self._descriptor)
            except FileNotFoundError:
                pass
            except OSError:
                if self._is_folder(name):
                    return False
                raise
            return True

    def _names(self) -> Iterator[str]:
        if self:
            with self._naming(), os.scandir(self._descriptor) as entries:
                yield from (entry.name for entry in entries)

    def _is_folder(self, name: str) -> bool:
        found = self._stat(name)
        return found is not None and stat.S_ISDIR(found.st_mode)

    def _stat(self, name: str) -> Optional[os.stat_result]:
        with self._naming(name), _absent():
            return os.stat(_checked(name), dir_fd=self._descriptor, follow_symlinks=False)
        return None

    def _opened(self, name: str) -> Folder:
        descriptor = _MISSING
        with self._naming(name), _absent():
            descriptor = os.open(_checked(name), _FOLDER, dir_fd=self._descriptor)
        return Folder(descriptor, f"{self._path}/{readable(name)}", self._left)

    @contextmanager
    def _closing(self) -> Iterator[Folder]:
        try:
            yield self
        finally:
            if self:
                os.close(self._descriptor)

    @contextmanager
    def _naming(self, name: str = "") -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if not str(error.filename).startswith(self._path):
                error.filename = f"{self._path}/{readable(name)}" if name else self._path
            raise


def readable(name: str) -> str:
    """The name for a message: on one line, in characters that can be printed."""
    return name if name.isprintable() else ascii(name)


def _checked(name: str) -> str:
    """Raises FleetError unless it is the name of an entry."""
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise FleetError(f"expected the name of a file or folder, got {name!r}")
    return name


@contextmanager
def _absent() -> Iterator[None]:
    """Suppresses errors that mean that something is missing or of another kind."""
    try:
        yield
    except OSError as error:
        if error.errno not in _ABSENT:
            raise

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Atomic changes of files: after a power cut a file is either old or new, never partial."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Optional


def put(
    path: str,
    text: str,
    mode: int = 0o600,
    check: Optional[Callable[[str], None]] = None,
    owned: bool = True,
    ids: Optional[tuple[int, int]] = None,
) -> None:
    """Writes and syncs PATH.new, then renames it to PATH.

    Only this function uses PATH.new, so it overwrites what a killed run left.
    check: called with PATH.new before the rename; raises to prevent it.
    owned: whether to set the owner, which NFS with root_squash refuses.
    ids: as of `own`.
    OSError has PATH as its file name.
    """
    new = f"{path}.new"
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW
        with open(os.open(new, flags, 0o600), "w", encoding="utf-8", newline="") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        if check:
            check(new)
        if owned:
            own(new, mode, ids)
        else:
            os.chmod(new, mode)
        os.replace(new, path)
    except OSError as error:
        error.filename = path
        raise
    finally:
        if os.path.lexists(new):
            os.unlink(new)


def own(path: str, mode: int, ids: Optional[tuple[int, int]] = None) -> None:
    """ids: of the user and the group that become its owners; by default the current ones."""
    os.chown(path, *(ids or (os.geteuid(), os.getegid())))
    os.chmod(path, mode)


def switch(link: Path, whole: Path) -> None:
    """Points `link` atomically to the folder `whole` beside it, and removes other folders named LINK-…."""
    new = link.with_name(f"{link.name}.new")
    if link.is_dir() and not link.is_symlink():  # as the first versions had it
        link.rename(f"{link}-before")
    new.unlink(missing_ok=True)
    new.symlink_to(whole.name)
    new.replace(link)
    for other in link.parent.glob(f"{link.name}-*"):
        if other != whole:
            shutil.rmtree(other)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files that are either as they were or as they are to be, whenever the power goes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Optional


def put(
    path: str, text: str, mode: int = 0o600, check: Optional[Callable[[str], None]] = None, owned: bool = True
) -> None:
    """Written and synced beside it, then renamed.

    The name beside it, PATH.new, is this function's alone, so that what a killed run left is written over.
    check: is called with that name before the file is put in place, and raises if it must not be.
    owned: whether the owner is set, which NFS with root_squash refuses.
    OSError has PATH for its file name.
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
            own(new, mode)
        else:
            os.chmod(new, mode)
        os.replace(new, path)
    except OSError as error:
        error.filename = path
        raise
    finally:
        if os.path.lexists(new):
            os.unlink(new)


def own(path: str, mode: int) -> None:
    """Whoever runs this is its owner."""
    os.chown(path, os.geteuid(), os.getegid())
    os.chmod(path, mode)


def switch(link: Path, whole: Path) -> None:
    """`link` leads to the folder `whole` beside it, from one instant to the next. Others called LINK-… are removed."""
    new = link.with_name(f"{link.name}.new")
    if link.is_dir() and not link.is_symlink():  # as the first versions had it
        link.rename(f"{link}-before")
    new.unlink(missing_ok=True)
    new.symlink_to(whole.name)
    new.replace(link)
    for other in link.parent.glob(f"{link.name}-*"):
        if other != whole:
            shutil.rmtree(other)

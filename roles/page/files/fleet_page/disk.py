# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Writing files of the inventory: all of them or none, each at once, with the mode and the owner that it had."""

from __future__ import annotations

import contextlib
import difflib
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

from fleet_page.edits import secrets_in, without_secrets

NEW_MODE = 0o640
MOST_LINES = 12  # of what somebody else changed


def write_all(texts: Mapping[Path, tuple[str | None, str]]) -> None:
    """texts: file -> its text before (None for a new file) and after. Raises FleetError; then all is as before."""
    done: list[Path] = []
    for file, (_before, after) in texts.items():
        try:
            replace(file, after)
        except OSError as error:
            for one in done:
                _back(one, texts[one][0])
            raise FleetError(f"{file}: {why(error)}; the inventory was not changed") from None
        done.append(file)


def why(error: OSError) -> str:
    return error.strerror or " ".join(str(error).split()) or type(error).__name__


def _back(file: Path, text: str | None) -> None:
    with contextlib.suppress(OSError):
        if text is None:
            file.unlink()
        else:
            replace(file, text)


def replace(file: Path, text: str) -> None:
    """Another text for a file, or a new file, in one step. Behind a link, the file that it leads to is replaced."""
    file = file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    before = file.stat() if file.exists() else None
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".new")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as new:
            if before:
                _own(new.fileno(), before)
            os.fchmod(new.fileno(), before.st_mode & 0o777 if before else NEW_MODE)
            new.write(text)
            new.flush()
            os.fsync(new.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _own(descriptor: int, before: os.stat_result) -> None:
    """The owner and the group as before, as far as the user of this service may set them."""
    for owner in (before.st_uid, -1):
        with contextlib.suppress(PermissionError):
            os.fchown(descriptor, owner, before.st_gid)
            return


def changed_since(file: Path, before: str | None, now: str | None) -> str:
    """A fault: what somebody else changed in a file, without its secrets."""
    words = f"{file}: changed on disk since you opened the form; nothing was written. Make your change again"
    if before is None or now is None:
        return f"{words} ({'the file is new' if before is None else 'the file is gone, or cannot be read'})"
    lines = difflib.unified_diff(before.splitlines(), now.splitlines(), lineterm="", n=0)
    shown = [line for line in lines if line[:1] in "+-" and line[:3] not in ("+++", "---")]
    more = f"\nand {len(shown) - MOST_LINES} more lines" if len(shown) > MOST_LINES else ""
    secrets = _secrets((before, now))
    return without_secrets("\n".join([f"{words}. What changed:", *shown[:MOST_LINES]]), secrets) + more


def _secrets(texts: Iterable[str]) -> set[str]:
    return {one for text in texts for one in secrets_in(text) if len(one) >= 4}

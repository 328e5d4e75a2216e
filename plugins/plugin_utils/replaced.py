# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Files on the controller that programs read while they are replaced."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, text: str, mode: int = 0o644) -> None:
    """Replaces the file atomically: a reader gets the whole previous text or the whole new text."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.chmod(name, mode)
        os.replace(name, path)
    except OSError:
        os.unlink(name)
        raise

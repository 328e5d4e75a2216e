# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress of a long task: lines in a file that the control node reads."""

from __future__ import annotations

import os
from typing import Optional


class Progress:
    """Called with a line, which it appends. path: None where nobody reads."""

    def __init__(self, path: Optional[str]) -> None:
        self._path = path
        if path:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)

    def __call__(self, line: str) -> None:
        if self._path:
            with open(os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a") as file:
                file.write(line.replace("\n", " ") + "\n")

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Progress of a long task: lines in a file that the control node reads."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Optional

# Lines of an engine's log at its start -> what the engine does from then on (vLLM 0.10 to 0.22: gpu_model_runner.py,
# cpu_model_runner.py, weight_utils.py, compilation/backends.py, kv_cache_utils.py, engine/core.py, api_server.py).
_STAGES = (
    (re.compile(r"checkpoint shards: +(\d+)%"), "loads its weights"),
    (re.compile(r"Starting to load model"), "loads its weights"),
    (re.compile(r"Model loading took|Dynamo bytecode transform|Compiling a graph for"), "compiles the model"),
    (re.compile(r"KV cache (size|memory|space)"), "allocates the KV cache"),
    (re.compile(r"Capturing CUDA graphs"), "captures CUDA graphs"),
    (re.compile(r"Warming up|init engine .*took"), "warms up"),
    (re.compile(r"Starting vLLM API server|Started server process"), "starts its HTTP server"),
)
_STEP = 25  # percent of the weights


def stage(log: Sequence[str]) -> str:
    """What a starting engine does, by the last line of its log that says so; empty if no line does."""
    for line in reversed(log):
        for pattern, does in _STAGES:
            if found := pattern.search(line):
                percent = f", {int(found[1]) // _STEP * _STEP} %" if pattern.groups == 1 and found[1].isdigit() else ""
                return does + percent
    return ""


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

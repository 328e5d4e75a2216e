"""Trials: the tests of a mutation, run in a copy of the checkout. The checkout itself is never changed."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from mutation import ROOT, Mutation

LIMIT_S = {"unit": 600, "lint": 600, "molecule": 3600}


class BaselineError(Exception):
    """Tests fail without any mutation, so that their failure would prove nothing."""


@dataclass(frozen=True)
class Verdict:
    mutation: Mutation
    killed: bool
    seconds: float

    @property
    def result(self) -> str:
        return "killed" if self.killed else "SURVIVED"


class Copy:
    """A copy of the files that git does not ignore, which Python and Ansible take for the collection."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "ansible_collections/inference/fleet"
        self._environment = {
            **os.environ,
            "PYTHONPATH": str(folder),
            "ANSIBLE_COLLECTIONS_PATH": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",  # it would hide a change of the same size within the same second
        }
        self._passed: set[tuple[str, ...]] = set()
        command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for name in filter(None, listed.split("\0")):
            if (ROOT / name).exists():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name, follow_symlinks=False)
        subprocess.run(["git", "init", "--quiet"], cwd=self.root, check=True)  # molecule finds .config by it

    def try_out(self, mutation: Mutation) -> Verdict:
        """Raises BaselineError."""
        if mutation.command not in self._passed:
            passed, output = self._run(mutation)
            if not passed:
                raise BaselineError(f"{' '.join(mutation.command)}: fails without a mutation:\n{output[-3000:]}")
            self._passed.add(mutation.command)
        began = time.monotonic()
        try:
            mutation.apply(self.root)
            passed, _output = self._run(mutation)
        finally:
            shutil.copy2(ROOT / mutation.file, self.root / mutation.file)
        return Verdict(mutation, not passed, time.monotonic() - began)

    def _run(self, mutation: Mutation) -> tuple[bool, str]:
        """Whether the command succeeds, and what it prints. One that does not end in time is stopped, and fails."""
        with subprocess.Popen(
            mutation.command,
            cwd=self.root,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=LIMIT_S[mutation.kind])
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                return False, f"not done after {LIMIT_S[mutation.kind]} s"
        return process.returncode == 0, output

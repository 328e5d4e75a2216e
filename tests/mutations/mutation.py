"""The mutations of mutations.yml: each replaces one text of one file, and names the tests that must fail then."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


@dataclass(frozen=True)
class Mutation:
    """tests: of kind unit, arguments of pytest; of kind lint, the words of a command; of kind molecule, test files of
    one scenario, which is run as a whole."""

    id: str
    file: str
    text: str
    mutant: str
    kind: str
    tests: tuple[str, ...]

    @property
    def command(self) -> tuple[str, ...]:
        if self.kind == "unit":
            return ("pytest", "-x", *self.tests)
        if self.kind == "lint":
            return self.tests
        return ("molecule", "test", "--scenario-name", Path(self.tests[0]).parts[1])

    def stale(self, root: Path) -> str:
        """Why it cannot be applied to the tree in that folder, or nothing."""
        found = (root / self.file).read_text().count(self.text) if (root / self.file).exists() else 0
        return "" if found == 1 else f"{self.id}: {self.file}: expected once, found {found} times: {self.text!r}"

    def apply(self, root: Path) -> None:
        content = (root / self.file).read_text()
        (root / self.file).write_text(content.replace(self.text, self.mutant))


def load() -> list[Mutation]:
    listed = yaml.safe_load((HERE / "mutations.yml").read_text())
    return [Mutation(**{**one, "tests": tuple(one["tests"])}) for one in listed]

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The result of one check of a host. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

OK = "ok"
INSTALL = "install"  # missing; the playbook install fixes it
WARN = "warn"  # does not stop install, but should be fixed
FAULT = "fault"  # stops install before it changes anything
NOTE = ""  # a line that explains the previous one


@dataclass(frozen=True)
class Check:
    """found, remedy: one line each, without a full stop. remedy: empty where nothing is to be done."""

    name: str
    state: str
    found: str
    remedy: str = ""

    @classmethod
    def parse(cls, line: str, state: str = FAULT) -> Check:
        """From a fault in the collection's form: `what: what was found; what is expected`."""
        name, _colon, rest = line.partition(": ")
        found, _semicolon, remedy = rest.partition("; ")
        return cls(name, state, found, remedy)

    def __str__(self) -> str:
        if self.state == NOTE:
            return self.found
        return f"{self.name}: {self.found}" + (f"; {self.remedy}" if self.remedy else "")

    def as_dict(self) -> dict[str, str]:
        return asdict(self)


def faults_of(checks: Iterable[Check]) -> list[str]:
    return [str(check) for check in checks if check.state in (FAULT, NOTE)]

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The playbooks that the page runs: what each does, its options, and what clients lose."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]  # PyYAML has none

FILE = Path(__file__).with_name("catalogue.yml")
SWITCH, NUMBER, TEXT, CHOICE = "switch", "number", "text", "choice"


@dataclass(frozen=True)
class Option:
    """choices: of a choice; models, services and hosts are filled in by the page."""

    name: str
    help: str
    kind: str = TEXT
    choices: tuple[str, ...] = ()
    default: str = ""
    required: bool = False


@dataclass(frozen=True)
class Playbook:
    """does: one sentence. asks: the option that stands for a yes, if the playbook asks in a terminal. loses: what is
    lost, which the page asks about first. looks: changes nothing."""

    name: str
    does: str
    options: tuple[Option, ...] = ()
    asks: str = ""
    loses: str = ""
    looks: bool = False
    checks: bool = True

    @property
    def agreed(self) -> dict[str, str]:
        """The options of a person who has said yes."""
        return {self.asks: "true"} if self.asks else {}


@cache
def playbooks() -> Mapping[str, Playbook]:
    data: Any = yaml.safe_load(FILE.read_text())
    options = {
        name: Option(name, **{**one, "choices": tuple(one.get("choices", ()))}) for name, one in data["options"].items()
    }
    return {
        name: Playbook(
            name=name,
            **{**one, "options": tuple(_option(options, given) for given in one.get("options", ()))},
        )
        for name, one in data["playbooks"].items()
    }


def _option(options: Mapping[str, Option], given: Any) -> Option:
    """given: a name, or a name with what differs in this playbook."""
    if isinstance(given, str):
        return options[given]
    ((name, other),) = given.items()
    return Option(**{**options[name].__dict__, **other, "choices": tuple(other.get("choices", options[name].choices))})

"""Checks the names of tasks and plays, and that the defaults of options are the same everywhere: python tests/words.py

Names: verb + object, no pronoun in place of a thing, no dialect. Defaults: each role's meta/argument_specs.yml against
its defaults/main.yml and, for the variables of an inventory (role fleet), against Fleet.parse.
Prints one line for each fault; the exit status is 1 if there is any.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import RUN_VARIABLES, Fleet
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

ROOT = Path(__file__).resolve().parents[1]
NAMED = (
    "roles/*/tasks/*.yml",
    "roles/*/handlers/*.yml",
    "playbooks/*.yml",
    "molecule/*/*.yml",
    "tests/lab/*.yml",
    "tests/lab/*/*.yml",
)
TASK_LISTS = ("pre_tasks", "tasks", "post_tasks", "handlers", "block", "rescue", "always")

END = r"(?=$|[,.;:)]"
PREPOSITIONS = r"on|off|up|down|in|into|to|of|for|from|with|without|by|at|as|before|after|again|away"
VERBS = r"is|are|was|were|has|had|does|did|can|could|will|would|should"
PRONOUN = "stands for a thing; name the thing"
REFUSED = (
    (r"\b(?:it|its|them|they|their|theirs|those|ones)\b", PRONOUN),
    # No noun can follow.
    (rf"\b(?:this|these){END}| (?:and|or|{VERBS}|{PREPOSITIONS})\b)", PRONOUN),
    (rf"\bthat{END}| (?:on|off|up|away|again)\b)", PRONOUN),
    (rf"(?<!\bone by )\bone{END}| (?:that|which|who|whose|beside|{VERBS}|before|after|with|without)\b)", PRONOUN),
    # No relative clause can begin here.
    (rf"\b(?:where|if|when|while|all|do|does|{PREPOSITIONS}) that\b", PRONOUN),
    (rf"\b(?:the|this|which|another|other|new|old|each|every|no) one (?:{PREPOSITIONS})\b", PRONOUN),
    (r"^(?:have|tell|let|say|see|look|be told)\b", "is not what a task does; use check, report, create, wait, ..."),
    (r"\b(?:anew|amiss|doors?|put right|of before)\b", "is dialect; use recreate, fault, Caddy, fix, previous"),
    (r"\btak(?:e|es|en|ing) (?:[\w']+ ){0,3}away\b", "is dialect; use remove"),
    (r"\blets? (?:[\w']+ ){0,3}in\b", "is dialect; use accept or allow"),
)


def name_faults(name: str) -> list[str]:
    """What is refused in the name of a task or a play. Text in {{ }} does not count."""
    text = re.sub(r"\{\{.*?\}\}", "", name)
    found = ((re.search(pattern, text, re.IGNORECASE), reason) for pattern, reason in REFUSED)
    return [f"{match.group()!r} {reason}" for match, reason in found if match]


def names(node: yaml.Node | None) -> Iterator[tuple[int, str]]:
    """Line and name of each play, block and task of a file of plays or tasks; nothing of other files."""
    for entry in node.value if isinstance(node, yaml.SequenceNode) else ():
        for key, value in entry.value if isinstance(entry, yaml.MappingNode) else ():
            if key.value == "name":
                yield value.start_mark.line + 1, value.value
            elif key.value in TASK_LISTS:
                yield from names(value)


def all_name_faults(root: Path) -> Iterator[str]:
    for file in sorted({file for pattern in NAMED for file in root.glob(pattern)}):
        for line, name in names(yaml.compose(file.read_text())):
            for fault in name_faults(name):
                yield f"{file.relative_to(root)}:{line}: {name!r}: {fault}"


def differences(specified: Mapping[str, Any], used: Mapping[str, Any], where: str) -> Iterator[str]:
    """specified: defaults of argument_specs.yml by option. used: those that apply, from `where`."""
    for name in sorted({*specified, *used}):
        here, there = (repr(side[name]) if name in side else "no default" for side in (specified, used))
        if here != there:
            yield f"{name}: argument_specs.yml has {here}, {where} has {there}"


def parser_differences(options: Mapping[str, Any]) -> Iterator[str]:
    """options: of the role fleet, whose defaults Fleet.parse fills in."""
    filled = Fleet.parse({}).desired_state()
    for name in sorted({*options, *filled} - {*RUN_VARIABLES}):
        option = options.get(name, {})
        if "default" in option and not _same({name: option["default"]}, {}):
            yield f"{name}: argument_specs.yml has {option['default']!r}, Fleet.parse has another default"
        if "default" not in option and filled.get(name):
            yield f"{name}: argument_specs.yml has no default, Fleet.parse has {filled[name]!r}"
        if option.get("options") and not option.get("default"):
            yield from _inner_differences(name, option, filled.get(name))


def _inner_differences(name: str, option: Mapping[str, Any], filled: Any) -> Iterator[str]:
    """Of the options of a mapping, or of the entries of a list, which are asked about with a minimal entry."""
    inner = option["options"]
    specified = {key: one["default"] for key, one in inner.items() if "default" in one}
    required = {key: one.get("choices", ["a"])[0] for key, one in inner.items() if one.get("required")}
    if option["type"] == "list":
        if not _same({name: [required | specified]}, {name: [required]}):
            yield f"{name}: argument_specs.yml has {specified!r}, Fleet.parse has other defaults"
        # Not every list is part of the state of a host (fleet_keys).
        filled = Fleet.parse({name: [required]}).desired_state().get(name, [specified])[0]
    given, used = (
        {key: value for key, value in side.items() if key not in required and value not in ([], {})}
        for side in (specified, filled)
    )
    for difference in differences(given, used, "Fleet.parse"):
        yield f"{name}.{difference}"


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    try:
        return Fleet.parse(one) == Fleet.parse(other)
    except FleetError:
        return False


def all_default_faults(root: Path) -> Iterator[str]:
    for file in sorted(root.glob("roles/*/meta/argument_specs.yml")):
        role = file.parents[1]
        entries = yaml.safe_load(file.read_text())["argument_specs"].values()
        options = {name: option for entry in entries for name, option in entry.get("options", {}).items()}
        specified = {
            name: option["default"]
            for name, option in options.items()
            if "default" in option and not name.startswith("fleet_")
        }
        defaults = role / "defaults/main.yml"
        used = yaml.safe_load(defaults.read_text()) if defaults.exists() else {}
        faults = [*differences(specified, used or {}, "defaults/main.yml")]
        if role.name == "fleet":
            faults += parser_differences(options)
        for fault in faults:
            yield f"{file.relative_to(root)}: {fault}"


def main(root: Path = ROOT) -> int:
    faults = [*all_name_faults(root), *all_default_faults(root)]
    for fault in faults:
        print(fault)
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Checks the models' arguments against the options of `vllm serve` in their images. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Optional, Union

from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import LEFT_OUT, words
from ansible_collections.inference.fleet.plugins.module_utils.inventory.families import REASONING, TOOLS
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import OMNI_TYPES
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.plugins.module_utils.preflight.check import FAULT, OK, WARN, Check
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show

NUMBER = "number"
_PARSERS = {TOOLS: "tool-parser-plugin", REASONING: "reasoning-parser-plugin"}  # parsers of answers, and more of them
# vLLM 0.33 has some 450 spellings. Each is compared with each unknown argument.
_MOST, _LONGEST = 2000, 100
_ONE_WORD = (NUMBER, "value", "json", "json_list")
_NO_MAPPING = (NUMBER, "switch")
# What a parser of numbers may take besides numbers, such as 32k. Nobody lists the words, so they are not refused.
_NO_NUMBER = re.compile(r"(?!(auto|inf|infinity|max|nan|none|null)$)[^0-9]+", re.IGNORECASE)


class Option(NamedTuple):
    """kind: as option_program has it, or NUMBER. parsers: the names that vLLM knows; empty for other options, or where
    they are not known."""

    kind: str
    parsers: tuple[str, ...] = ()


Table = Mapping[str, Option]  # by its spelling on the command line


@dataclass(frozen=True)
class Program:
    """A program with options of its own: `vllm serve` in an image, or with --omni that of vLLM-Omni."""

    image: str
    omni: bool


def program_of(fleet: Fleet, model: Model) -> Program:
    return Program(fleet.image_of(model), model.type in OMNI_TYPES)


def parse_table(data: Any) -> Table:
    """Raises FleetError for anything but the output of option_program."""
    try:
        found = {
            spelling: Option(
                NUMBER if option.get("number") is True else option["kind"],
                tuple(option.get("choices", ())) if spelling[2:] in _PARSERS else (),
            )
            for option in data
            for spelling in option["options"]
        }
    except (AttributeError, TypeError, KeyError) as error:
        raise FleetError("not a list of options") from error
    if not found:
        raise FleetError("an empty list of options")
    most = max(len(found), *(len(option.parsers) for option in found.values()))
    if most > _MOST:
        raise FleetError(f"expected at most {_MOST} options, got {most}")
    texts = [word for spelling, option in found.items() for word in (spelling, option.kind, *option.parsers)]
    if not all(isinstance(word, str) and len(word) <= _LONGEST for word in texts):
        raise FleetError(f"expected names of options and kinds of at most {_LONGEST} characters, got others")
    return found


def option_checks(fleet: Fleet, tables: Mapping[Program, Union[Table, str]]) -> Iterator[Check]:
    """tables: for programs that were asked, the options, or the reason why they are not known."""
    for program, table in tables.items():
        if isinstance(table, str):
            found = f"the options of its `vllm serve` are not known: {table}"
            yield Check(f"image {program.image}", WARN, found, "wrong args are found only when the container starts")
    checked = False
    for index, model in enumerate(fleet.models):
        known = tables.get(program_of(fleet, model)) if model.containers else None
        if known is None or isinstance(known, str):
            continue
        checked = True
        where = f"of `vllm serve` in {fleet.image_of(model)}"
        for key, value in model.args:
            name = f"fleet_models[{index}].{model.written(f'args.{key}')}"
            fault = _fault(key, value, known, where)
            unknown = None if _PARSERS.get(key) in dict(model.args) else _unknown_parser(key, value, known, where)
            if fault:
                yield Check(name, FAULT, *fault)
            elif unknown:
                yield Check(name, WARN, unknown, "the container starts only if a plugin in the image has it")
        for key, value in model.added_args:
            fault = _fault(key, value, known, where) if key in _PARSERS else None
            unknown = fault[0] if fault else _unknown_parser(key, value, known, where)
            if unknown:
                found = f"{unknown}; it was added for this family of models"
                yield Check(f"fleet_models[{index}].args.{key}", FAULT, found, f"write {key}: null, or another parser")
    if checked:
        yield Check("args", OK, "compared with the options of the images on this host")


def _fault(key: str, value: Any, known: Table, where: str) -> Optional[tuple[str, str]]:
    """What is wrong with an argument, and what to do."""
    written = words(((key, value),))
    option = key.partition(".")[0]
    spelling = f"--{option}"
    if option in LEFT_OUT and not written:
        return None
    if spelling not in known and (value is not False or f"--no-{option}" not in known):
        return f"no option {where}", nearest(option, _names(known)).removeprefix("; ")
    kind = known[spelling].kind if spelling in known else "switch"
    if "." in key and kind in _NO_MAPPING:
        return f"has no keys behind a dot: no option {where} that takes a mapping", f"write {option}"
    if "." in key or not written:
        return None
    if value is False:
        return None if f"--no-{option}" in known else (f"is an option {where} that false cannot turn off", "remove it")
    if kind == "switch" and len(written) > 1:
        return f"expected true or false, got {show(value)}: a switch {where}", ""
    if kind in (*_ONE_WORD, "append") and written == [spelling]:
        return f"expected a value, got {show(value)}: an option {where} that takes one", ""
    if kind in (*_ONE_WORD, "optional") and len(written) > 2:
        return f"expected one value, got {show(value)}: an option {where} that takes one", ""
    if kind == NUMBER and (not isinstance(value, (str, int, float)) or _NO_NUMBER.fullmatch(str(value).strip())):
        return f"expected a number, got {show(value)}: an option {where} that takes one", ""
    if kind in ("json", "json_list") and isinstance(value, str) and value[:1] in "[{" and not _is_json(value):
        return f"expected JSON, got {show(value)}", "write a mapping instead of text"
    return None


def _unknown_parser(key: str, value: Any, known: Table, where: str) -> Optional[str]:
    parsers = known[f"--{key}"].parsers if key in _PARSERS and f"--{key}" in known else ()
    if not parsers or value in (None, False, "", *parsers):
        return None
    return f"{show(value)} is no parser {where}{nearest(str(value), parsers)}"


def _names(known: Table) -> Iterable[str]:
    return sorted(spelling[2:] for spelling in known if spelling.startswith("--"))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

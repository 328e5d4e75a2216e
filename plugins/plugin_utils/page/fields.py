# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The fields of a form, from an argument spec, so a new key of the inventory is a new field; and faults, by field."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Union

import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible.module_utils.common.validation import check_type_bool, check_type_float, check_type_int, check_type_str
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import inline

MARKUP = re.compile(r"\b(?:C|V|O|I|B|P|E|M|RV|U)\(((?:[^()]|\([^()]*\))*)\)")
LINK = re.compile(r"\bL\(([^,()]*),[^()]*\)")
FAULT = re.compile(r"(?P<path>[A-Za-z0-9_]+(?:\[\d+\]|\.[A-Za-z0-9_.-]+| \([^)]*\))*): (?P<words>.*)", re.DOTALL)
PART = re.compile(r"\[(\d+)\]|([^.\[\]]+)")

# How a field is shown
CHOICE, SWITCH, NUMBER, TEXT, YAML = "choice", "switch", "number", "text", "yaml"
CHECKS = {"bool": check_type_bool, "int": check_type_int, "float": check_type_float, "str": check_type_str}
EXPECTED = {"bool": "true or false", "int": "a whole number", "float": "a number", "str": "a text"}
KINDS = {"bool": SWITCH, "int": NUMBER, "float": NUMBER, "str": TEXT, "path": TEXT}


@dataclass(frozen=True)
class Field:
    """A key of the inventory.

    kind: how it is shown; mappings, lists and values of several types are YAML. fields: those of a mapping, or of each
    entry of a list. secret: its value is not shown. example: how the YAML looks.
    """

    name: str
    kind: str
    help: str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    secret: bool = False
    several: bool = False
    fields: tuple[Field, ...] = ()
    example: str = ""

    @property
    def info(self) -> str:
        """The help, with the default, and how to write what is not one value."""
        shown = "" if self.default is None else f" Default: {inline(self.default)}."
        example = f" As YAML, such as {self.example}." if self.example else ""
        return f"{self.help}{shown}{example}"


def fields_of(options: Mapping[str, Any]) -> tuple[Field, ...]:
    """options: of an argument spec (`options` of an entry point, or of an option)."""
    return tuple(_field(name, option) for name, option in options.items())


def _field(name: str, option: Mapping[str, Any]) -> Field:
    kind = option.get("type", "str")
    described = option.get("description", ())
    return Field(
        name=name,
        kind=CHOICE if option.get("choices") else KINDS.get(kind, YAML),
        help=" ".join(plain(one) for one in ([described] if isinstance(described, str) else described)),
        required=bool(option.get("required")),
        default=option.get("default"),
        choices=tuple(map(str, option.get("choices", ()))),
        secret=bool(option.get("no_log")),
        several=kind == "list",
        fields=fields_of(option.get("options") or {}),
        example={"list": "[one, two]", "dict": "{key: value}"}.get(kind, "")
        if option.get("elements") != "dict"
        else "",
    )


def plain(text: str) -> str:
    """Without Ansible's markup."""
    return LINK.sub(r"\1", MARKUP.sub(r"\1", text))


def value_of(field: Field, given: Any) -> Any:
    """The value for the inventory of what a person entered, None for none. Raises FleetError with what is wrong."""
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    if field.kind == YAML:
        try:
            return yaml.safe_load(given)
        except yaml.YAMLError as error:
            raise FleetError(f"{field.name}: expected YAML, got: {' '.join(str(error).split())}") from None
    if field.kind == NUMBER:
        return _number(field, str(given).strip())
    return given if field.kind != TEXT else str(given).strip()


def _number(field: Field, given: str) -> Union[int, float]:
    try:
        return int(given)
    except ValueError:
        pass
    try:
        number = float(given)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise FleetError(f"{field.name}: expected a number, got {show(given)}")
    return int(number) if number.is_integer() else number


def entered(field: Field, value: Any) -> Any:
    """What the form shows for a value of the inventory."""
    if field.kind == YAML:
        return "" if value is None else _block(value)
    return value


def entry_of(fields: Iterable[Field], given: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    """The entry for the inventory: what was entered, without values that are the default and were not written before.

    given: name of a field -> what a person entered. Keys of `before` that no field has stay. Raises FleetError.
    """
    known = {field.name: field for field in fields}
    faults: list[str] = []
    values: dict[str, Any] = {}
    for name, field in known.items():
        try:
            values[name] = value_of(field, given[name]) if name in given else before.get(name)
        except FleetError as error:
            faults += error.faults
    if faults:
        raise FleetError(*faults)
    kept = {
        name: value
        for name, value in values.items()
        if value is not None and (name in before or known[name].required or value != known[name].default)
    }
    order = [
        *(name for name in before if name in kept or name not in known),
        *(one for one in kept if one not in before),
    ]
    return {name: kept.get(name, before.get(name)) for name in order}


def value_faults(options: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """Faults of variables that are one number, switch or word. The model of the inventory leaves those to the role,
    whose argument spec refuses them only when a playbook runs."""
    found = []
    for name, option in options.items():
        kind, words = option.get("type", "str"), option.get("choices")
        if given.get(name) is None or kind not in CHECKS:
            continue
        expected = f"one of {', '.join(map(str, words))}" if words else EXPECTED[kind]
        try:
            value = CHECKS[kind](given[name])
            right = not words or value in words
        except TypeError:
            right = False
        if not right:
            found.append(f"{name}: expected {expected}, got {show(given[name])}")
    return found


@dataclass(frozen=True)
class FieldFault:
    """path: the keys and indexes of the value, without names in parentheses. words: what is wrong with it."""

    path: tuple[Union[str, int], ...]
    words: str


def field_faults(faults: Iterable[str]) -> list[FieldFault]:
    """Faults of an inventory, `fleet_models[0] (a).args: expected ...`, with their places; () for those without one."""
    found = []
    for fault in faults:
        match = FAULT.fullmatch(fault)
        path = re.sub(r" \([^)]*\)", "", match["path"]) if match else ""
        parts = tuple(int(index) if index else name for index, name in PART.findall(path))
        found.append(FieldFault(parts, match["words"] if match else fault))
    return found


def _block(value: Any) -> str:
    if isinstance(value, (dict, list)):
        return str(yaml.safe_dump(value, width=1 << 30, allow_unicode=True, sort_keys=False)).rstrip("\n")
    return inline(value)

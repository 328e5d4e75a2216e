# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A form for an entry of the inventory, from its argument spec: a new key of the inventory is a new field."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gradio as gr
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import (
    CHOICE,
    NUMBER,
    SWITCH,
    YAML,
    Field,
    FieldFault,
    entered,
    entry_of,
)

from fleet_page.hidden import masked, unmasked
from fleet_page.views import parts

SWITCH_WORDS = {"": None, "yes": True, "no": False}


class Form:
    """The components of the fields, in the order of the spec. first: names of those that are not folded away."""

    def __init__(
        self, fields: Sequence[Field], first: Sequence[str], prefix: str, fixed: Mapping[str, Any] | None = None
    ):
        self.fields = tuple(fields)
        self._components: dict[str, Any] = {}
        self._faults: dict[str, Any] = {}
        fixed = fixed or {}
        with gr.Row(equal_height=False, elem_classes="fields"):
            for name in first:
                self._place(self._field(name), prefix, fixed)
        others = [field for field in self.fields if field.name not in first]
        if others:
            with gr.Accordion("More settings", open=False), gr.Row(equal_height=False, elem_classes="fields"):
                for field in others:
                    self._place(field, prefix, fixed)
        self.rest = gr.HTML(visible=False)

    def _field(self, name: str) -> Field:
        return next(field for field in self.fields if field.name == name)

    def _place(self, field: Field, prefix: str, fixed: Mapping[str, Any]) -> None:
        with gr.Column(min_width=260, elem_classes="field"):
            self._components[field.name] = component(field, f"{prefix}-{field.name}", fixed.get(field.name))
            self._faults[field.name] = gr.HTML(visible=False)

    @property
    def inputs(self) -> list[Any]:
        return [self._components[field.name] for field in self.fields]

    @property
    def outputs(self) -> list[Any]:
        """Of `load` and `marks` together."""
        return [*self.inputs, *self.fault_outputs]

    @property
    def fault_outputs(self) -> list[Any]:
        return [*(self._faults[field.name] for field in self.fields), self.rest]

    def load(self, entry: Mapping[str, Any]) -> list[Any]:
        """Updates for `outputs`."""
        return [*(gr.update(value=shown(field, entry)) for field in self.fields), *self.marks(())]

    def read(self, values: Sequence[Any], before: Mapping[str, Any]) -> dict[str, Any]:
        """The entry for the inventory. Raises FleetError."""
        given = {
            field.name: _given(field, value)
            for field, value in zip(self.fields, values, strict=True)
            if not _untouched(field, value, before)
        }
        found = entry_of(self.fields, given, before)
        return {
            name: unmasked(value, before.get(name), name) if name in given else value for name, value in found.items()
        }

    def marks(self, faults: Iterable[FieldFault]) -> list[Any]:
        """Updates for `fault_outputs`. The first part of a fault's path is the field."""
        faults = tuple(faults)
        known = {field.name for field in self.fields}
        made = []
        for field in self.fields:
            own = [one.words for one in faults if one.path[:1] == (field.name,)]
            made.append(gr.update(value=parts.faults(own), visible=bool(own)))
        others = [one.words for one in faults if (one.path[:1] and one.path[0] not in known) or not one.path]
        made.append(gr.update(value=parts.faults(others), visible=bool(others)))
        return made


def component(field: Field, elem_id: str, choices: Sequence[str] | None = None) -> Any:
    label = field.name + (" *" if field.required else "")
    common: dict[str, Any] = {"label": label, "info": field.info, "elem_id": elem_id}
    if field.kind == CHOICE or choices is not None:
        return gr.Dropdown([*(choices or field.choices)], value=field.default, allow_custom_value=True, **common)
    if field.kind == SWITCH:
        if isinstance(field.default, bool):
            return gr.Checkbox(value=field.default, **common)
        return gr.Dropdown([*SWITCH_WORDS], value="", **common)
    if field.kind == NUMBER:
        return gr.Textbox(value="" if field.default is None else str(field.default), **common)
    if field.kind == YAML:
        return gr.Textbox(lines=2, max_lines=20, elem_classes="code", **common)
    return gr.Textbox(**common)


def shown(field: Field, entry: Mapping[str, Any]) -> Any:
    """What a component shows of an entry. A value that cannot be shown there, such as a template, is its text."""
    if field.name not in entry:
        if field.kind == SWITCH and not isinstance(field.default, bool):
            return ""
        if field.kind == YAML:
            return ""
        return field.default if field.kind != NUMBER or field.default is None else str(field.default)
    value = masked(entry[field.name], field.name)
    if field.kind == SWITCH and not isinstance(field.default, bool):
        return next((words for words, one in SWITCH_WORDS.items() if one is value), "")
    if field.kind == NUMBER:
        return str(value)
    return entered(field, value)


def _untouched(field: Field, value: Any, before: Mapping[str, Any]) -> bool:
    """Whether a component still has what it showed. Then the value stays, also a template that it cannot show."""
    if field.name not in before:
        return False
    showed = shown(field, before)
    if field.kind == SWITCH and isinstance(field.default, bool):
        return bool(value) == bool(showed)
    return str(value if value is not None else "").strip() == str(showed if showed is not None else "").strip()


def _given(field: Field, value: Any) -> Any:
    if field.kind == SWITCH and not isinstance(field.default, bool):
        return SWITCH_WORDS.get(value)
    return value

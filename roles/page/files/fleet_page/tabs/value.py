# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""An editor for one variable of a host, as YAML; the tabs GPUs, Images and Settings use it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import gradio as gr
import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import Field, entered, field_faults

from fleet_page.edits import CHANGED_MEANWHILE, digest_of, variable_edit
from fleet_page.hidden import masked, unmasked
from fleet_page.page import AT_ONCE, QUIET, Page, changing, problem, refused
from fleet_page.runs import Request
from fleet_page.tabs.change import ChangePanel
from fleet_page.views import parts
from fleet_page.views.parts import Markup


class ValueEditor:
    """loses: what clients lose, from the value before and after."""

    def __init__(
        self,
        page: Page,
        name: str,
        fields: Mapping[str, Field],
        variables: Sequence[str],
        playbook: str = "install",
        loses: Callable[[Any, Any], Sequence[str]] = lambda _before, _after: (),
    ) -> None:
        self._page, self._fields, self._playbook, self._loses = page, fields, playbook, loses
        hosts = [*page.snapshot().hosts]
        with gr.Row():
            self.host = gr.Dropdown(
                hosts, value=hosts[0] if hosts else None, label="host", elem_id=f"{name}-host", scale=1
            )
            self.variable = gr.Dropdown(
                [*variables],
                value=variables[0],
                label="variable",
                elem_id=f"{name}-variable",
                scale=2,
                visible=len(variables) > 1,
            )
        self.help = gr.HTML()
        self.text = gr.Code(
            language="yaml", lines=6, max_lines=30, label="Value (YAML)", elem_id=f"{name}-value", wrap_lines=True
        )
        self.fault = gr.HTML()
        with gr.Row():
            self.review = gr.Button(
                "Review the change", variant="primary", size="sm", scale=0, min_width=180, elem_id=f"{name}-review"
            )
            self.default = gr.Button("Use the default", size="sm", scale=0, min_width=160, elem_id=f"{name}-default")
        self._opened = gr.State("")  # the digest of the value in the editor
        self.panel = ChangePanel(page, name)
        shown = [self.help, self.text, self.fault, self._opened, *self.panel.outputs]
        for one in (self.host, self.variable):
            one.change(self.load, [self.host, self.variable], shown, **AT_ONCE)
        changed = [self.fault, *self.panel.outputs]
        self.text.input(self.panel.hidden, None, self.panel.outputs, **AT_ONCE)
        self.review.click(self._review, [self.host, self.variable, self.text, self._opened], changed, **QUIET)
        self.default.click(self._default, [self.host, self.variable], changed, **QUIET)
        self.panel.when_written(self._written, [self.host, self.variable], [self.text, self._opened])

    @property
    def outputs(self) -> list[Any]:
        return [self.host, self.help, self.text, self.fault, self._opened, *self.panel.outputs]

    def open_with(self, tab: Any) -> None:
        """Loads the value when the tab is opened."""
        tab.select(self.refresh, [self.host, self.variable], self.outputs, **AT_ONCE)

    def refresh(self, host: str | None, variable: str) -> list[Any]:
        """Updates for `outputs`, when the tab is opened."""
        hosts = [*self._page.snapshot().hosts]
        host = host if host in hosts else hosts[0] if hosts else None
        return [gr.update(choices=hosts, value=host), *self.load(host, variable)]

    def load(self, host: str | None, variable: str) -> list[Any]:
        field = self._fields[variable]
        if not host:
            return ["", "", "", "", *self.panel.hidden()]
        snapshot = self._page.snapshot()
        value = snapshot.written(host, variable)
        place = snapshot.place(host, variable)
        sharing = [one for one in snapshot.sharing(host, variable) if one != host]
        where = f"written in {place.file}" if value is not None else f"not set; a value goes to {place.file}"
        also = f", also for {', '.join(sharing)}" if sharing else ""
        help_ = parts.joined([parts.note(field.info), parts.note(where + also), _keys(field)])
        text, digest = self._written(host, variable)
        return [help_, text, "", digest, *self.panel.hidden()]

    def _written(self, host: str, variable: str) -> list[Any]:
        """The value in the editor is the one of the inventory again."""
        value = self._page.snapshot().written(host, variable)
        return ["" if value is None else entered_value(self._fields[variable], value), digest_of(value)]

    def _review(self, host: str, variable: str, text: str, opened: str, request: gr.Request) -> list[Any]:
        changing(request)
        try:
            given = yaml.safe_load(text) if text and text.strip() else None
        except yaml.YAMLError as error:
            return [parts.faults([f"expected YAML, got: {' '.join(str(error).split())}"]), *self.panel.hidden()]
        snapshot = self._page.snapshot()
        if digest_of(snapshot.written(host, variable)) != opened:
            return [parts.faults([f"{variable}: {CHANGED_MEANWHILE}"]), *self.panel.hidden()]
        try:
            value = unmasked(given, snapshot.written(host, variable), variable)
        except FleetError as error:
            return [parts.faults(error.faults), *self.panel.hidden()]
        return self._propose(request, host, variable, value, f"set {variable} of {host}")

    def _default(self, host: str, variable: str, request: gr.Request) -> list[Any]:
        if self._page.snapshot().written(host, variable) is None:
            raise refused(f"{variable} has its default already")
        return self._propose(request, host, variable, None, f"use the default of {variable} for {host}")

    def _propose(self, request: Any, host: str, variable: str, value: Any, what: str) -> list[Any]:
        snapshot = self._page.snapshot()
        try:
            edit = variable_edit(snapshot, host, variable, value, what)
        except FleetError as error:
            raise problem(error) from None
        loses = self._loses(snapshot.written(host, variable), value)
        run = Request(self._playbook, "", limit=",".join(snapshot.sharing(host, variable)))
        proposal, shown = self.panel.propose(request, what, [edit], run, loses)
        own = [one.words for one in field_faults(proposal.faults if proposal else ()) if one.path[:1] == (variable,)]
        return [parts.faults(own), *shown]


def entered_value(field: Field, value: Any) -> str:
    shown = entered(Field(field.name, "yaml", ""), masked(value, field.name))
    return str(shown)


def _keys(field: Field) -> Any:
    if not field.fields:
        return ""
    rows = [(one.name, one.info) for one in field.fields]
    lines = parts.joined(Markup("<dt><code>{}</code></dt><dd>{}</dd>").format(*row) for row in rows)
    return Markup('<details><summary>Keys</summary><dl class="facts">{}</dl></details>').format(lines)

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A change of the inventory before it is made: the difference, what the hosts would do, what clients lose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import gradio as gr
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import FieldFault, field_faults

from fleet_page.edits import Edit, Proposal, name_of
from fleet_page.page import AT_ONCE, QUIET, Page, changing, in_the_way, log, problem, refused
from fleet_page.runs import DONE, RUNS, Request
from fleet_page.views import parts
from fleet_page.views import runs as run_views
from fleet_page.views.parts import Markup

TICK_SECONDS = 1.0


@dataclass(frozen=True)
class Pending:
    """proposal: None where the inventory stays, and only a playbook runs. run: that is shown."""

    what: str
    proposal: Proposal | None
    request: Request
    loses: tuple[str, ...] = ()
    run: str = ""
    saved: bool = False


class Passwords:
    """Asked for each run, and kept nowhere."""

    def __init__(self) -> None:
        with gr.Accordion("Passwords for this run, if your hosts or your inventory need them", open=False), gr.Row():
            self.become = gr.Textbox(
                label="sudo password", type="password", info="For hosts where Ansible asks for it (-K)"
            )
            self.vault = gr.Textbox(label="vault password", type="password", info="For values of Ansible Vault")

    @property
    def inputs(self) -> list[Any]:
        return [self.become, self.vault]


def given_passwords(become: str | None, vault: str | None) -> dict[str, str]:
    return {name: text for name, text in (("become", become), ("vault", vault)) if text}


class ChangePanel:
    """Shows a change, and makes it after a click."""

    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self.pending = gr.State(None)
        with gr.Group(visible=False, elem_classes="change", elem_id=f"{name}-change") as self.box:
            self.summary = gr.HTML()
            self.passwords = Passwords()
            with gr.Row():
                self.check = gr.Button(
                    "Check what the hosts would do", size="sm", scale=0, min_width=230, elem_id=f"{name}-check"
                )
                self.save = gr.Button("Save only", size="sm", scale=0, min_width=150, elem_id=f"{name}-save")
                self.apply = gr.Button(
                    "Save and apply", size="sm", scale=0, min_width=230, variant="primary", elem_id=f"{name}-apply"
                )
                self.cancel = gr.Button("Cancel", size="sm", scale=0, min_width=150, elem_id=f"{name}-cancel")
            self.result = gr.HTML(elem_id=f"{name}-result")
        self._timer = gr.Timer(TICK_SECONDS, active=False)
        given, shown = [self.pending, *self.passwords.inputs], [*self.outputs, self._timer]
        self.check.click(self._check, given, shown, **QUIET)
        self._written = (
            self.save.click(self._save, [self.pending], shown, **QUIET),
            self.apply.click(self._apply, given, shown, **QUIET),
        )
        self.cancel.click(lambda: [*self.hidden(), gr.update(active=False)], None, shown, **QUIET)
        self._timer.tick(self._tick, [self.pending], [self.result, self._timer, self.apply], **AT_ONCE)

    def when_written(self, called: Any, inputs: Any, outputs: Any) -> None:
        """What else happens when the change is in the inventory, or its playbook has begun."""
        for event in self._written:
            event.success(called, inputs, outputs, **AT_ONCE)

    @property
    def outputs(self) -> list[Any]:
        return [self.pending, self.box, self.summary, self.check, self.save, self.apply, self.result]

    def hidden(self) -> list[Any]:
        return [None, gr.update(visible=False), "", *(gr.update() for _button in range(3)), ""]

    def propose(
        self, request: Any, what: str, edits: Sequence[Edit], run: Request, loses: Sequence[str] = ()
    ) -> tuple[Proposal | None, list[Any]]:
        """The proposal, and updates for `outputs`. edits: none if only a playbook runs."""
        changing(request)
        try:
            proposal = self._page.inventory.proposal(what, edits) if edits else None
        except FleetError as error:
            raise problem(error) from None
        pending = Pending(what, proposal, run, tuple(loses))
        return proposal, self._shown(pending)

    def _shown(self, pending: Pending, result: Any = "") -> list[Any]:
        proposal = pending.proposal
        able = proposal is None or (proposal.changes and not proposal.faults)
        other = None if pending.run else self._page.runs.changing(pending.request.limit)
        busy = parts.note(f"Apply it later: {in_the_way(other)}.") if other else ""
        return [
            pending,
            gr.update(visible=True),
            parts.joined([_summary(pending), busy]),
            gr.update(interactive=able),
            gr.update(interactive=able and not pending.saved, visible=proposal is not None),
            self._button(pending, able),
            result,
        ]

    def _button(self, pending: Pending, able: bool = True) -> Any:
        """What «apply» says and does: a run that failed can be started again."""
        run = self._page.runs.run(pending.run) if pending.run else None
        words = f"Yes: {pending.what}" if pending.loses else "Run"
        if pending.proposal and not pending.saved and not pending.loses:
            words = "Save and apply"
        if run and not run.request.check:
            able = run.state not in (RUNS, DONE)
            words = {RUNS: "Being applied", DONE: "Applied"}.get(run.state, "Run again")
        return gr.update(value=words, interactive=able, variant="stop" if pending.loses else "primary")

    def _check(self, pending: Pending | None, become: str, vault: str, request: gr.Request) -> list[Any]:
        person = changing(request)
        pending = _there(pending)
        texts = pending.proposal.texts if pending.proposal and not pending.saved else None
        run = replace(pending.request, who=person.name, check=True, looks=True, title=f"Check: {pending.what}")
        return self._started(pending, run, given_passwords(become, vault), texts)

    def _save(self, pending: Pending | None, request: gr.Request) -> list[Any]:
        person = changing(request)
        pending = _there(pending)
        words = self._write(pending, person.name)
        pending = replace(pending, saved=True)
        return [*self._shown(pending, parts.note(f"{words}. No host was changed yet.")), gr.update(active=False)]

    def _apply(self, pending: Pending | None, become: str, vault: str, request: gr.Request) -> list[Any]:
        person = changing(request)
        pending = _there(pending)
        run = replace(pending.request, who=person.name, title=pending.what)
        self._page.check_free(run)
        if pending.proposal and not pending.saved:
            self._write(pending, person.name)
            pending = replace(pending, saved=True)
        return self._started(pending, run, given_passwords(become, vault), None)

    def _write(self, pending: Pending, who: str) -> str:
        assert pending.proposal
        try:
            words = self._page.inventory.write(pending.proposal, who)
        except FleetError as error:
            raise problem(error) from None
        log.info("%s: %s; %s", who, pending.what, words)
        return words

    def _started(
        self, pending: Pending, run: Request, passwords: Mapping[str, str], texts: Mapping[Any, Any] | None
    ) -> list[Any]:
        pending = replace(pending, run=self._page.start(run, passwords, texts))
        return [*self._shown(pending, run_result(self._page, pending.run)), gr.update(active=True)]

    def _tick(self, pending: Pending | None) -> list[Any]:
        if not pending or not pending.run:
            return [gr.skip(), gr.update(active=False), gr.skip()]
        run = self._page.runs.run(pending.run)
        ended = not run or run.state != RUNS
        button = self._button(pending) if ended else gr.skip()
        return [run_result(self._page, pending.run), gr.update(active=not ended), button]


def entry_faults(proposal: Proposal | None, host: str, variable: str, name: str | None) -> list[FieldFault]:
    """The faults of an entry of a list, with paths within the entry."""
    found = proposal.after.hosts[host].given.get(variable) if proposal and host in proposal.after.hosts else None
    names = [name_of(one) for one in found] if isinstance(found, list) else []
    if proposal is None or name not in names:
        return []
    start = (variable, names.index(name))
    faults = field_faults(proposal.faults)
    return [FieldFault(one.path[2:], one.words) for one in faults if one.path[:2] == start]


def _there(pending: Pending | None) -> Pending:
    if pending is None:
        raise refused("nothing to do: open the form again")
    return pending


def _summary(pending: Pending) -> Markup:
    proposal = pending.proposal
    blocks = [parts.heading(pending.what)]
    if pending.loses and not (proposal and proposal.faults):
        blocks.append(parts.faults(pending.loses, "What clients lose"))
    if proposal:
        blocks.append(parts.faults(proposal.faults, "The inventory would have faults; nothing can be saved"))
        if not proposal.changes:
            blocks.append(parts.note("Nothing differs from what the inventory has."))
        else:
            blocks.append(parts.difference(proposal.difference()))
        if len(proposal.hosts) > 1:
            blocks.append(parts.note(f"This changes {len(proposal.hosts)} hosts: {', '.join(proposal.hosts)}"))
    command = Markup("<p class='note'>{} <code>{}</code></p>").format(
        "Applied by" if proposal else "Runs", parts.text(pending.request.command(), 300)
    )
    return parts.joined([*blocks, command])


def run_result(page: Page, id: str) -> Markup:
    """How far a run is, with the end of its log."""
    run = page.runs.run(id)
    if not run:
        return parts.note("The run is no longer in the history.")
    words = page.shown(page.runs.log(run))
    return parts.joined([run_views.live(run, page.runs.progress(run)), parts.log(words, "Log of the run")])

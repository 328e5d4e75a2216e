# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Runs: every playbook with its options as a form, and the history."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from fleet_page.edits import without_secrets
from fleet_page.guard import person_of
from fleet_page.page import AT_ONCE, QUIET, Page, changing, log, refused
from fleet_page.playbooks import CHOICE, NUMBER, SWITCH, Option, playbooks
from fleet_page.runs import RUNS, Request, Run
from fleet_page.tabs.change import ChangePanel, Passwords, given_passwords, run_result
from fleet_page.tabs.overview import Renewing
from fleet_page.tabs.pick import PICK, picked
from fleet_page.views import parts
from fleet_page.views.runs import history

SHOWN = 100
EVERY_SECONDS = 1.5


def build(page: Page) -> Renewing:
    chosen, state = gr.State(""), gr.State(None)
    with gr.Row(elem_classes="split"):
        with gr.Column(scale=3):
            with gr.Accordion("Start a playbook", open=False, elem_id="run-start"):
                _starter(page, chosen)
            listed = gr.HTML(elem_id="runs", js_on_load=PICK)
        with gr.Column(scale=4):
            shown = gr.HTML(
                parts.note("Choose a run to see its hosts, what changed, and its log."), elem_id="run-shown"
            )
            with gr.Row(visible=False) as row:
                stop = gr.Button("Stop the run", variant="stop", size="sm", scale=0, min_width=150, elem_id="run-stop")
                again = gr.Button("Run again", size="sm", scale=0, min_width=150, elem_id="run-again")
                log_file = gr.DownloadButton("Download the log", size="sm", scale=0, min_width=150, elem_id="run-log")
            panel = ChangePanel(page, "again")
    of_run = [shown, row, stop, again, log_file]

    def select(event: gr.EventData) -> list[Any]:
        return [*_shown(page, picked(event)), *panel.hidden()]

    listed.select(select, None, [chosen, *of_run, *panel.outputs], **QUIET)

    def repeat(pick: str, request: gr.Request) -> list[Any]:
        run = page.runs.run(pick)
        if not run:
            raise refused("the run is no longer in the history")
        asked, known = run.request, playbooks().get(run.request.playbook)
        loses = [known.loses] if known and known.loses and not asked.check else []
        same = Request(asked.playbook, "", asked.options, asked.limit, asked.check, looks=asked.looks)
        return panel.propose(request, asked.title or asked.playbook, [], same, loses)[1]

    again.click(repeat, [chosen], panel.outputs, **QUIET)

    def renew(pick: str, known: str) -> list[Any]:
        found = page.runs.all()[:SHOWN]
        active = [run for run in found if run.state == RUNS]
        now = " ".join([pick, *(f"{run.id}={run.state}" for run in found)])
        if now == known and not active:
            return [gr.skip()] * (2 + len(of_run))
        return [history(found), now, *_shown(page, pick)[1:]]

    timer = gr.Timer(EVERY_SECONDS, active=False)
    timer.tick(renew, [chosen, state], [listed, state, *of_run], **AT_ONCE)

    def end(pick: str, request: gr.Request) -> None:
        person = changing(request)
        run = page.runs.run(pick)
        again = bool(run and run.stopped_by)
        page.runs.stop(pick, person.name)
        log.info("%s stopped the run %s", person.name, pick)
        gr.Info(
            "killed"
            if again
            else "The run ends as with Ctrl-C. A second click kills it; then its lock stays until the next run."
        )

    stop.click(end, [chosen], None, **QUIET)
    return Renewing(timer, renew, [chosen, state], [listed, state, *of_run])


def _shown(page: Page, pick: str) -> list[Any]:
    run = page.runs.run(pick) if pick else None
    if not run:
        hint = parts.note("Choose a run to see its hosts, what changed, and its log.")
        return ["", hint, gr.update(visible=False), gr.update(), gr.update(), gr.update()]
    there = _log_file(page, run) if run.state != RUNS else None
    return [
        pick,
        run_result(page, pick),
        gr.update(visible=True),
        gr.update(visible=run.state == RUNS),
        gr.update(visible=run.state != RUNS and not run.request.inventory),  # a copy of the inventory is gone
        gr.update(value=str(there) if there else None, visible=bool(there)),
    ]


def _log_file(page: Page, run: Run) -> Path | None:
    """All of the log without the secrets of the inventory, made once."""
    file, secrets = run.folder / f"{run.id}.log", page.snapshot().secrets
    try:
        if not file.exists():
            with run.log.open(errors="replace") as found, file.open("w") as shown:
                shown.writelines(without_secrets(line, secrets) for line in found)
    except OSError:
        return None
    return file


def _starter(page: Page, chosen: Any) -> None:
    known = playbooks()
    names = [(f"{name}: {one.does}", name) for name, one in known.items()]
    playbook = gr.Dropdown(names, value="status", label="Playbook", elem_id="run-playbook")
    passwords = Passwords()

    @gr.render(inputs=[playbook])  # type: ignore[untyped-decorator]
    def form(name: str) -> None:
        one = known.get(name)
        if not one:
            return
        snapshot = page.snapshot()
        hosts = [*snapshot.hosts]
        limit = gr.Dropdown(
            hosts,
            value=[],
            multiselect=True,
            label="Hosts",
            info="None chosen: all hosts of the group fleet",
            elem_id="run-limit",
        )
        with gr.Row(equal_height=False):
            fields = []
            for option in one.options:
                with gr.Column(min_width=260):
                    fields.append(_field(option, page))
        agreed = gr.Checkbox(label=f"Yes. {one.loses}", value=False, visible=bool(one.loses), elem_id="run-agreed")
        with gr.Row():
            start = gr.Button(
                "Run", variant="stop" if one.loses else "primary", size="sm", scale=0, min_width=150, elem_id="run-go"
            )
            check = gr.Button("Check only", size="sm", scale=0, min_width=150, visible=one.checks, elem_id="run-check")

        def begin(
            checks: bool, request: gr.Request, become: str, vault: str, of: list[str], yes: bool, *values: Any
        ) -> str:
            person = person_of(request) if one.looks or checks else changing(request)
            if not person.may_change and one.name != "status":
                changing(request)
            if one.loses and not checks and not yes:
                raise refused(f"say yes first: {one.loses}")
            options = {
                option.name: words
                for option, value in zip(one.options, values, strict=True)
                if (words := _words(option, value))
            }
            missing = [option.name for option in one.options if option.required and option.name not in options]
            if missing:
                raise refused(f"{', '.join(missing)}: needed")
            if not checks:
                options |= one.agreed
            run = Request(
                one.name, person.name, options, ",".join(of or ()), checks, one.name, looks=one.looks or checks
            )
            return page.start(run, given_passwords(become, vault))

        inputs = [*passwords.inputs, limit, agreed, *fields]

        def run(request: gr.Request, *given: Any) -> str:
            return begin(False, request, *given)

        def try_it(request: gr.Request, *given: Any) -> str:
            return begin(True, request, *given)

        start.click(run, inputs, [chosen], **QUIET)
        check.click(try_it, inputs, [chosen], **QUIET)


def _field(option: Option, page: Page) -> Any:
    label = option.name + (" *" if option.required else "")
    common: dict[str, Any] = {"label": label, "info": option.help, "elem_id": f"option-{option.name}", "min_width": 220}
    common["interactive"] = True  # else Gradio shows one with a default for reading alone
    if option.kind == SWITCH:
        return gr.Checkbox(value=False, **common)
    if option.kind == CHOICE:
        choices: list[str] = []
        for one in option.choices:
            choices += {"hosts": [*page.snapshot().hosts], "models": _models(page)}.get(one, [one])
        return gr.Dropdown(["", *choices], value=option.default, allow_custom_value=True, **common)
    return gr.Textbox(value=option.default, **common)


def _models(page: Page) -> list[str]:
    names = [str(one.get("name", "")) for host in page.snapshot().hosts.values() for one in host.models]
    return [*dict.fromkeys(filter(None, names))]


def _words(option: Option, value: Any) -> str:
    if option.kind == SWITCH:
        return "true" if value else ""
    words = str(value or "").strip()
    if option.kind == NUMBER and words and not (words.isascii() and words.isdigit()):
        raise refused(f"{option.name}: expected a whole number, got {words!r}")
    return "" if words == option.default and option.kind == NUMBER else words

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Models: what runs, what each model is, its logs, and a way to try it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gradio as gr
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import field_faults

from fleet_page.edits import digest_of, entry_edit, name_of
from fleet_page.page import AT_ONCE, QUIET, Page, changing, refused, variables
from fleet_page.runs import Request
from fleet_page.tabs.change import ChangePanel, entry_faults
from fleet_page.tabs.form import Form
from fleet_page.tabs.logs import LogView
from fleet_page.tabs.overview import EVERY_SECONDS, Renewing
from fleet_page.tabs.pick import PICK, picked
from fleet_page.tabs.trial import Trial
from fleet_page.views import models as views
from fleet_page.views import parts
from fleet_page.views.overview import model_rows, models_table, unusable

VARIABLE = "fleet_models"
FIRST = ("name", "type", "source", "devices", "replicas", "state", "args")


def build(page: Page) -> Renewing:
    chosen, version = gr.State(""), gr.State("")
    before = gr.State(None)  # the name of the entry in the form, and its digest; None for a new one
    with gr.Row():
        add = gr.Button("Add a model", variant="primary", size="sm", scale=0, min_width=150, elem_id="model-add")
    with gr.Row(elem_classes="split"):
        with gr.Column(scale=3):
            listed = gr.HTML(elem_id="models", js_on_load=PICK)
        with gr.Column(scale=4, visible=False, elem_id="model-detail") as detail:
            about = gr.HTML(elem_id="model-about")
            with gr.Row():
                change = gr.Button("Change", size="sm", scale=0, min_width=150, elem_id="model-edit")
                stop = gr.Button("Stop or start", size="sm", scale=0, min_width=150, elem_id="model-stop")
                rollback = gr.Button("Roll back", size="sm", scale=0, min_width=150, elem_id="model-rollback")
                remove = gr.Button("Remove", size="sm", scale=0, min_width=150, variant="stop", elem_id="model-remove")
    with gr.Group(visible=False, elem_id="model-form", elem_classes="entry") as editor:
        title = gr.HTML()
        host = gr.Dropdown([], label="host", info="Where the model runs", elem_id="model-host")
        form = Form(variables()[VARIABLE].fields, FIRST, "model")
        with gr.Row():
            review = gr.Button(
                "Review the change", variant="primary", size="sm", scale=0, min_width=150, elem_id="model-review"
            )
            close = gr.Button("Close", size="sm", scale=0, min_width=150)
    panel = ChangePanel(page, "model")
    with gr.Group(visible=False) as beside, gr.Tabs():
        with gr.Tab("Try it", id="try") as trial_tab:
            trial = Trial(page, chosen)
        with gr.Tab("Logs", id="logs") as log_tab:
            logs = LogView(page, "model-log")
    log_tab.select(logs.in_view, [logs.what], logs.started, **AT_ONCE)
    trial_tab.select(logs.out_of_view, None, logs.started, **AT_ONCE)

    with gr.Accordion("Logs of the services", open=False):
        _service_logs(page)

    timer = gr.Timer(EVERY_SECONDS, active=False)

    def renew(known: str, pick: str) -> list[Any]:
        page.live.look()
        last = page.last_run(pick)
        state = f"{page.state()} {pick} {last and (last.id, last.state)}"
        if state == known:
            return [gr.skip(), gr.skip(), gr.skip()]
        return [_list(page), _about(page, pick), state]

    timer.tick(renew, [version, chosen], [listed, about, version], **AT_ONCE)

    def select(event: gr.EventData, reads_log: bool) -> list[Any]:
        pick = picked(event)
        row = _row(page, pick)
        if not row:
            raise refused("the model is not in the inventory any more")
        stopped = row.state == "stopped"
        return [
            pick,
            gr.update(visible=True),
            _about(page, pick),
            gr.update(value="Start" if stopped else "Stop"),
            gr.update(visible=True),
            gr.update(visible=False),
            *panel.hidden(),
            *trial.choose(row),
            *logs.choose(row.host, "model", row.name, reads_log),
        ]

    listed.select(
        select, [logs.opened],
        [chosen, detail, about, stop, beside, editor, *panel.outputs, *trial.outputs, *logs.outputs],
        **QUIET,
    )  # fmt: skip

    def edit(pick: str) -> list[Any]:
        of, name = pick.split("/", 1)
        entry = page.entry(of, VARIABLE, name)
        return [
            (name, digest_of(entry)),
            gr.update(visible=True),
            parts.heading(f"Change {name} on {of}"),
            gr.update(choices=[of], value=of, interactive=False),
            *form.load(entry),
            *panel.hidden(),
        ]

    opened = [before, editor, title, host, *form.outputs, *panel.outputs]
    change.click(edit, [chosen], opened, **QUIET)

    def new() -> list[Any]:
        hosts = [*page.snapshot().hosts]
        if not hosts:
            raise refused("the inventory has no host in the group fleet")
        return [
            None,
            gr.update(visible=True),
            parts.heading("Add a model"),
            gr.update(choices=hosts, value=hosts[0], interactive=True),
            *form.load({}),
            *panel.hidden(),
        ]

    add.click(new, None, opened, **QUIET)
    close.click(lambda: [gr.update(visible=False), *panel.hidden()], None, [editor, *panel.outputs], **QUIET)

    def check(request: gr.Request, opened_with: Any, of: str, *values: Any) -> list[Any]:
        changing(request)
        try:
            name, old = page.opened(of, VARIABLE, opened_with)
            entry = form.read(values, old)
            snapshot = page.snapshot()
            what = f"change {name} on {of}" if name else f"add {entry.get('name', 'a model')} on {of}"
            edit_ = entry_edit(snapshot, of, VARIABLE, name, entry, what)
        except FleetError as error:
            return [*form.marks(field_faults(error.faults)), *panel.hidden()]
        model = str(entry.get("name", ""))
        sharing = snapshot.sharing(of, VARIABLE)
        run = Request("add_model", "", options={"model": model}, limit=",".join(sharing))
        loses = _lost(name, old, entry)
        proposal, shown = panel.propose(request, what, [edit_], run, loses)
        return [*form.marks(entry_faults(proposal, of, VARIABLE, model)), *shown]

    # What was reviewed is what is saved.
    gr.on([one.input for one in form.inputs], panel.hidden, None, panel.outputs, **AT_ONCE)
    review.click(check, [before, host, *form.inputs], [*form.fault_outputs, *panel.outputs], **QUIET)

    def toggle(pick: str, request: gr.Request) -> list[Any]:
        of, name = pick.split("/", 1)
        entry = page.entry(of, VARIABLE, name)
        stopped = entry.get("state") == "stopped"
        new_entry = {**entry, "state": "running" if stopped else "stopped"}
        if stopped:
            new_entry.pop("state")
        what = f"{'start' if stopped else 'stop'} {name} on {of}"
        loses = () if stopped else (f"{name} answers 503 until it is started again; running requests end.",)
        edits = [entry_edit(page.snapshot(), of, VARIABLE, name, new_entry, what)]
        run = Request("add_model", "", options={"model": name}, limit=",".join(page.snapshot().sharing(of, VARIABLE)))
        return panel.propose(request, what, edits, run, loses)[1]

    stop.click(toggle, [chosen], panel.outputs, **QUIET)

    def take_away(pick: str, request: gr.Request) -> list[Any]:
        of, name = pick.split("/", 1)
        what = f"remove {name} from {of}"
        snapshot = page.snapshot()
        known = any(name_of(one) == name for one in snapshot.hosts[of].models)
        edits = [entry_edit(snapshot, of, VARIABLE, name, None, what)] if known else []
        loses = (f"Clients of {name} get 404 from then on; running requests end. Its weights stay in the cache.",)
        run = Request("remove_model", "", options={"model": name}, limit=",".join(snapshot.sharing(of, VARIABLE)))
        return panel.propose(request, what, edits, run, loses)[1]

    remove.click(take_away, [chosen], panel.outputs, **QUIET)

    def back(pick: str, request: gr.Request) -> list[Any]:
        of, name = pick.split("/", 1)
        run = Request("rollback", "", options={"model": name}, limit=of)
        words = (
            f"{name} gets the image, arguments and environment that served before. The inventory keeps what it says: "
            "change it too, or the next install brings the new version again.",
        )
        return panel.propose(request, f"roll back {name} on {of}", [], run, words)[1]

    rollback.click(back, [chosen], panel.outputs, **QUIET)
    panel.when_written(lambda: gr.update(visible=False), None, [editor])
    return Renewing(timer, renew, [version, chosen], [listed, about, version])


def _service_logs(page: Page) -> None:
    """The log of any service container that was seen."""
    choice = gr.Dropdown([], label="Service", elem_id="service-choice")
    logs = LogView(page, "service-log")

    def offered() -> Any:
        found = page.seen().items()
        names = [
            (host, one["service"]) for host, of in found for one in of.get("containers") or () if one.get("service")
        ]
        return gr.update(choices=[f"{host}/{service}" for host, service in sorted(names)])

    def chosen(pick: str | None) -> list[Any]:
        host, _slash, service = (pick or "").partition("/")
        if host not in page.snapshot().hosts:
            return [None, "", gr.update(active=False)]
        return logs.choose(host, "service", service, True)

    choice.focus(offered, None, [choice], **QUIET)
    choice.change(chosen, [choice], logs.outputs, **QUIET)


def _list(page: Page) -> Any:
    snapshot = page.usable()
    fault = unusable(snapshot, page.snapshot().faults)
    rows = model_rows(snapshot, page.seen())
    if not rows and not fault:
        return parts.empty(
            "No model yet", "Add a model: a name, a type and a source are enough. Its form says what each field means."
        )
    return parts.joined([fault, models_table(rows, picks=True) if rows else ""])


def _row(page: Page, pick: str) -> Any:
    return next((row for row in model_rows(page.snapshot(), page.seen()) if row.pick == pick), None)


def _about(page: Page, pick: str) -> Any:
    row = _row(page, pick) if pick else None
    if not row:
        return ""
    host = page.snapshot().hosts[row.host]
    return views.about(row, host, page.last_run(pick))


def _lost(name: str | None, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    if name and new.get("name") != name:
        return [f"Clients of {name} get 404 from then on: the model has another name."]
    if name and new.get("state") in ("stopped", "absent") and old.get("state", "running") == "running":
        return [f"{name} stops: its clients get an error until it runs again."]
    return []

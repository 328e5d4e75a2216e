# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Keys: virtual and direct keys with their limits and spend; a value is shown by a click, which is logged."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import field_faults

from fleet_page.door import known_keys
from fleet_page.edits import digest_of, entry_edit, name_of
from fleet_page.page import AT_ONCE, QUIET, Page, changing, log, refused, variables
from fleet_page.runs import Request
from fleet_page.tabs.change import ChangePanel, entry_faults
from fleet_page.tabs.form import Form
from fleet_page.tabs.overview import Renewing
from fleet_page.tabs.pick import PICK, picked
from fleet_page.views import keys as views
from fleet_page.views import parts

FIRST = {
    "fleet_keys": ("alias", "models", "max_budget", "budget_duration", "rpm_limit", "tpm_limit", "expires"),
    "fleet_direct_keys": ("name",),
}
PLAYBOOK = {"fleet_keys": "keys", "fleet_direct_keys": "install"}


def build(page: Page) -> Renewing:
    shown = gr.HTML(elem_id="keys", js_on_load=PICK)
    value = gr.HTML(elem_id="key-value")
    with gr.Row():
        add = gr.Button("Make a virtual key", variant="primary", size="sm", scale=0, min_width=150, elem_id="key-add")
        add_direct = gr.Button("Make a direct key", size="sm", scale=0, min_width=150, elem_id="key-add-direct")
    chosen = gr.State(("", "", ""))  # host, variable, name
    with gr.Row(visible=False) as actions:
        edit = gr.Button("Change", size="sm", scale=0, min_width=150, elem_id="key-edit")
        show = gr.Button("Show the value (logged)", size="sm", scale=0, min_width=150, elem_id="key-show")
        rotate = gr.Button("Rotate", size="sm", scale=0, min_width=150, elem_id="key-rotate")
        remove = gr.Button("Remove", size="sm", scale=0, min_width=150, variant="stop", elem_id="key-remove")
    title = gr.HTML()
    forms: dict[str, tuple[Any, Any, Form, Any]] = {}
    before = gr.State(None)
    for variable, first in FIRST.items():
        with gr.Group(visible=False, elem_classes="form", elem_id=f"{variable}-form") as box:
            host = gr.Dropdown([], label="host", elem_id=f"{variable}-host")
            form = Form(variables()[variable].fields, first, variable)
            review = gr.Button(
                "Review the change", variant="primary", size="sm", scale=0, min_width=150, elem_id=f"{variable}-review"
            )
        forms[variable] = box, host, form, review
    panel = ChangePanel(page, "key")
    boxes = [box for box, _host, _form, _review in forms.values()]

    def renew() -> list[Any]:
        page.live.look()
        return [views.keys(page.snapshot(), page.seen())]

    def select(event: gr.EventData) -> list[Any]:
        host_name, variable, name = (*picked(event).split("/", 2), "", "", "")[:3]
        if variable not in FIRST or host_name not in page.snapshot().hosts:
            raise refused("the key is not in the inventory any more")
        virtual = variable == "fleet_keys"
        return [
            (host_name, variable, name),
            gr.update(visible=True),
            parts.heading(f"{name} on {host_name}"),
            gr.update(visible=virtual),
            gr.update(visible=not virtual),
            "",
            *(gr.update(visible=False) for _box in boxes),
            *panel.hidden(),
        ]

    shown.select(select, None, [chosen, actions, title, show, rotate, value, *boxes, *panel.outputs], **QUIET)

    def opened(variable: str, name: str | None, of: str | None) -> list[Any]:
        hosts = [*page.snapshot().hosts]
        if not hosts:
            raise refused("the inventory has no host in the group fleet")
        entry = page.entry(of, variable, name) if of and name else {}
        title = parts.heading(f"Change {name}" if name else "A new key")
        updates: list[Any] = [(name, digest_of(entry)) if name else None, title, ""]
        for one, (_box, _host, form, _review) in forms.items():
            updates += [
                gr.update(visible=one == variable),
                gr.update(choices=[of] if name else hosts, value=of or hosts[0]),
            ]
            updates += form.load(entry if one == variable else {})
        return [*updates, *panel.hidden()]

    outputs = [before, title, value]
    for box, host, form, _review in forms.values():
        outputs += [box, host, *form.outputs]
    outputs += panel.outputs
    add.click(lambda: opened("fleet_keys", None, None), None, outputs, **QUIET)
    add_direct.click(lambda: opened("fleet_direct_keys", None, None), None, outputs, **QUIET)
    edit.click(lambda what: opened(what[1], what[2], what[0]), [chosen], outputs, **QUIET)

    def check(variable: str, request: gr.Request, opened_with: Any, of: str, values: Sequence[Any]) -> list[Any]:
        form = forms[variable][2]
        changing(request)
        try:
            name, old = page.opened(of, variable, opened_with)
            entry = form.read(values, old)
            what = f"change the key {name}" if name else f"make the key {name_of(entry) or ''}"
            edits = [entry_edit(page.snapshot(), of, variable, name, entry, what)]
        except FleetError as error:
            return [*form.marks(field_faults(error.faults)), *panel.hidden()]
        run = Request(PLAYBOOK[variable], "", limit=",".join(page.snapshot().sharing(of, variable)))
        proposal, updates = panel.propose(request, what, edits, run)
        return [*form.marks(entry_faults(proposal, of, variable, name_of(entry))), *updates]

    # Gradio finds the request by the annotation, before the values of the form.
    def check_virtual(request: gr.Request, opened_with: Any, of: str, *values: Any) -> list[Any]:
        return check("fleet_keys", request, opened_with, of, values)

    def check_direct(request: gr.Request, opened_with: Any, of: str, *values: Any) -> list[Any]:
        return check("fleet_direct_keys", request, opened_with, of, values)

    for (_box, host, form, review), called in zip(forms.values(), (check_virtual, check_direct), strict=True):
        gr.on([one.input for one in form.inputs], panel.hidden, None, panel.outputs, **AT_ONCE)
        review.click(called, [before, host, *form.inputs], [*form.fault_outputs, *panel.outputs], **QUIET)

    def take_away(what: Any, request: gr.Request) -> list[Any]:
        of, variable, name = what
        snapshot = page.snapshot()
        words = f"remove the key {name}"
        loses = [f"Whoever uses the key {name} gets 401 at once. Its value cannot be made again."]
        if variable == "fleet_keys":  # absent, so that the playbook removes it from LiteLLM
            entry = {**page.entry(of, variable, name), "state": "absent"}
            edits = [entry_edit(snapshot, of, variable, name, entry, words)]
        else:
            edits = [entry_edit(snapshot, of, variable, name, None, words)]
        run = Request(PLAYBOOK[variable], "", limit=",".join(snapshot.sharing(of, variable)))
        return panel.propose(request, words, edits, run, loses)[1]

    remove.click(take_away, [chosen], panel.outputs, **QUIET)

    def turn(what: Any, request: gr.Request) -> list[Any]:
        of, _variable, name = what
        loses = [f"The previous value of {name} stays valid for an hour; afterwards clients with it get 401."]
        run = Request("rotate_keys", "", options={"secret": f"direct-{name}"}, limit=of)
        return panel.propose(request, f"rotate the direct key {name} on {of}", [], run, loses)[1]

    rotate.click(turn, [chosen], panel.outputs, **QUIET)

    def reveal(what: Any, request: gr.Request) -> Any:
        person = changing(request)
        of, _variable, name = what
        host = page.snapshot().hosts[of]
        found = known_keys(host.given, page.inventory.folder).get(name)
        if not found:
            raise refused(
                "the file of keys beside the inventory has no value for it, is encrypted, or belongs to somebody else; "
                "a new key has its value after «Save and apply»"
            )
        log.warning("%s was shown the value of the key %s of %s", person.name, name, of)
        return views.value(name, found)

    panel.when_written(lambda: [gr.update(visible=False) for _box in boxes], None, boxes)
    show.click(reveal, [chosen], [value], **QUIET)
    timer = gr.Timer(5.0, active=False)
    timer.tick(renew, None, [shown], **AT_ONCE)
    return Renewing(timer, renew, [], [shown])

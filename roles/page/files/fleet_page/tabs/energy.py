# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Energy and monitoring: what each model took, from the data of the playbook energy_report."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import gradio as gr
import pandas

from fleet_page.guard import person_of
from fleet_page.page import AT_ONCE, QUIET, Page
from fleet_page.runs import DONE, RUNS, Request
from fleet_page.tabs.change import run_result
from fleet_page.views import parts
from fleet_page.views.energy import grafana, sums

SESSIONS = "-sessions.csv"
PERIODS = ("the last 30 days", "this month", "last month")
MOST_LYING = 8  # labels below a chart
OTHER = "other days"
NO_GPU = "No host has an NVIDIA GPU, and energy is measured for those alone."


def build(page: Page) -> tuple[Any, list[Any]]:
    links = gr.HTML(elem_id="grafana")
    with gr.Row(equal_height=False):
        period = gr.Dropdown(["day", "week", "month"], value="day", label="A bar per", elem_id="energy-period")
        when = gr.Dropdown([*PERIODS, OTHER], value=PERIODS[0], label="Of", elem_id="energy-when")
        first = gr.Textbox(label="First day", info="such as 2026-11-01", visible=False, elem_id="energy-first")
        last = gr.Textbox(label="Last day", info="empty: today", visible=False, elem_id="energy-last")
        price = gr.Textbox(label="Price of a kWh", placeholder="0.31", elem_id="energy-price")
        currency = gr.Textbox(label="Currency", placeholder="EUR", elem_id="energy-currency")
    read = gr.Button(
        "Read the energy of the hosts", variant="primary", size="sm", scale=0, min_width=150, elem_id="energy-read"
    )
    run = gr.State("")
    result = gr.HTML(
        parts.empty(
            "Nothing read yet",
            "The hosts measure the energy of their GPUs by model. Read it to see what the last month took.",
        ),
        elem_id="energy-result",
    )
    with gr.Row():
        chart = gr.BarPlot(
            visible=False, x="from", y="kwh", color="model", title="Energy by model (kWh)", elem_id="energy-chart"
        )
        hosts = gr.BarPlot(visible=False, x="from", y="kwh", color="host", title="Energy by host (kWh)")
    files = gr.File(visible=False, file_count="multiple", label="CSV files", elem_id="energy-files")

    when.change(lambda of: [gr.update(visible=of == OTHER)] * 2, [when], [first, last], **AT_ONCE)

    def begin(of: str, first_day: str, last_day: str, request: gr.Request, *given: str) -> list[Any]:
        own = first_day, last_day
        seen = page.seen().values()
        if seen and all(map(_has_no_gpu, seen)):
            return ["", parts.empty("No energy", NO_GPU), gr.update(active=False)]
        if of != OTHER:
            own = days(of, datetime.now(UTC).date())
        names = ("period", "price", "currency", "first", "last")
        found = zip(names, (*given, *own), strict=True)
        options = {name: text.strip() for name, text in found if text and text.strip()}
        run = Request("energy_report", person_of(request).name, options, title="Read the energy", looks=True)
        return [page.start(run), parts.note("The hosts are asked …"), gr.update(active=True)]

    timer = gr.Timer(1.0, active=False)
    read.click(begin, [when, first, last, period, price, currency], [run, result, timer], **QUIET)

    def renew(id: str) -> list[Any]:
        found = page.runs.run(id) if id else None
        if not found:
            return [gr.skip()] * 4 + [gr.update(active=False)]
        if found.state == RUNS:
            return [parts.note("The hosts are asked …"), *[gr.skip()] * 3, gr.skip()]
        off = gr.update(active=False)
        made = sorted((found.folder / "files").glob("*.csv"))
        if found.state != DONE or not made:
            return [run_result(page, id), *[gr.update(visible=False)] * 3, off]
        periods = pandas.read_csv(next(file for file in made if not file.name.endswith(SESSIONS)))
        sessions = next((pandas.read_csv(file) for file in made if file.name.endswith(SESSIONS)), None)
        measured = periods.dropna(subset=["kwh"])
        if measured.empty:
            words = "No energy was measured in this period: fleet_energy is off, or the hosts have no GPU."
            return [parts.empty("No energy", words), *[gr.update(visible=False)] * 2, _files(made), off]
        return [sums(measured, sessions), _plot(measured, "model"), _plot(measured, "host"), _files(made), off]

    timer.tick(renew, [run], [result, chart, hosts, files, timer], **AT_ONCE)
    return lambda: [grafana(page.snapshot())], [links]


def days(period: str, today: date) -> tuple[str, str]:
    """The first and the last day; empty where the playbook has them as its default."""
    start = today.replace(day=1)
    if period == "this month":
        return str(start), ""
    if period == "last month":
        end = start - timedelta(days=1)
        return str(end.replace(day=1)), str(end)
    return "", ""


def _has_no_gpu(seen: Mapping[str, Any]) -> bool:
    """A host whose GPUs were not read yet, or cannot be read, has a note."""
    return not (seen.get("fault") or seen.get("gpus") or seen.get("gpu_note", "?"))


def _plot(measured: Any, by: str) -> Any:
    found = measured.groupby(["from", by], as_index=False)["kwh"].sum()
    # Many labels have room if they stand.
    return gr.update(value=found, visible=True, x_label_angle=-90 if found["from"].nunique() > MOST_LYING else 0)


def _files(made: list[Path]) -> Any:
    return gr.update(value=[str(file) for file in made], visible=True)

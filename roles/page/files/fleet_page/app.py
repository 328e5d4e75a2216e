# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The page as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

from fleet_page.guard import person_of
from fleet_page.page import AT_ONCE, Page
from fleet_page.tabs import energy, gpus, images, keys, models, overview, runs, settings
from fleet_page.tabs.overview import Renewing
from fleet_page.views.parts import Markup

FILES = Path(__file__).with_name("files")
TABS = (
    "Overview",
    "Models",
    "GPUs and MIG",
    "Keys",
    "Images and recipes",
    "HTTPS and settings",
    "Energy and monitoring",
    "Runs",
)
CACHE_SECONDS = 3600  # that uploads, and files to download, are kept
FONT = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif"]
MONO = ["ui-monospace", "SFMono-Regular", "Menlo", "DejaVu Sans Mono", "monospace"]


def theme() -> gr.themes.Base:
    """Fonts of the reader's system: nothing is loaded from elsewhere."""
    base = gr.themes.Base(
        primary_hue="blue", neutral_hue="slate", font=FONT, font_mono=MONO, radius_size="sm", spacing_size="sm"
    )
    return base.set(block_border_width="0px", block_shadow="none", block_padding="0.25rem 0", input_border_width="1px")


def build(page: Page) -> gr.Blocks:
    blocks: gr.Blocks
    with gr.Blocks(
        title="inference fleet", analytics_enabled=False, fill_width=True, delete_cache=(CACHE_SECONDS, CACHE_SECONDS)
    ) as blocks:
        with gr.Row(elem_id="top"):
            gr.HTML("<h1>inference fleet</h1>")
            who = gr.HTML(elem_id="who")
        shown: list[tuple[Any, Renewing]] = []
        with gr.Tabs(elem_id="tabs"):
            with gr.Tab(TABS[0], id="overview") as tab:
                first = overview.build(page)
                shown.append((tab, first))
            with gr.Tab(TABS[1], id="models") as tab:
                shown.append((tab, models.build(page)))
            with gr.Tab(TABS[2], id="gpus") as tab:
                found, editor = gpus.build(page)
                shown.append((tab, found))
                editor.open_with(tab)
            with gr.Tab(TABS[3], id="keys") as tab:
                shown.append((tab, keys.build(page)))
            with gr.Tab(TABS[4], id="images") as tab:
                found, editor = images.build(page)
                shown.append((tab, found))
                editor.open_with(tab)
            with gr.Tab(TABS[5], id="settings") as tab:
                editor, renew, outputs = settings.build(page)
                editor.open_with(tab)
                tab.select(renew, None, outputs, **AT_ONCE)
            with gr.Tab(TABS[6], id="energy") as energy_tab:
                renew, outputs = energy.build(page)
                energy_tab.select(renew, None, outputs, **AT_ONCE)
            with gr.Tab(TABS[7], id="runs") as runs_tab:
                shown.append((runs_tab, runs.build(page)))
        timers = [one.timer for _tab, one in shown]
        for tab in (*(tab for tab, _one in shown), energy_tab):
            own = next((one.timer for of, one in shown if of is tab), None)
            tab.select(lambda own=own: [gr.update(active=one is own) for one in timers], None, timers, **AT_ONCE)
        for tab, one in shown:
            tab.select(one.renew, one.inputs, one.outputs, **AT_ONCE)

        def arrive(request: gr.Request) -> list[Any]:
            page.live.look()
            person = person_of(request)
            logout = Markup(' <a href="/logout">Log out</a>') if page.settings.logs_in else ""
            rights = "" if person.may_change else " (may only look)"
            words = Markup('<span class="person">{}{}</span>{}').format(person.name, rights, logout)
            return [words, gr.update(active=True)]

        blocks.load(arrive, None, [who, first.timer], **AT_ONCE)
        blocks.load(first.renew, first.inputs, first.outputs, **AT_ONCE)
    return blocks

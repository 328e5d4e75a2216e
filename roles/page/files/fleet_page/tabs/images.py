# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Images and recipes: versions in use and pinned, weights, and the playbooks that renew or remove them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fleet_page.page import QUIET, Page, variables
from fleet_page.playbooks import playbooks
from fleet_page.runs import Request
from fleet_page.tabs.change import ChangePanel
from fleet_page.tabs.overview import Renewing, renewing
from fleet_page.tabs.value import ValueEditor
from fleet_page.views.images import images

ACTIONS = {
    "prefetch": "Download weights ahead of time",
    "build_images": "Build the images of recipes",
    "prune_cache": "Remove weights that no model uses",
    "prune_images": "Remove images that nothing uses",
}


def build(page: Page) -> tuple[Renewing, ValueEditor]:
    shown = renewing(page, "images", lambda: images(page.snapshot(), page.seen()))
    with gr.Row():
        buttons = {
            name: gr.Button(words, size="sm", scale=0, min_width=240, elem_id=f"run-{name}")
            for name, words in ACTIONS.items()
        }
    panel = ChangePanel(page, "images-run")
    for name, button in buttons.items():

        def ask(request: gr.Request, name: str = name) -> Any:
            playbook, words = playbooks()[name], ACTIONS[name]
            run = Request(name, "", options=playbook.agreed)
            loses = [playbook.loses] if playbook.loses else []
            return panel.propose(request, words[0].lower() + words[1:], [], run, loses)[1]

        button.click(ask, None, panel.outputs, **QUIET)
    editor = ValueEditor(page, "images", variables(), ["fleet_images", "fleet_recipes", "fleet_cache"])
    return shown, editor

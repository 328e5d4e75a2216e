# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Images and recipes: versions in use and pinned, weights, and the playbooks that renew or remove them."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fleet_page.page import Page, variables
from fleet_page.runs import Request
from fleet_page.tabs.change import ChangePanel
from fleet_page.tabs.overview import Renewing, renewing
from fleet_page.tabs.value import ValueEditor
from fleet_page.views.images import images

QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
ACTIONS: tuple[tuple[str, str, dict[str, str], tuple[str, ...]], ...] = (
    ("prefetch", "Download weights ahead of time", {}, ()),
    ("build_images", "Build the images of recipes", {}, ()),
    ("prune_cache", "Remove weights that no model uses", {"prune_cache_confirm": "true"},
     ("Removed weights have to be downloaded again. No model that runs loses anything.",)),
    ("prune_images", "Remove images that nothing uses", {"prune_images_confirm": "true"},
     ("Removed images have to be pulled again. No model that runs loses anything.",)),
)  # fmt: skip


def build(page: Page) -> tuple[Renewing, ValueEditor]:
    shown = renewing(page, "images", lambda: images(page.snapshot(), page.seen()))
    with gr.Row():
        buttons = [
            gr.Button(words, size="sm", scale=0, min_width=240, elem_id=f"run-{name}")
            for name, words, _options, _loses in ACTIONS
        ]
    panel = ChangePanel(page, "images-run")
    for button, (name, words, options, loses) in zip(buttons, ACTIONS, strict=True):

        def ask(
            request: gr.Request, name: str = name, words: str = words, options: Any = options, loses: Any = loses
        ) -> Any:
            what = words[0].lower() + words[1:]
            return panel.propose(request, what, [], Request(name, "", options=options), loses)[1]

        button.click(ask, None, panel.outputs, **QUIET)
    editor = ValueEditor(page, "images", variables(), ["fleet_images", "fleet_recipes", "fleet_cache"])
    return shown, editor

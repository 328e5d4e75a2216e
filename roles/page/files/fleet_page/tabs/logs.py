# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The live log of a model or a service."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fleet_page.page import AT_ONCE, QUIET, Page, refused
from fleet_page.views import parts

TICK_SECONDS = 1.5


class LogView:
    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self.what = gr.State(None)  # host, kind, name
        with gr.Row():
            self.start = gr.Button("Follow the log", size="sm", scale=0, min_width=160, elem_id=f"{name}-start")
            self.filter = gr.Textbox(
                placeholder="only lines with …", show_label=False, container=False, elem_id=f"{name}-filter"
            )
        self.shown = gr.HTML(elem_id=name)
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        self.start.click(self._start, [self.what], [self.shown, self.timer], **QUIET)
        self.timer.tick(self._tick, [self.what, self.filter], [self.shown, self.timer], **AT_ONCE)

    @property
    def outputs(self) -> list[Any]:
        return [self.what, self.shown, self.timer]

    def choose(self, host: str, kind: str, name: str) -> list[Any]:
        return [(host, kind, name), "", gr.update(active=False)]

    def _start(self, what: Any) -> list[Any]:
        if not what:
            raise refused("choose a model or a service first")
        return [parts.note("The log is being read …"), gr.update(active=True)]

    def _tick(self, what: Any, words: str) -> list[Any]:
        if not what:
            return [gr.skip(), gr.update(active=False)]
        lines, lives = self._page.follows.lines(*what)
        found = [line for line in lines if not words or words.lower() in line.lower()]
        if not found:
            if not lives:
                return [parts.note("The log has ended without a line."), gr.update(active=False)]
            return [parts.note("No line yet." if not words else f"No line with {words!r} yet."), gr.update()]
        return [parts.log(self._page.shown("\n".join(found)), f"Log of {what[2]}"), gr.update(active=lives)]

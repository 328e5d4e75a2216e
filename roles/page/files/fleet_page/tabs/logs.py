# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The live log of a model or a service."""

from __future__ import annotations

import re
from typing import Any

import gradio as gr

from fleet_page.page import AT_ONCE, QUIET, Page, refused
from fleet_page.views import parts

TICK_SECONDS = 1.5
SHOWN = 1_000  # lines
# What the container's own checks and Prometheus leave in the log of an engine every few seconds.
CHECKS = re.compile(r'"GET /(?:health|metrics|v1/models)\S* HTTP/1\.[01]" 200')


READS = parts.note("The log is being read …")


class LogView:
    def __init__(self, page: Page, name: str) -> None:
        self._page = page
        self.what = gr.State(None)  # host, kind, name
        self.opened = gr.State(False)  # whether the log is in view
        with gr.Row():
            self.start = gr.Button("Follow the log", size="sm", scale=0, min_width=160, elem_id=f"{name}-start")
            self.filter = gr.Textbox(
                placeholder="only lines with …", show_label=False, container=False, elem_id=f"{name}-filter"
            )
            self.checks = gr.Checkbox(False, label="with health checks", container=False, scale=0, min_width=180)
        self.shown = gr.HTML(elem_id=name)
        self.timer = gr.Timer(TICK_SECONDS, active=False)
        self.start.click(self._start, [self.what], [self.shown, self.timer], **QUIET)
        asked = [self.what, self.filter, self.checks]
        self.timer.tick(self._tick, asked, [self.shown, self.timer], **AT_ONCE)

    @property
    def outputs(self) -> list[Any]:
        return [self.what, self.shown, self.timer]

    @property
    def started(self) -> list[Any]:
        """Of `in_view` and `out_of_view`."""
        return [self.opened, self.shown, self.timer]

    def choose(self, host: str, kind: str, name: str, opened: bool) -> list[Any]:
        return [(host, kind, name), READS if opened else "", gr.update(active=opened)]

    def in_view(self, what: Any) -> list[Any]:
        """The log comes into view."""
        return [True, READS if what else gr.skip(), gr.update(active=bool(what))]

    def out_of_view(self) -> list[Any]:
        return [False, gr.skip(), gr.update(active=False)]

    def _start(self, what: Any) -> list[Any]:
        if not what:
            raise refused("choose a model or a service first")
        return [READS, gr.update(active=True)]

    def _tick(self, what: Any, words: str, checks: bool) -> list[Any]:
        if not what:
            return [gr.skip(), gr.update(active=False)]
        lines, lives = self._page.follows.lines(*what)
        found = [
            line
            for line in lines
            if (checks or not CHECKS.search(line)) and (not words or words.lower() in line.lower())
        ]
        if not found:
            if not lives:
                return [parts.note("The log has ended without a line."), gr.update(active=False)]
            return [parts.note("No line yet." if not words else f"No line with {words!r} yet."), gr.update()]
        return [parts.log(self._page.shown("\n".join(found[-SHOWN:])), f"Log of {what[2]}"), gr.update(active=lives)]

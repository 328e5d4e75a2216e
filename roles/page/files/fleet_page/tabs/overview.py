# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Overview, which renews itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr
from fleet_page.page import Page
from fleet_page.views.overview import overview

EVERY_SECONDS = 2.0


def build(page: Page) -> Renewing:
    return renewing(page, "overview", lambda: overview(page.snapshot(), page.seen(), page.live.note))


@dataclass(frozen=True)
class Renewing:
    """What a tab shows, how it is renewed, and the timer that does so while the tab is open."""

    timer: gr.Timer
    renew: Callable[..., Any]
    inputs: list[Any]
    outputs: list[Any]


def renewing(page: Page, name: str, draw: Any) -> Renewing:
    """HTML that is drawn again when the inventory or a host changed."""
    version = gr.State("")
    shown = gr.HTML(elem_id=name)
    timer = gr.Timer(EVERY_SECONDS, active=False)

    def renew(known: str) -> Any:
        page.live.look()
        state = f"{page.snapshot().digest} {page.live.version} {page.live.note}"
        if state == known:
            return [gr.skip(), gr.skip()]
        return [page.view(name, state, draw), state]

    timer.tick(renew, [version], [shown, version], queue=False, show_progress="hidden", api_visibility="private")
    return Renewing(timer, renew, [version], [shown, version])

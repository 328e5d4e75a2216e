# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab Overview, which renews itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gradio as gr

from fleet_page.page import AT_ONCE, QUIET, Page, changing

EVERY_SECONDS = 2.0


def build(page: Page) -> Renewing:
    _password(page)
    return renewing(page, "overview", page.overview)


def _password(page: Page) -> None:
    """Asked where the hosts cannot be watched without one. The playbook that watches has it, and nothing else."""
    with gr.Row(visible=False, elem_id="watch-password") as row:
        password = gr.Textbox(label="Password", type="password", scale=0, min_width=320)
        give = gr.Button("Watch the hosts", variant="primary", size="sm", scale=0, min_width=150)
    timer = gr.Timer(EVERY_SECONDS)
    needs = gr.State("")

    def ask(known: str) -> Any:
        wanted = page.live.needs or ""
        if wanted == known:
            return [gr.skip()] * 3
        info = (
            "The hosts ask for it when Ansible looks at them."
            if wanted == "become"
            else "The inventory is encrypted with it."
        )
        label = "sudo password" if wanted == "become" else "vault password"
        return [gr.update(visible=bool(wanted)), gr.update(label=label, info=info, value=""), wanted]

    def given(text: str, wanted: str, request: gr.Request) -> str:
        changing(request)
        if wanted and text:
            page.live.give({wanted: text})
        return ""

    timer.tick(ask, [needs], [row, password, needs], **AT_ONCE)
    give.click(given, [password, needs], [password], **QUIET)


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
        state = page.state()
        if state == known:
            return [gr.skip(), gr.skip()]
        return [page.view(name, state, draw), state]

    timer.tick(renew, [version], [shown, version], **AT_ONCE)
    return Renewing(timer, renew, [version], [shown, version])

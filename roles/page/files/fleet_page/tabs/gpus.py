# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab GPUs and MIG: what each GPU does, and another layout of its instances."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fleet_page.page import Page, variables
from fleet_page.tabs.overview import Renewing, renewing
from fleet_page.tabs.value import ValueEditor
from fleet_page.views import parts
from fleet_page.views.gpus import gpus

VARIABLE = "fleet_mig"


def build(page: Page) -> tuple[Renewing, ValueEditor]:
    shown = renewing(page, "gpus", lambda: gpus(page.seen(), [*page.snapshot().hosts]))
    gr.HTML(parts.heading("MIG layout"))
    gr.HTML(
        parts.note(
            "A layout by GPU index, such as 0: [3g.20gb, 3g.20gb], or auto. «Check what the hosts would do» plans it: "
            "which instances would be destroyed and created, and what stands in the way."
        )
    )
    editor = ValueEditor(page, "mig", variables(), [VARIABLE], loses=_lost)
    return shown, editor


def _lost(before: Any, after: Any) -> list[str]:
    return [
        "Models on instances that the new layout destroys have to move; a model that runs there blocks the change, "
        "unless the playbook gets mig_force (tab Runs)."
    ]

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The tab HTTPS and settings: certificates with their dates, and every other variable of the inventory."""

from __future__ import annotations

from typing import Any

import gradio as gr

from fleet_page.door import certificates
from fleet_page.page import Page, variables
from fleet_page.tabs.value import ValueEditor
from fleet_page.views import settings as views

ELSEWHERE = (
    "fleet_models",
    "fleet_keys",
    "fleet_direct_keys",
    "fleet_mig",
    "fleet_images",
    "fleet_recipes",
    "fleet_schema",
)


def build(page: Page) -> tuple[ValueEditor, Any, list[Any]]:
    shown = gr.HTML(elem_id="certificates")
    names = [name for name in variables() if name not in ELSEWHERE]
    names.sort(key=lambda name: name != "fleet_https")
    editor = ValueEditor(page, "settings", variables(), names)
    table = gr.HTML(elem_id="settings")

    def renew() -> list[Any]:
        snapshot = page.snapshot()
        urls = {name: host.fleet.public()["base_url"] for name, host in snapshot.hosts.items() if host.fleet}
        found = certificates(urls.values())
        doors = {name: (url, found[url]) for name, url in urls.items()}
        return [views.certificates(doors), views.settings(snapshot, variables(), names)]

    return editor, renew, [shown, table]

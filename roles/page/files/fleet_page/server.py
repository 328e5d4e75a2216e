# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Gradio's application behind the guard."""

from __future__ import annotations

import importlib
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import gradio as gr
from ansible.plugins.loader import init_plugin_loader
from fastapi import FastAPI

from fleet_page.app import FILES, TABS, build, theme
from fleet_page.first import FirstView
from fleet_page.follow import Follows
from fleet_page.guard import Guard
from fleet_page.inventory import Inventory
from fleet_page.live import Live
from fleet_page.oidc import Oidc
from fleet_page.page import Page
from fleet_page.people import Sessions
from fleet_page.runs import Runs
from fleet_page.settings import Settings

QUEUE_SECONDS = 0.1
PACKAGES = ("ansible_collections", "ansible_collections.inference", "ansible_collections.inference.fleet")


def load_plugins() -> None:
    """Lets Ansible find plugins of collections, also of this one, whose modules Python has imported without Ansible."""
    for name in PACKAGES:
        sys.modules.pop(name, None)
    init_plugin_loader()
    importlib.import_module(PACKAGES[-1])


def server(settings: Settings, most_upload: str) -> Any:
    """The ASGI application."""
    load_plugins()
    inventory = Inventory(settings.inventory)
    live = Live(settings, inventory.digest)
    follows = Follows(settings)
    page = Page(settings, inventory, live, Runs(settings, inventory.copy), follows)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        follows.end()
        live.close()

    def first_view() -> Any:
        live.look()
        return page.view("overview", page.state(), page.overview)

    blocks = build(page)
    # Gradio looks a thousand times a second for events in its queue, which takes 4 % of a core. Only chats use it.
    blocks._queue.sleep_when_free = QUEUE_SECONDS
    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=theme(),
        css_paths=FILES / "page.css",
        js=(FILES / "page.js").read_text(),
        footer_links=[],
        run_history=False,
        show_error=False,  # what nobody expected may have secrets in it; messages for people are shown all the same
        max_file_size=most_upload,
        ssr_mode=False,
        pwa=False,
        enable_monitoring=False,
        mcp_server=False,
    )
    first = FirstView(app, (FILES / "page.css").read_text(), TABS, first_view)
    return Guard(first, settings, Sessions(), Oidc(settings.oidc) if settings.oidc else None)

"""The page as Gradio has it, without a browser: its handlers are called as the server calls them."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
from fleet_page.app import build
from fleet_page.inventory import Inventory
from fleet_page.page import Page
from fleet_page.people import Person
from fleet_page.runs import RUNS, Request, Run
from fleet_page.settings import Settings
from gradio.helpers import special_args

ID = "20261129-093000-beef"


class Live:
    """No host is watched."""

    version, note, needs = 1, "", "become"

    def __init__(self, done: list[Any]) -> None:
        self._done = done

    def look(self) -> None:
        pass

    def hosts(self) -> dict[str, Any]:
        return {}

    def give(self, passwords: Mapping[str, str]) -> None:
        self._done.append(("give", passwords))


class Runs:
    """Notes what would run."""

    def __init__(self, done: list[Any], folder: Path) -> None:
        self._done = done
        self._run = Run(ID, folder, Request("install", "alice", when="2026-11-29T09:30:00+00:00"), RUNS)
        self.other: Run | None = None  # that changes the same hosts

    def start(self, request: Request, passwords: Any = None, texts: Any = None) -> str:
        self._done.append(("start", request))
        return ID

    def stop(self, id: str, who: str) -> None:
        self._done.append(("stop", id))

    def run(self, id: str) -> Run | None:
        return self._run if id == ID else None

    def all(self) -> list[Run]:
        return [self._run]

    def active(self) -> list[Run]:
        return [self._run]

    def changing(self, _limit: str) -> Run | None:
        return self.other

    def last(self, _host: str, _model: str) -> Run | None:
        return None

    def log(self, _run: Run) -> str:
        return ""

    def progress(self, _run: Run) -> Any:
        return SimpleNamespace(hosts={}, play="", task="")


class Built:
    """done: what handlers did."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.done: list[Any] = []
        settings = Settings(source, folder, folder, folder, folder, users={})
        self.inventory = Inventory(source)
        self.page = Page(
            settings, self.inventory, Live(self.done), Runs(self.done, folder), SimpleNamespace(lines=self._lines)
        )  # type: ignore[arg-type]
        self.blocks = build(self.page)

    def _lines(self, *_what: str) -> tuple[list[str], bool]:
        return [], True

    def note_writes(self, monkeypatch: Any) -> None:
        monkeypatch.setattr(
            self.inventory, "write", lambda proposal, who: self.done.append(("write", proposal)) or "written"
        )

    def handlers(self, blocks: gr.Blocks | None = None) -> list[Any]:
        return [one for one in (blocks or self.blocks).fns.values() if one.fn is not None]

    def render(self, value: str) -> gr.Blocks:
        """What the form of a playbook has."""
        (renderable,) = self.blocks.renderables
        with gr.Blocks() as made:
            renderable.fn(value)
        return made


def request(person: Person | None) -> Any:
    return SimpleNamespace(request=SimpleNamespace(scope={"person": person} if person else {}), username=None)


def call(handler: Any, inputs: list[Any], person: Person | None, event: Any = None) -> Any:
    """Calls the handler as Gradio does, with the request and the event where it wants them."""
    given, *_rest = special_args(handler.fn, [*inputs], request(person), event)
    return finished(handler.fn(*given))


def finished(result: Any) -> Any:
    if inspect.isasyncgen(result):

        async def collect() -> list[Any]:
            return [one async for one in result]

        return asyncio.run(collect())
    if inspect.iscoroutine(result):
        return asyncio.run(result)
    return result

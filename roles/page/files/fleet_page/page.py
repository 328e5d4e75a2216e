# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What all tabs share: the inventory, the observation of the hosts, the runs, and who may do what."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import gradio as gr
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import Field, fields_of

from fleet_page.edits import CHANGED_MEANWHILE, Snapshot, digest_of, without_secrets
from fleet_page.follow import Follows
from fleet_page.guard import person_of
from fleet_page.inventory import Inventory, options
from fleet_page.live import Live
from fleet_page.people import Person
from fleet_page.runs import Request, Run, Runs
from fleet_page.settings import Settings
from fleet_page.views import parts
from fleet_page.views.overview import overview
from fleet_page.views.parts import Markup

LONGEST = 2_000  # characters of a message
# Options of events: no endpoint for programs, and no animation. At once: without Gradio's queue, so that a tab waits
# for one answer, and for no stream of events.
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {**QUIET, "queue": False}
log = logging.getLogger("inference-fleet-page")


@dataclass
class Page:
    settings: Settings
    inventory: Inventory
    live: Live
    runs: Runs
    follows: Follows
    _views: dict[str, tuple[Any, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def seen(self) -> dict[str, Any]:
        """Host -> its observation."""
        return {name: dict(one.observation) for name, one in self.live.hosts().items()}

    def snapshot(self) -> Snapshot:
        return self.inventory.snapshot()

    def view(self, name: str, state: Any, draw: Any) -> Any:
        """What `draw` makes, once for all viewers of a state."""
        with self._lock:
            known = self._views.get(name)
            if not known or known[0] != state:
                self._views[name] = known = (state, draw())
            return known[1]

    def overview(self) -> Any:
        """The tab Overview, as it is now."""
        now = self.snapshot()
        return overview(self.usable(), self.seen(), self.live.note, now.faults)

    def usable(self) -> Snapshot:
        """The inventory, as it was before a fault that concerns all of it; as it is if there is no better one."""
        return self.inventory.usable if self.snapshot().faults else self.snapshot()

    def last_run(self, pick: str) -> Run | None:
        """The newest run that was to change the model. pick: its host and name, with a slash between."""
        host, slash, model = pick.partition("/")
        return self.runs.last(host, model) if slash else None

    def start(self, run: Request, passwords: Mapping[str, str] | None = None, texts: Any = None) -> str:
        """Starts a run, unless another one changes the same hosts; its ID. Raises gr.Error."""
        self.check_free(run)
        try:
            id = self.runs.start(run, passwords, texts)
        except FleetError as error:
            raise problem(error) from None
        log.info("%s: %s (run %s)", run.who, run.command(), id)
        return id

    def check_free(self, run: Request) -> None:
        """Raises gr.Error if another run changes the same hosts."""
        other = None if run.looks else self.runs.changing(run.limit)
        if other:
            raise refused(
                f"{in_the_way(other)}; start this when it has ended (tab Runs). Nothing was written or changed."
            )

    def entry(self, host: str, variable: str, name: str) -> dict[str, Any]:
        """As `Snapshot.entry`, for a click."""
        try:
            return self.snapshot().entry(host, variable, name)
        except FleetError as error:
            raise problem(error) from None

    def opened(
        self, host: str, variable: str, opened_with: tuple[str, str] | None
    ) -> tuple[str | None, dict[str, Any]]:
        """The name of the entry in a form, and the entry; None for a new one. opened_with: name and digest of the entry
        when the form was opened. Raises FleetError if somebody else has changed it meanwhile."""
        if not opened_with:
            return None, {}
        name, digest = opened_with
        entry = self.entry(host, variable, name)
        if digest_of(entry) != digest:
            raise FleetError(CHANGED_MEANWHILE)
        return name, entry

    def state(self) -> str:
        """Differs when what the tabs show does."""
        return f"{self.snapshot().digest} {self.live.version} {self.live.note}"

    def shown(self, text: str) -> str:
        """Without the secrets of the inventory."""
        return without_secrets(text, self.snapshot().secrets)


def in_the_way(run: Run) -> str:
    title = run.request.title or run.request.playbook
    return f"the run «{title}» by {run.request.who} changes these hosts since {run.began:%H:%M:%S} UTC"


def changing(request: Any) -> Person:
    """The person of a request, who may change something."""
    person = person_of(request)
    if not person.may_change:
        raise refused(f"{person.name} may only look; the setting page_users gives more rights")
    return person


def problem(error: FleetError) -> gr.Error:
    return refused(*error.faults)


def refused(*words: str) -> gr.Error:
    """A message that says why nothing was done. Gradio renders it as HTML."""
    shown = Markup("<br>").join(
        line for one in words for line in map(parts.cell, parts.text(one, LONGEST).splitlines())
    )
    return gr.Error(str(shown), duration=12, title="Not done", print_exception=False)


@cache
def variables() -> Mapping[str, Field]:
    """Every variable of the inventory, by name."""
    return {one.name: one for one in fields_of(options())}

"""A change from its review to the end of its run, and what the other tabs make of runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest
from ansible_collections.inference.fleet.plugins.plugin_utils.page.places import HostNames
from ansible_collections.inference.fleet.tests.unit.page.built import ID, Built, call
from ansible_collections.inference.fleet.tests.unit.page.fleets import ONE, changed, write
from fleet_page.edits import Host, Snapshot
from fleet_page.people import Person
from fleet_page.runs import DONE, FAILED, RUNS, Request, Run, Runs
from fleet_page.settings import Settings
from fleet_page.tabs.change import Pending, _summary
from fleet_page.tabs.energy import days
from fleet_page.tabs.logs import CHECKS
from fleet_page.views import models
from fleet_page.views.overview import model_rows, overview

ALICE = Person("alice", True)
WHEN = "2026-11-29T09:30:00+00:00"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Built:
    write(tmp_path, {"inventory/hosts.yml": ONE})
    made = Built(tmp_path, tmp_path / "inventory")
    made.note_writes(monkeypatch)
    return made


def run(state: str, playbook: str = "add_model", who: str = "bob", **more: Any) -> Run:
    return Run(ID, Path("/x"), Request(playbook, who, when=WHEN, **more), state)


def handler(built: Built, name: str, number: int = 0) -> Any:
    return [one for one in built.handlers() if one.name == name][number]


def pending(built: Built) -> Pending:
    proposal = built.inventory.proposal("x", [changed(built.inventory, "a", replicas=2)])
    return Pending("x", proposal, Request("install", "", limit="gpu1"))


def test_nothing_is_written_while_another_run_changes_the_hosts(built: Built) -> None:
    built.page.runs.other = run(RUNS, title="add notes")  # type: ignore[attr-defined]
    with pytest.raises(gr.Error, match="the run «add notes» by bob changes these hosts since 09:30:00 UTC"):
        call(handler(built, "_apply"), [pending(built), "", ""], ALICE)
    assert not built.done
    call(handler(built, "_save"), [pending(built)], ALICE)
    assert [what for what, _of in built.done] == ["write"]


def test_a_run_that_failed_can_be_started_again_and_writes_nothing_twice(built: Built) -> None:
    saved, *_shown, result, _timer = call(handler(built, "_apply"), [pending(built), "", ""], ALICE)
    assert "by alice" in result
    assert [what for what, _of in built.done] == ["write", "start"]
    for state, words, able in ((RUNS, "Being applied", False), (FAILED, "Run again", True), (DONE, "Applied", False)):
        built.page.runs._run = replace(built.page.runs._run, state=state)  # type: ignore[attr-defined]
        button = call(handler(built, "_tick"), [saved], ALICE)[2]
        if state == RUNS:
            continue  # what `_apply` has shown stays
        assert (button["value"], button["interactive"]) == (words, able)
    built.done.clear()
    call(handler(built, "_apply"), [saved, "", ""], ALICE)
    assert [what for what, _of in built.done] == ["start"]


def test_what_prevents_a_change_comes_before_what_it_would_lose(built: Built) -> None:
    one = pending(built)
    assert one.proposal
    lost = replace(one, loses=("Clients of a get 404",))
    assert "What clients lose" in _summary(lost)
    wrong = replace(lost, proposal=replace(one.proposal, faults=("fleet_keys[0].models: a is not a model",)))
    assert "What clients lose" not in _summary(wrong)
    assert "a is not a model" in _summary(wrong)


@pytest.mark.parametrize(
    ("limit", "other", "meet"), [("", "gpu1", True), ("gpu1,gpu2", "gpu2", True), ("gpu1", "gpu10", False)]
)
def test_runs_of_the_same_hosts_are_in_each_others_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, other: str, meet: bool
) -> None:
    runs = Runs(Settings(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path), None)  # type: ignore[arg-type]
    looks = run(RUNS, "status", looks=True)
    monkeypatch.setattr(runs, "all", lambda: [looks, run(FAILED, limit=limit), run(RUNS, limit=limit)])
    found = runs.changing(other)
    assert (found is not None) == meet
    assert found is None or found.state == RUNS


def test_the_last_run_of_a_model_is_the_newest_that_was_to_change_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = Runs(Settings(tmp_path, tmp_path, tmp_path, tmp_path, tmp_path), None)  # type: ignore[arg-type]
    others = [
        run(RUNS, "status", looks=True),
        run(RUNS, "keys"),
        run(RUNS, options={"model": "b"}),
        run(RUNS, limit="gpu2"),
    ]
    for wanted in (run(FAILED, options={"model": "a"}, limit="gpu1"), run(DONE, "install")):
        monkeypatch.setattr(runs, "all", lambda wanted=wanted: [*others, wanted, run(DONE, "install", limit="gpu1")])
        assert runs.last("gpu1", "a") == wanted


MODEL = {"name": "a", "type": "chat"}
SNAPSHOT = Snapshot(Path("/inventory"), {"gpu1": Host(HostNames("gpu1", ("fleet",)), {"fleet_models": [MODEL]})})


@pytest.mark.parametrize(
    ("last", "words"),
    [
        (None, "no run has deployed it"),
        (run(FAILED, title="add a on gpu1"), "«add a on gpu1» by bob, 2026-11-29 09:30 UTC"),
        (run(RUNS, title="add a on gpu1"), "reaches clients when it has ended"),
        (run(DONE), "No container."),
    ],
)
def test_a_model_without_a_container_says_what_its_last_run_did(last: Run | None, words: str) -> None:
    (row,) = model_rows(SNAPSHOT, {"gpu1": {"containers": []}})
    assert words in models.about(row, SNAPSHOT.hosts["gpu1"], last)
    assert last is None or "no run has deployed it" not in models.about(row, SNAPSHOT.hosts["gpu1"], last)


def test_a_broken_inventory_leaves_what_was_there_below_its_fault(built: Built, tmp_path: Path) -> None:
    assert "The inventory cannot be used" not in built.page.overview()
    (tmp_path / "inventory/hosts.yml").write_text("fleet: [\n")
    broken = built.page.overview()
    assert "The inventory cannot be used" in broken
    assert "as it was before" in broken
    assert "gpu1" in broken
    (tmp_path / "inventory/hosts.yml").write_text(ONE)
    assert "The inventory cannot be used" not in built.page.overview()


def test_an_inventory_that_never_could_be_read_shows_its_fault_alone() -> None:
    found = overview(Snapshot(Path("/x"), faults=("broken",)), {}, faults=("broken",))
    assert "broken" in found
    assert "as it was before" not in found


def test_a_second_change_of_a_setting_is_not_taken_for_somebody_elses(built: Built, tmp_path: Path) -> None:
    review = handler(built, "_review", -1)
    _text, opened = call(handler(built, "_written", -1), ["gpu1", "fleet_overlap"], ALICE)
    assert "somebody changed it" not in str(call(review, ["gpu1", "fleet_overlap", "60", opened], ALICE)[0])
    (tmp_path / "inventory/hosts.yml").write_text(
        ONE.replace("fleet_schema: 2", "fleet_schema: 2\n    fleet_overlap: 60")
    )
    assert "somebody changed it" in str(call(review, ["gpu1", "fleet_overlap", "70", opened], ALICE)[0])
    text, opened = call(handler(built, "_written", -1), ["gpu1", "fleet_overlap"], ALICE)
    assert text == "60"
    assert "somebody changed it" not in str(call(review, ["gpu1", "fleet_overlap", "70", opened], ALICE)[0])


def test_a_setting_of_another_type_is_refused_before_it_is_written(built: Built) -> None:
    _text, opened = call(handler(built, "_written", -1), ["gpu1", "fleet_overlap"], ALICE)
    shown = call(handler(built, "_review", -1), ["gpu1", "fleet_overlap", "soon", opened], ALICE)
    assert "expected a whole number" in str(shown[0])


@pytest.mark.parametrize(
    ("period", "today", "first", "last"),
    [
        ("the last 30 days", date(2026, 11, 29), "", ""),
        ("this month", date(2026, 11, 29), "2026-11-01", ""),
        ("last month", date(2026, 11, 29), "2026-10-01", "2026-10-31"),
        ("last month", date(2027, 1, 1), "2026-12-01", "2026-12-31"),
        ("last month", date(2028, 3, 31), "2028-02-01", "2028-02-29"),
    ],
)
def test_a_period_is_its_days(period: str, today: date, first: str, last: str) -> None:
    assert days(period, today) == (first, last)


@pytest.mark.parametrize(("note", "asked"), [("", False), ("the GPUs have not been read yet", True)])
def test_hosts_that_are_known_to_have_no_gpu_are_not_asked_for_energy(built: Built, note: str, asked: bool) -> None:
    seen = {"gpu1": SimpleNamespace(observation={"containers": [], "gpus": [], "gpu_note": note})}
    built.page.live.hosts = lambda: seen  # type: ignore[method-assign]
    found = call(handler(built, "begin"), ["last month", "", "", "day", "", ""], ALICE)
    assert ("energy is measured for those alone" in found[1]) != asked
    assert bool(built.done) == asked


@pytest.mark.parametrize(
    ("line", "check"),
    [
        ('INFO:     172.18.0.5:40532 - "GET /health HTTP/1.1" 200 OK', True),
        ('INFO:     172.18.0.5:40532 - "GET /metrics HTTP/1.1" 200 OK', True),
        ('INFO:     172.18.0.5:40532 - "GET /health HTTP/1.1" 503 Service Unavailable', False),
        ('INFO:     172.18.0.5:40532 - "POST /v1/chat/completions HTTP/1.1" 200 OK', False),
    ],
)
def test_health_checks_that_went_well_are_left_out_of_a_log(line: str, check: bool) -> None:
    assert bool(CHECKS.search(line)) == check

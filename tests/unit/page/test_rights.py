"""Who may only look changes nothing: each handler of the page is called by such a person."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from ansible_collections.inference.fleet.tests.unit.page.built import ID, Built, call
from ansible_collections.inference.fleet.tests.unit.page.fleets import ONE, changed, write
from fleet_page.people import Person
from fleet_page.playbooks import SWITCH, playbooks
from fleet_page.runs import Request
from fleet_page.tabs.change import Pending
from gradio.events import EventData

ALICE, BOB = Person("alice", True), Person("bob", False)
KEYS = "    fleet_keys: [{alias: app}]\n    fleet_direct_keys: [{name: jobs}]\n    fleet_mig: {0: [3g.20gb]}\n"
# What a browser has chosen or entered, by the ID of the component.
KNOWN = {
    **dict.fromkeys(
        ["mig-host", "model-host", "fleet_keys-host", "fleet_direct_keys-host", "settings-host", "images-host"], "gpu1"
    ),
    "try-alias": "app",
    "mig-value": "{1: [1g.5gb]}",
    "try-ask": "hello",
    "model-replicas": "2",
    "fleet_keys-rpm_limit": "5",
}
# What a person who may only look can start.
LOOKS = {"status", "energy_report"}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    folder = tmp_path_factory.mktemp("rights")
    write(folder, {"inventory/hosts.yml": ONE + KEYS, "inventory/.fleet-keys.yml": "app: sk-secret\n"})
    made = Built(folder, folder / "inventory")
    proposals: dict[str, Any] = {}  # each is made once, since all handlers are called many times
    inner = made.inventory.proposal
    made.inventory.proposal = lambda what, edits: (
        proposals[what] if what in proposals else proposals.setdefault(what, inner(what, edits))
    )  # type: ignore[method-assign]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("fleet_page.door._certificate", lambda _url: "not read")
        yield made


def pending(built: Built) -> Pending:
    proposal = built.inventory.proposal("x", [changed(built.inventory, "a", replicas=2)])
    return Pending("x", proposal, Request("install", ""))


def values(built: Built, handler: Any) -> list[list[Any]]:
    """Inputs with which the handler does something; for a State, all that it may have."""
    states: list[Any] = [
        pending(built),
        "gpu1/a",
        "a",
        ("gpu1", "fleet_keys", "app"),
        ("gpu1", "fleet_direct_keys", "jobs"),
        ID,
        "become",
        None,
    ]
    found = []
    for state in states:
        inputs = []
        for one in handler.inputs:
            if isinstance(one, gr.State):
                inputs.append(state)
            elif getattr(one, "elem_id", None) in KNOWN:
                inputs.append(KNOWN[one.elem_id])
            else:
                inputs.append("x" if isinstance(one, gr.Textbox) and one.type == "password" else one.value)
        found.append(inputs)
    return found


def done_by(built: Built, person: Person | None, handler: Any) -> set[str]:
    """What the handler does for a person, with any inputs. Refusals are among it."""
    found: set[str] = set()
    for inputs in values(built, handler):
        built.done.clear()
        picks = ("gpu1/a", "gpu1/fleet_keys/app", ID)
        for pick in picks if handler.name == "select" else ("",):
            try:
                call(handler, inputs, person, EventData(None, {"pick": pick}))
            except gr.Error as error:
                found |= {"refused"} if "may only look" in str(error) else set()
            except (AssertionError, AttributeError, LookupError, TypeError, ValueError):
                pass  # inputs of another handler
        for what, of in built.done:
            found.add(f"start {of.playbook}" if what == "start" else what)
    return found


def test_each_handler_that_does_something_refuses_who_may_only_look(
    built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    built.note_writes(monkeypatch)
    doing: dict[str, set[str]] = {}
    for handler in built.handlers():
        for_bob, for_nobody = done_by(built, BOB, handler), done_by(built, None, handler)
        assert for_bob <= {"refused", *(f"start {name}" for name in LOOKS)}, handler.name
        assert for_nobody <= {"refused", *(f"start {name}" for name in LOOKS)}, handler.name
        does = done_by(built, ALICE, handler)
        assert "refused" not in does
        if does:
            assert "refused" in for_bob or does <= {f"start {name}" for name in LOOKS}, handler.name
            doing.setdefault(handler.name, set()).update(does)
    # Else the test would have tried nothing.
    assert doing == {
        "_check": {"start install"},
        "_save": {"write"},
        "_apply": {"write", "start install"},
        "given": {"give"},
        "begin": {"start energy_report"},
        "end": {"stop"},
    }


def test_changes_are_not_even_proposed_to_who_may_only_look(built: Built) -> None:
    refusing = {handler.name for handler in built.handlers() if "refused" in done_by(built, BOB, handler)}
    proposing = {
        "check",
        "check_virtual",
        "check_direct",
        "toggle",
        "take_away",
        "back",
        "turn",
        "repeat",
        "ask",
        "_review",
        "_default",
    }
    assert refusing == {*proposing, "_check", "_save", "_apply", "given", "end", "reveal", "_asked", "_once"}


def test_the_value_of_a_key_is_shown_to_who_may_change(built: Built) -> None:
    (reveal,) = (handler for handler in built.handlers() if handler.name == "reveal")
    key = ("gpu1", "fleet_keys", "app")
    assert "sk-secret" in call(reveal, [key], ALICE)
    with pytest.raises(gr.Error, match="bob may only look"):
        call(reveal, [key], BOB)
    others = [handler for handler in built.handlers() if handler.name not in ("reveal", "_asked", "_once")]
    for handler in others:
        for inputs in values(built, handler):
            try:
                assert "sk-secret" not in str(
                    call(handler, inputs, ALICE, EventData(None, {"pick": "gpu1/fleet_keys/app"}))
                )
            except (AssertionError, AttributeError, LookupError, TypeError, ValueError, gr.Error) as error:
                assert "sk-secret" not in str(error)


@pytest.mark.parametrize("name", playbooks())
def test_a_playbook_is_started_by_who_may_change_alone(built: Built, name: str) -> None:
    playbook = playbooks()[name]
    made = built.render(name)
    handlers = {handler.name: handler for handler in built.handlers(made)}
    assert handlers.keys() == {"run", "try_it"}
    words: list[Any] = [False if option.kind == SWITCH else "5" for option in playbook.options]
    for handler in handlers.values():
        built.done.clear()
        for person in (BOB, None):
            if name in LOOKS and person == BOB:
                continue
            try:
                call(handler, ["", "", [], True, *words], person)
            except gr.Error as error:
                assert "may only look" in str(error)
        assert {of.playbook for _what, of in built.done} <= LOOKS & {name}
        built.done.clear()
        call(handler, ["", "", ["gpu1"], True, *words], ALICE)
        ((_what, asked),) = built.done
        assert (asked.playbook, asked.who, asked.limit, asked.check) == (
            name,
            "alice",
            "gpu1",
            handler.name == "try_it",
        )
        assert (asked.options.get(playbook.asks) == "true") == bool(playbook.asks and handler.name == "run")


@pytest.mark.parametrize("name", [name for name, one in playbooks().items() if one.loses])
def test_what_clients_lose_is_agreed_to_first(built: Built, name: str) -> None:
    (run, _try_it) = built.handlers(built.render(name))
    built.done.clear()
    with pytest.raises(gr.Error, match="say yes first"):
        call(run, ["", "", [], False, *("5" for _ in playbooks()[name].options)], ALICE)
    assert not built.done


def test_messages_are_no_html(tmp_path: Path) -> None:
    from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
    from fleet_page.page import problem, refused

    for error in (problem(FleetError("<img src=x onerror=alert(1)>", "a & b\nc")), refused("<img src=x>")):
        assert "<img" not in str(error.message) and "&lt;img" in str(error.message)

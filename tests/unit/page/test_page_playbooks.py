"""The playbooks of the page are those of the collection, with the same options."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from fleet_page.playbooks import CHOICE, NUMBER, SWITCH, TEXT, playbooks
from fleet_page.tabs.runs import _words

ROOT = Path(__file__).resolve().parents[3]
# Parts of others, or of the page itself.
NOT_CALLED = {"check_hosts", "report_hosts", "watch", "page"}
# What the page sets itself, or does in another way.
NOT_ASKED = {"dest", "follow", "page_state"}
NO_FORMAT = {"drift", "status"}


def documented() -> dict[str, dict[str, str]]:
    """Playbook -> its options with their text, from docs/playbooks.md."""
    found: dict[str, dict[str, str]] = {}
    for line in (ROOT / "docs/playbooks.md").read_text().splitlines():
        cells = [cell.strip() for cell in line.split(" | ")]
        if line.startswith("| `") and len(cells) == 3:
            for option in re.findall(r"`([a-z_]+)`", cells[0]):
                for playbook in cells[1].split(", "):
                    found.setdefault(playbook, {})[option] = cells[2]
    return found


DOCUMENTED = documented()


def test_every_playbook_that_a_person_calls_is_there() -> None:
    files = {file.stem for file in (ROOT / "playbooks").glob("*.yml")}
    assert {*playbooks()} == files - NOT_CALLED


@pytest.mark.parametrize("name", playbooks())
def test_the_options_are_those_of_the_docs(name: str) -> None:
    playbook = playbooks()[name]
    options = {option.name for option in playbook.options} | ({playbook.asks} if playbook.asks else set())
    wanted = {*DOCUMENTED.get(name, {})} - NOT_ASKED - ({"format"} if name in NO_FORMAT else set())
    assert options == wanted


@pytest.mark.parametrize("name", playbooks())
def test_the_options_are_in_the_playbook(name: str) -> None:
    """As a variable with a default, or one that it uses."""
    text = (ROOT / f"playbooks/{name}.yml").read_text()
    parts = re.findall(r"(?:import_playbook|import_tasks|include_tasks): (?!\{)(\S+)", text)
    text += "".join((ROOT / "playbooks" / part).read_text() for part in parts if (ROOT / "playbooks" / part).is_file())
    shared = {"fleet_break_lock", "batch", "canary", "mig_force", "prune"}  # of plays that many share, or of modules
    for option in playbooks()[name].options:
        assert option.name in shared or re.search(rf"\b{option.name}\b", text), option.name


def test_what_is_required_is_so_in_the_docs() -> None:
    for name, playbook in playbooks().items():
        for option in playbook.options:
            words = DOCUMENTED[name][option.name]
            required = "(required)" in words or ("(required, except for `logs`)" in words and name != "logs")
            assert option.required == required, (name, option.name)


def test_each_option_has_a_kind_and_help() -> None:
    for playbook in playbooks().values():
        assert playbook.does.endswith(".")
        for option in playbook.options:
            assert option.help and option.kind in (SWITCH, NUMBER, TEXT, CHOICE)
            assert bool(option.choices) == (option.kind == CHOICE)
            assert (option.kind == SWITCH) == DOCUMENTED[playbook.name][option.name].startswith(
                ("`true`:", "`install`")
            )


def test_what_removes_or_stops_says_what_clients_lose() -> None:
    losing = {name for name, one in playbooks().items() if one.loses}
    assert losing >= {
        "remove_model",
        "uninstall",
        "prune_cache",
        "prune_images",
        "drain",
        "restore_backup",
        "rotate_keys",
    }
    assert not losing & {name for name, one in playbooks().items() if one.looks}
    assert {name for name, one in playbooks().items() if one.asks} <= losing


def test_the_file_has_no_option_that_no_playbook_has() -> None:
    data = yaml.safe_load((ROOT / "roles/page/files/fleet_page/catalogue.yml").read_text())
    used = {option.name for playbook in playbooks().values() for option in playbook.options}
    assert {*data["options"]} == used


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("lines", "5", "5"),
        ("lines", " 5 ", "5"),
        ("lines", "", ""),
        ("lines", None, ""),
        ("grep", " a b ", "a b"),
        ("service", "", ""),
        ("fail_on", "never", "never"),
        ("metric", True, "true"),
        ("metric", False, ""),
        ("overlap", "3600", ""),
    ],
)
def test_what_a_person_enters_is_an_option(name: str, value: object, words: str) -> None:
    option = next(one for playbook in playbooks().values() for one in playbook.options if one.name == name)
    assert _words(option, value) == words


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "²", "٣", "1e3", "5; rm", "{{ 5 }}"])
def test_a_number_is_a_number(value: str) -> None:
    option = next(one for one in playbooks()["logs"].options if one.name == "lines")
    with pytest.raises(Exception, match="expected a whole number"):
        _words(option, value)

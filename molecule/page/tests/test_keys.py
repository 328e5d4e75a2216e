"""A key made in the page, its value shown by a click that is logged, a chat with it, and its removal."""

from __future__ import annotations

import re

import pytest
import requests
from lab.browser import View, Viewer, picture
from lab.fixtures import SECRETS, Door, requests_seen
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
ALIAS = "night-shift"


@pytest.fixture(scope="module")
def value() -> list[str]:
    """The value of the key, once a test has seen it."""
    return []


def test_a_key_is_made_and_its_value_shown_by_a_click_that_is_logged(
    alice: Viewer, host: Host, value: list[str]
) -> None:
    alice.open("Keys")
    alice.see("keys", "chatbot")
    alice.click("key-add")
    alice.fill("fleet_keys-alias", ALIAS)
    alice.fill("fleet_keys-rpm_limit", "30")
    alice.click("fleet_keys-review")
    alice.see("key-change", f"make the key {ALIAS}")
    log = alice.apply("key")
    alice.pick("keys", ALIAS)
    alice.click("key-show")
    shown = alice.at("secret-value")
    expect(shown).to_have_text(re.compile(r"^sk-\S{16,}$"))
    value.append(shown.inner_text())
    assert value[0] not in log
    journal = host.check_output("journalctl --unit inference-fleet-page --output cat")
    assert f"alice was shown the value of the key {ALIAS} of desk" in journal
    assert value[0] not in journal
    # Not in the history, and not in the page that the next one opens.
    assert host.run(f"grep -rqF -- {value[0]} /var/lib/inference-fleet-page/runs").rc == 1
    assert value[0] not in alice.open("Keys").page.content()


def test_a_chat_streams_through_the_front_door(alice: Viewer, host: Host, value: list[str]) -> None:
    alice.open("Models")
    alice.pick("models", "qwen3-14b")
    expect(alice.field("try-alias")).to_have_value("chatbot")  # what the page offers first
    alice.choose("try-alias", ALIAS)
    alice.fill("try-ask", "What is in the <b>inventory</b>?")
    answer = alice.at("try-chat").locator(".bot")
    seen: list[str] = []
    alice.click("try-send")
    expect(answer).to_contain_text("This is")
    seen.append(answer.inner_text())
    expect(answer).to_contain_text("no model behind it")
    assert len(seen[0]) < len(answer.inner_text())  # it came bit by bit
    alice.see("try-chat", "What is in the <b>inventory</b>?")
    picture(alice, "models")
    assert requests_seen(host, "qwen3-14b")[-1]["path"] == "/v1/chat/completions"


def test_other_types_are_tried_too(alice: Viewer, host: Host) -> None:
    alice.open("Models")
    alice.pick("models", "bge-m3")
    expect(alice.field("try-alias")).to_have_value(ALIAS)  # the other key is for other models
    alice.fill("try-text", "a few words")
    alice.click("try-go")
    alice.see("try-out", "64 dimensions")
    alice.pick("models", "whisper-large")
    expect(alice.field("try-alias")).to_have_value(ALIAS)
    alice.page.locator("input[type=file]").first.set_input_files(
        {"name": "words.wav", "mimeType": "audio/wav", "buffer": b"RIFF\x24\x00\x00\x00WAVEfmt " + bytes(28)}
    )
    expect(alice.page.get_by_text("words.wav")).to_be_visible()
    alice.click("try-go")
    alice.see("try-out", "stand-in")


def test_a_wrong_key_is_refused_in_words(alice: Viewer) -> None:
    alice.open("Models")
    alice.pick("models", "qwen3-4b")
    expect(alice.field("try-alias")).to_have_value("chatbot")
    alice.choose("try-alias", "a key that I enter")
    expect(alice.field("try-alias")).to_have_value("a key that I enter")
    alice.fill("try-key", "sk-not-a-key-of-anybody")
    alice.fill("try-ask", "Hello")
    alice.click("try-send")
    alice.told("HTTP 401")


def test_a_key_is_removed_and_worth_nothing_afterwards(alice: Viewer, door: Door, value: list[str]) -> None:
    assert door.chat("qwen3-4b", key=value[0]).status_code == requests.codes.ok
    alice.open("Keys")
    alice.pick("keys", ALIAS)
    alice.click("key-remove")
    alice.see("key-change", f"Whoever uses the key {ALIAS} gets 401 at once")
    alice.apply("key")
    expect(alice.at("keys").locator("tbody tr").filter(has_text=ALIAS)).to_have_count(0)
    assert door.chat("qwen3-4b", key=value[0]).status_code == requests.codes.unauthorized


def test_secrets_are_in_no_tab(view: View, host: Host) -> None:
    secrets = host.check_output(f"find {SECRETS} -type f -exec sh -c 'cat \"$1\"; echo' _ {{}} \\;").split()
    viewer = view("bob").open()
    for tab in ("Keys", "HTTPS and settings", "Runs"):
        viewer.tab(tab)
        assert not [one for one in secrets if len(one) > 8 and one in viewer.page.content()]

"""Every tab on a wide and a narrow screen, light and dark, by keyboard, and without a connection.

`PICTURES=yes .venv/bin/molecule verify -s page` makes the pictures of docs/page.md.
"""

from __future__ import annotations

import re

import pytest
from lab.browser import NARROW, TABS, WIDE, View, Viewer, picture
from lab.fixtures import wait_until
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
SHOWS = {
    "Overview": ("overview", ["desk", "qwen3-14b", "GPU 1", "qwen3-4b", "stopped", "litellm", "Monitoring is off"]),
    "Models": ("models", ["qwen3-14b", "ready", "bge-m3"]),
    "GPUs and MIG": ("gpus", ["A100", "3g.20gb"]),
    "Keys": ("keys", ["chatbot", "60 requests/min", "20 per 30d", "clips"]),
    "Images and recipes": ("images", ["inference-fleet/engine-stand-in:1", "as pinned"]),
    "HTTPS and settings": ("certificates", ["desk", "valid"]),
    "Energy and monitoring": ("energy-result", []),
    "Runs": ("runs", []),
}


def shows(viewer: Viewer, tab: str) -> None:
    id, words = SHOWS[tab]
    for one in words:
        viewer.see(id, one)


def test_every_tab_shows_what_it_should(alice: Viewer) -> None:
    alice.open()
    for tab in TABS:
        alice.tab(tab)
        shows(alice, tab)
        if tab not in ("Models", "Energy and monitoring", "Runs"):  # other tests show more of these
            picture(alice, tab.split()[0].lower())


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        (WIDE, "dark"),
        (NARROW, "light"),
        pytest.param(NARROW, "dark", marks=pytest.mark.extended),
    ],
)
def test_every_tab_fits_the_screen(view: View, size: tuple[int, int], scheme: str) -> None:
    viewer = view("alice", size, scheme).open()
    wide = []
    for tab in TABS:
        viewer.tab(tab)
        shows(viewer, tab)
        if viewer.scrolls_sideways():
            wide.append(tab)
        if tab == "Overview" and (size, scheme) != (NARROW, "dark"):
            picture(viewer, "overview-dark" if scheme == "dark" else "overview-narrow")
    assert not wide
    dark = viewer.page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, dark.strip("rgba()").split(",")[:3])) < 200) == (scheme == "dark")


def test_a_model_is_chosen_by_keyboard_alone(alice: Viewer) -> None:
    alice.open()
    alice.page.get_by_role("tab", name="Overview", exact=True).focus()
    focused = "document.activeElement.closest('[data-pick]')?.dataset.pick ?? document.activeElement.textContent"
    for _press in range(10):
        if alice.page.evaluate(focused).strip() == "Models":
            break
        alice.page.keyboard.press("Tab")
    alice.page.keyboard.press("Enter")
    alice.see("models", "bge-m3")
    for _press in range(40):
        if alice.page.evaluate(focused) == "desk/bge-m3":
            break
        alice.page.keyboard.press("Tab")
    alice.page.keyboard.press("Enter")
    alice.see("model-about", "BAAI/bge-m3")


def test_a_lost_connection_recovers_by_itself(alice: Viewer, host: Host) -> None:
    alice.open()
    age = alice.at("overview").locator("time.age").first
    expect(age).to_be_visible()
    alice.context.set_offline(True)
    before = float(age.get_attribute("data-at") or 0)
    expect(alice.page.locator("body")).to_have_class(re.compile(r"\blost\b"))  # grey, and it says why
    assert "s ago" in age.inner_text()  # the page says how old what it shows is
    alice.context.set_offline(False)
    expect(alice.page.locator("body")).not_to_have_class(re.compile(r"\blost\b"))
    host.check_output("docker restart vllm-kokoro-1")
    wait_until(lambda: float(age.get_attribute("data-at") or 0) > before, "the page shows something newer")


def test_the_death_of_a_container_is_seen_within_seconds(alice: Viewer, host: Host) -> None:
    alice.open()
    expect(alice.row("overview", "kokoro")).to_contain_text("ready")
    host.check_output("docker stop --time 0 vllm-kokoro-1")
    expect(alice.row("overview", "kokoro")).not_to_contain_text("ready", timeout=15_000)
    host.check_output("docker start vllm-kokoro-1")
    expect(alice.row("overview", "kokoro")).to_contain_text("ready", timeout=60_000)

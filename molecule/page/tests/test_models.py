"""Models in the browser: add one, see it become ready, find out why another one fails, remove both."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
import yaml
from lab.browser import RUN_SECONDS, View, Viewer
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
INVENTORY = "/srv/inventory/group_vars/fleet.yml"


def fill_form(viewer: Viewer, name: str, type: str, more: str = "") -> None:
    viewer.click("model-add")
    viewer.fill("model-name", name)
    viewer.choose("model-type", type)
    viewer.fill("model-source", f"example/{name}")
    viewer.fill("model-devices", "{cpu: true}")
    if more:
        viewer.at("model-form").get_by_text("More settings").click()
        viewer.fill("model-env", more)
    viewer.click("model-review")


def models(host: Host) -> list[str]:
    return [one["name"] for one in yaml.safe_load(host.file(INVENTORY).content_string)["fleet_models"]]


def test_a_fault_stands_beside_its_field_and_nothing_can_be_saved(alice: Viewer, host: Host) -> None:
    before = host.file(INVENTORY).content_string
    alice.open("Models")
    fill_form(alice, "two words", "chat")
    expect(alice.at("model-form").locator(".field", has=alice.field("model-name")).locator(".faults")).to_be_visible()
    expect(alice.at("model-apply")).to_be_disabled()
    assert host.file(INVENTORY).content_string == before


def test_a_model_of_the_form_is_reviewed_applied_and_ready(view: View, host: Host) -> None:
    alice, watcher = view("alice").open("Models"), view("bob").open("Overview")
    before = host.file(INVENTORY).content_string
    fill_form(alice, "notes", "stt")
    alice.see("model-change", re.compile(r"\+\s+- name: notes"))
    alice.apply("model")
    expect(alice.at("model-form")).to_be_hidden()  # it was saved
    # By itself, in the tab of somebody else.
    expect(watcher.row("overview", "notes")).to_contain_text("ready", timeout=RUN_SECONDS * 1000)
    after = host.file(INVENTORY).content_string
    assert after.startswith(before.partition("\nfleet_keys")[0])  # comments, order and style stay
    assert after.endswith(before.partition("\nfleet_keys")[2])
    assert models(host)[-1] == "notes"
    log = host.check_output("git -C /srv/inventory log -1 --format='%an: %s'")
    assert log == "alice: add notes on desk"


@pytest.mark.extended
def test_a_check_says_what_would_happen_and_writes_nothing(alice: Viewer, host: Host) -> None:
    alice.open("Models")
    before = host.file(INVENTORY).content_string
    fill_form(alice, "later", "stt")
    alice.click("model-check")
    assert "later" in alice.ran("model-result")
    assert host.file(INVENTORY).content_string == before


def test_a_model_that_cannot_start_says_why_in_the_page(alice: Viewer) -> None:
    alice.open("Models")
    fill_form(alice, "broken", "stt", "{STANDIN_EXIT_CODE: 3}")
    ended = alice.apply("model", "failed")
    assert "vllm-broken-1" in ended
    assert "STANDIN_EXIT_CODE asks for a failure" in ended
    alice.tab("Overview")
    expect(alice.row("overview", "broken")).to_contain_text("down", timeout=RUN_SECONDS * 1000)
    alice.tab("Models")
    alice.pick("models", "broken")
    alice.see("model-about", re.compile("with exit code 3|restarted [0-9]+ times by Docker"))
    alice.see("model-about", "«add broken on desk» by alice")
    alice.page.get_by_role("tab", name="Logs", exact=True).click()
    alice.see("model-log", "ValueError: STANDIN_EXIT_CODE asks for a failure", RUN_SECONDS)


def test_removing_a_model_asks_first_and_names_what_clients_lose(alice: Viewer, host: Host) -> None:
    alice.open("Models")
    alice.pick("models", "notes")
    alice.see("model-about", "notes")
    alice.click("model-remove")
    alice.see("model-change", "Clients of notes get 404")
    expect(alice.at("model-apply")).to_have_text("Yes: remove notes from desk")
    assert "notes" in models(host)  # nothing has happened yet
    alice.apply("model")
    assert "notes" not in models(host)
    expect(alice.at("models").locator("tbody tr").filter(has_text="notes")).to_have_count(0)
    assert "vllm-notes-1" not in host.check_output("docker ps --all --format '{{.Names}}'")


@pytest.fixture(scope="module", autouse=True)
def clean(host: Host, inventory: None) -> Iterator[None]:
    """The model that cannot start is left for other tests neither in the inventory nor on the host."""
    yield
    host.run("docker rm --force vllm-broken-1")

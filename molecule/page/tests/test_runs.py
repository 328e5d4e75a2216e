"""Runs of playbooks: their faults, their end by a click, and their life beside the service."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lab.browser import RUN_SECONDS, SECONDS, View, Viewer, picture
from lab.fixtures import wait_until
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
UNIT = "inference-fleet-page"


def start(viewer: Viewer, playbook: str, **options: str) -> None:
    viewer.open("Runs")
    viewer.start(playbook)
    for name, text in options.items():
        viewer.fill(f"option-{name}", text)
    viewer.click("run-go")


def restart(host: Host) -> None:
    host.check_output(f"systemctl restart {UNIT}")
    wait_until(lambda: host.run("curl --silent --output /dev/null http://127.0.0.1:7860/").rc == 0, "the page answers")


def test_a_playbook_is_run_with_its_options_and_its_log_is_kept(alice: Viewer) -> None:
    start(alice, "status")
    ended = alice.ran("run-shown")
    assert "qwen3-14b" in ended
    with alice.page.expect_download() as download:
        alice.click("run-log")
    assert "qwen3-14b" in download.value.path().read_text()
    alice.see("runs", "status")
    picture(alice, "runs")


def test_a_run_that_fails_shows_its_fault(alice: Viewer) -> None:
    start(alice, "logs", service="no-such-service")
    ended = alice.ran("run-shown", "failed")
    alert = alice.at("run-shown").get_by_role("alert")
    expect(alert).to_contain_text("no-such-service")
    assert "desk" in ended
    alice.click("run-again")
    alice.see("again-change", "service=no-such-service")
    alice.apply("again", "failed")
    expect(alice.at("again-apply")).to_have_text("Run again")


def test_what_removes_something_needs_a_yes(alice: Viewer) -> None:
    start(alice, "prune_cache")
    alice.told("say yes first: Removed weights have to be downloaded again")


@pytest.fixture
def stalled(host: Host) -> Iterator[None]:
    """Runs last: the host's Docker Engine does not answer until the test has ended."""
    host.check_output("pkill -STOP -x dockerd")
    yield
    host.check_output("pkill -CONT -x dockerd")


def test_a_run_goes_on_while_the_service_restarts_and_is_found_again(view: View, host: Host, stalled: None) -> None:
    alice = view("alice")
    start(alice, "status")
    alice.see("run-shown", "runs")
    alice.see("run-shown", "desk")
    restart(host)
    later = view("carol").open("Runs")
    later.pick("runs", "status")
    later.see("run-shown", "runs")
    host.check_output("pkill -CONT -x dockerd")
    later.ran("run-shown")


def test_a_run_is_stopped_by_a_click(alice: Viewer, stalled: None) -> None:
    start(alice, "status")
    alice.see("run-shown", "desk")
    alice.click("run-stop")
    alice.told("The run ends as with Ctrl-C")
    alice.ran("run-shown", "stopped", SECONDS + RUN_SECONDS)
    alice.see("run-shown", "stopped by alice")


@pytest.mark.extended
def test_a_restarted_service_is_found_again_by_an_open_page(alice: Viewer, host: Host) -> None:
    alice.open("Overview")
    expect(alice.at("overview").locator("time.age").first).to_be_visible()
    restart(host)
    seen = alice.at("overview").locator("time.age").first
    before = float(seen.get_attribute("data-at") or 0)
    wait_until(lambda: float(seen.get_attribute("data-at") or 0) > before, "the page shows something newer")

"""GPUs and their MIG layout in the browser."""

from __future__ import annotations

import re

import pytest
from lab.browser import Viewer
from lab.fixtures import identities
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]


def layout(viewer: Viewer, text: str) -> None:
    viewer.open("GPUs and MIG")
    viewer.see("mig-value", "3g.20gb")
    viewer.code("mig-value", text)
    viewer.click("mig-review")
    viewer.see("mig-change", "set fleet_mig of desk")


def test_gpus_are_drawn_with_their_instances_and_who_holds_them(alice: Viewer) -> None:
    alice.open("GPUs and MIG")
    first, second = (alice.at("gpus").locator(".gpu").nth(index) for index in range(2))
    expect(first).to_contain_text("A100")
    held = first.locator(".block.held")
    expect(held).to_contain_text("3g.20gb")
    expect(held).to_contain_text("qwen3-4b")
    expect(first.locator(".block").filter(has_text="2g.10gb")).to_contain_text("free")
    expect(second.locator(".block.held")).to_contain_text("qwen3-14b")
    expect(alice.at("gpus").get_by_label("NVLinks")).to_contain_text("12")


def test_a_layout_that_a_model_stands_in_the_way_of_is_refused(alice: Viewer, host: Host) -> None:
    before = identities(host)
    layout(alice, '{0: [7g.40gb], 1: "off"}')
    alice.click("mig-check")
    ended = alice.ran("mig-result", "failed")
    assert re.search(r"3g\.20gb.*vllm-qwen3-4b-1|vllm-qwen3-4b-1.*3g\.20gb", ended, re.DOTALL), ended
    assert identities(host) == before


@pytest.mark.extended
def test_a_layout_is_planned_and_then_made(alice: Viewer, host: Host) -> None:
    before = identities(host)
    layout(alice, '{0: [3g.20gb, 1g.5gb, 1g.5gb], 1: "off"}')
    alice.click("mig-check")
    assert "1g.5gb" in alice.ran("mig-result")
    assert "1g.5gb" not in host.check_output("nvidia-smi -L")
    alice.apply("mig")
    assert host.check_output("nvidia-smi -L").count("MIG 1g.5gb") == 2
    assert identities(host) == before
    expect(alice.at("gpus").locator(".block").filter(has_text="1g.5gb")).to_have_count(2)

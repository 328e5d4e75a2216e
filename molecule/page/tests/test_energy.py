"""What last month cost, read in the page from a month of readings."""

from __future__ import annotations

import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import ENERGY
from lab import energy_month
from lab.browser import Viewer, picture
from playwright.sync_api import expect
from testinfra.host import Host

testinfra_hosts = ["ansible://desk"]
LAST = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)


@pytest.fixture(scope="module")
def month(host: Host, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The host has readings of the whole of last month."""
    folder: Path = tmp_path_factory.mktemp("energy") / "gpu1"
    folder.mkdir()
    begin = LAST - timedelta(days=energy_month.DAYS - 1)
    energy_month.write("gpu1", folder, datetime(begin.year, begin.month, begin.day, tzinfo=UTC).timestamp())
    archive = shutil.make_archive(str(folder), "tar", folder)
    host.ansible("ansible.builtin.unarchive", f"src={archive} dest={ENERGY}", check=False)


def test_last_month_has_its_energy_and_its_cost(alice: Viewer, month: None) -> None:
    alice.open("Energy and monitoring")
    alice.choose("energy-when", "last month")
    for id, text in {"price": "0.31", "currency": "EUR"}.items():
        alice.fill(f"energy-{id}", text)
    alice.click("energy-read")
    row = alice.row("energy-result", "qwen3-32b")
    expect(row).to_be_visible(timeout=120_000)
    kwh, _hours, cost = (float(re.sub("[^0-9.]", "", cell)) for cell in row.locator("td").all_inner_texts()[2:5])
    assert kwh > 100
    assert cost == pytest.approx(kwh * 0.31, abs=0.02)
    alice.see("energy-result", re.compile(r"Sum by model.*kWh.*EUR", re.DOTALL))
    expect(alice.at("energy-chart").locator("canvas, svg").first).to_be_visible()
    picture(alice, "energy")
    with alice.page.expect_download() as download:
        alice.at("energy-files").get_by_role("link").first.click()
    assert "kwh" in download.value.path().read_text().splitlines()[0]


def test_monitoring_that_is_off_says_what_to_set(alice: Viewer) -> None:
    alice.open("Energy and monitoring")
    alice.see("grafana", "Monitoring is off: set fleet_monitoring")

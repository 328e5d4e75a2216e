"""`fleet_energy`."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.energy import Energy
from ansible_collections.inference.fleet.tests.unit.samples import faults, fleet


@pytest.mark.parametrize(
    ("given", "energy"),
    [
        (None, Energy(True, 1, 400)),
        (True, Energy(True, 1, 400)),
        (False, Energy(on=False)),
        ({}, Energy(True, 1, 400)),
        ({"interval": 5, "keep_days": 30}, Energy(True, 5, 30)),
    ],
)
def test_is_on_unless_it_is_switched_off(given: Any, energy: Energy) -> None:
    assert fleet(energy=given).energy == energy


@pytest.mark.parametrize("energy", [False, {"interval": 7, "keep_days": 8}])
def test_the_host_keeps_it_in_the_inventorys_language(energy: Any) -> None:
    assert fleet(energy=energy).desired_state()["fleet_energy"] == energy


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ("yes", "fleet_energy: expected true, false or a mapping with interval and keep_days, got 'yes'"),
        ([1], "fleet_energy: expected true, false or a mapping with interval and keep_days, got [1]"),
        ({"interval": 0}, "fleet_energy.interval: expected a whole number of at least 1, got 0"),
        ({"interval": 0.5}, "fleet_energy.interval: expected a whole number of at least 1, got 0.5"),
        ({"keep_days": "all"}, "fleet_energy.keep_days: expected a whole number of at least 1, got 'all'"),
        ({"keepdays": 3}, "fleet_energy.keepdays: unknown key; did you mean 'keep_days'?"),
    ],
)
def test_refuses_what_it_cannot_do(given: Any, fault: str) -> None:
    assert faults(Energy.parse, given, "fleet_energy") == [fault]

"""Names of MIG devices, and the GPU instances that hold them."""

from __future__ import annotations

from collections import Counter
from itertools import combinations_with_replacement
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.layout import (
    Device,
    Instance,
    Layout,
    instances,
)
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, faults
from hypothesis import given
from hypothesis import strategies as st

NAMES = ["1g.5gb", "1g.5gb+me", "1g.24gb-me", "1g.24gb+me.all", "1g.24gb+gfx", "7g.141gb", "1c.3g.20gb", "2c.4g.20gb"]


def devices(*names: str) -> list[Device]:
    return [Device.parse(name, "layout") for name in names]


def packed(*names: str, begun: list[Instance] | None = None) -> list[str]:
    return [str(one) for one in instances(devices(*names), begun or [])]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_told_as_it_was_given(name: str) -> None:
    assert str(Device.parse(name, "")) == name


def test_all_compute_slices_of_an_instance_are_the_instance() -> None:
    assert Device.parse("3c.3g.20gb", "") == Device.parse("3g.20gb", "")


@pytest.mark.parametrize(
    "name", ["3g", "3g.20", "0g.5gb", "3g.20gb+", "g.20gb", "c.3g.20gb", "MIG 3g.20gb", "", None, 3]
)
def test_what_is_no_name_is_told_with_one_that_is(name: Any) -> None:
    (fault,) = faults(Device.parse, name, "fleet_mig.0[1]")
    assert fault == f"fleet_mig.0[1]: expected a profile such as 3g.40gb or 1c.3g.40gb, got {name!r}"


def test_a_part_is_not_larger_than_its_instance() -> None:
    assert faults(Device.parse, "4c.3g.20gb", "fleet_mig.0[0]") == [
        "fleet_mig.0[0]: 4c.3g.20gb has more compute slices (4c) than its GPU instance (3g)"
    ]


def test_every_fault_of_a_layout_is_told() -> None:
    assert faults(Layout.parse, {0: ["3g", "1g.5gb", 7], "gpu1": [], 2: "on", "2": []}, "fleet_mig") == [
        "fleet_mig.0[0]: expected a profile such as 3g.40gb or 1c.3g.40gb, got '3g'",
        "fleet_mig.0[2]: expected a profile such as 3g.40gb or 1c.3g.40gb, got 7",
        "fleet_mig.gpu1: expected a GPU index, a UUID that begins with GPU-, or all",
        "fleet_mig.2: expected a list of profiles or off, got 'on'",
    ]
    assert faults(Layout.parse, {0: [], "0": []}, "fleet_mig") == ["fleet_mig.0: is given twice"]


@given(ANYTHING)
def test_any_data_is_a_layout_or_a_fault(data: Any) -> None:
    if data != "auto" and not isinstance(data, dict):
        assert all(
            fault.startswith("fleet_mig: expected auto, or ") for fault in faults(Layout.parse, data, "fleet_mig")
        )


# GPU instances


def test_wholes_are_instances_of_their_own_and_larger_ones_come_first() -> None:
    assert packed("1g.5gb", "3g.20gb", "4g.20gb", "1g.5gb+me", "1g.10gb") == [
        "4g.20gb",
        "3g.20gb",
        "1g.10gb",
        "1g.5gb",
        "1g.5gb+me",
    ]


def test_parts_of_one_profile_share_instances() -> None:
    assert packed("1c.3g.20gb", "2c.3g.20gb", "1c.3g.20gb", "1c.4g.20gb") == [
        "4g.20gb (1c)",
        "3g.20gb (1c)",
        "3g.20gb (2c, 1c)",
    ]


@given(st.permutations(["1c.3g.20gb", "2c.3g.20gb", "1c.3g.20gb", "3g.20gb", "1g.5gb"]))
def test_the_order_of_a_layout_means_nothing(names: list[str]) -> None:
    assert packed(*names) == ["3g.20gb", "3g.20gb (1c)", "3g.20gb (2c, 1c)", "1g.5gb"]


@pytest.mark.parametrize("slices", [2, 3, 4])
def test_no_fewer_instances_could_hold_the_parts(slices: int) -> None:
    """Compares the result for up to six compute instances with every other distribution."""

    def fewest(parts: tuple[int, ...]) -> int:
        def fit(left: tuple[int, ...], rooms: tuple[int, ...]) -> int:
            if not left:
                return len(rooms)
            size, *others = left
            ways = [fit(tuple(others), (*rooms, slices - size))]
            for index, room in enumerate(rooms):
                if room >= size:
                    ways.append(fit(tuple(others), (*rooms[:index], room - size, *rooms[index + 1 :])))
            return min(ways)

        return fit(parts, ())

    for count in range(1, 6):
        for parts in combinations_with_replacement(range(1, slices), count):
            assert len(packed(*(f"{size}c.{slices}g.9gb" for size in parts))) == fewest(parts)


# Compute instances that share a GPU instance already


def test_parts_that_are_together_stay_together() -> None:
    begun = [Instance("3g.20gb", (2,)), Instance("3g.20gb", (1,))]
    assert packed("2c.3g.20gb", "1c.3g.20gb", begun=begun) == ["3g.20gb (1c)", "3g.20gb (2c)"]


def test_begun_instances_are_filled_up_before_others() -> None:
    begun = [Instance("3g.20gb", (1,))]
    assert packed("1c.3g.20gb", "2c.3g.20gb", "1c.3g.20gb", begun=begun) == ["3g.20gb (1c)", "3g.20gb (2c, 1c)"]


def test_parts_that_are_not_asked_for_begin_nothing() -> None:
    begun = [Instance("3g.20gb", (1, 1)), Instance("2g.10gb", (1,))]
    assert packed("1c.3g.20gb", "2c.3g.20gb", begun=begun) == ["3g.20gb (2c, 1c)"]


@given(
    st.lists(st.sampled_from([1, 2]), max_size=6),
    st.lists(st.sampled_from([(1,), (2,), (1, 1), (2, 1), (1, 1, 1)]), max_size=3),
)
def test_packing_loses_and_invents_nothing(sizes: list[int], begun: list[tuple[int, ...]]) -> None:
    made = instances(devices(*(f"{size}c.3g.20gb" for size in sizes)), [Instance("3g.20gb", one) for one in begun])
    assert Counter(size for one in made for size in one.computes) == Counter(sizes)
    assert all(sum(one.computes) <= 3 for one in made)

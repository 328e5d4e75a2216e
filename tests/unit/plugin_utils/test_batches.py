"""The batches of hosts, from the options `batch` and `canary`."""

from __future__ import annotations

from itertools import chain

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.batches import batches
from hypothesis import given
from hypothesis import strategies as st

EIGHT = [f"gpu{number}" for number in range(1, 9)]


@pytest.mark.parametrize(
    ("batch", "canary", "sizes"),
    [
        ("", "", [8]),
        (None, None, [8]),
        (3, "", [3, 3, 2]),
        ("3", "", [3, 3, 2]),
        ("1,50%,100%", "", [1, 4, 3]),
        (" 1 , 5 , 100% ", "", [1, 5, 2]),
        ([1, "50%"], "", [1, 4, 3]),
        ("10%", "", [1] * 8),
        ("99%", "", [7, 1]),
        ("100%", "", [8]),
        ("100", "", [8]),
        ("", "gpu1", [1, 7]),
        ("50%", "gpu1", [1, 4, 3]),
        ("1,50%,100%", "gpu5", [1, 1, 4, 2]),
    ],
)
def test_sizes(batch: object, canary: object, sizes: list[int]) -> None:
    found = batches(EIGHT, batch, canary)
    assert [len(hosts) for hosts in found] == sizes
    assert sorted(chain(*found)) == EIGHT
    assert not canary or found[0] == [canary]


def test_the_canary_comes_first_and_the_others_keep_their_order() -> None:
    assert batches(["b", "a", "c"], "1", "c") == [["c"], ["b"], ["a"]]
    assert batches(["a"], "", "a") == [["a"]]
    assert batches([], "1") == []


@pytest.mark.parametrize(
    ("batch", "got"),
    [
        ("0", "0"),
        ("0%", "0%"),
        ("101%", "101%"),
        ("-1", "-1"),
        ("1.5", "1.5"),
        ("1,,2", "nothing"),
        ("1;2", "1;2"),
        ("all", "all"),
        ("\uff12", "\uff12"),  # a digit of another script
        ([True], "True"),
        ({"a": 1}, "{'a': 1}"),
        (False, "False"),
        (0, "0"),
    ],
)
def test_a_wrong_size(batch: object, got: str) -> None:
    with pytest.raises(FleetError, match=r"^batch=.*: expected numbers of hosts .*, got ") as raised:
        batches(EIGHT, batch)
    assert str(raised.value).endswith(f", got {got}")


def test_an_unknown_canary_has_the_nearest_name() -> None:
    with pytest.raises(FleetError, match=r"^canary=gpu9: .* \(gpu\d, the nearest name\), got another name$"):
        batches(EIGHT, "", "gpu9")
    with pytest.raises(FleetError, match=r"^canary=other: .* \(gpu1, gpu2\), got another name$"):
        batches(["gpu1", "gpu2"], "", "other")


@given(
    count=st.integers(1, 30),
    sizes=st.lists(st.one_of(st.integers(1, 40), st.integers(1, 100).map("{}%".format)), max_size=4),
    canary=st.booleans(),
)
def test_every_host_is_in_one_batch(count: int, sizes: list[object], canary: bool) -> None:
    hosts = [f"h{number}" for number in range(count)]
    found = batches(hosts, sizes, hosts[-1] if canary else "")
    assert sorted(chain(*found)) == sorted(hosts)
    assert all(found)

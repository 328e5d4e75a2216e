"""Which hosts of a run in batches have what."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.report.hosts import outcomes, report


def result(did: bool = False, fault: str = "") -> dict[str, Any]:
    return {"did": did, "fault": fault}


BATCHES = {"gpu1": 2, "gpu2": 1, "gpu3": 2, **{f"gpu{number}": 3 for number in range(4, 9)}}


def test_a_run_that_stopped() -> None:
    recorded = {"gpu1": result(True), "gpu2": result(True), "gpu3": result(True, "answers (a: no answer)")}
    found = outcomes(BATCHES, recorded)
    assert list(found)[:3] == ["gpu2", "gpu1", "gpu3"]
    assert report(found) == ("gpu2, gpu1: changed; gpu3: failed (answers (a: no answer)); gpu4 to gpu8: not touched")


def test_a_host_without_a_record_was_lost_if_its_batch_began() -> None:
    recorded = {"gpu2": result(), "gpu1": result(True)}
    assert report(outcomes(BATCHES, recorded)) == (
        "gpu2: nothing changed; gpu1: changed; gpu3: unreachable, so its state is unknown; gpu4 to gpu8: not touched"
    )
    assert report(outcomes({"a": 1, "b": 2}, {})) == "a, b: not touched"


def test_check_mode_changed_nothing() -> None:
    assert report(outcomes({"a": 1, "b": 1}, {"a": result(True), "b": result()}, True)) == (
        "a: would change; b: nothing changed"
    )


@pytest.mark.parametrize(
    ("names", "text"),
    [
        (["gpu1", "gpu2"], "gpu1, gpu2"),
        (["gpu1", "gpu2", "gpu3"], "gpu1 to gpu3"),
        (["gpu1", "gpu2", "gpu4", "gpu5", "gpu6"], "gpu1, gpu2, gpu4 to gpu6"),
        (["gpu08.lan", "gpu09.lan", "gpu10.lan"], "gpu08.lan to gpu10.lan"),
        (["gpu8", "gpu9", "cpu10", "gpu10.lan"], "gpu8, gpu9, cpu10, gpu10.lan"),
        (["a", "b", "c"], "a, b, c"),
        (["gpu3", "gpu2", "gpu1"], "gpu3, gpu2, gpu1"),
        (["10.0.0.1", "10.0.0.2", "10.0.0.3"], "10.0.0.1, 10.0.0.2, 10.0.0.3"),
    ],
)
def test_hosts_whose_numbers_follow_each_other(names: list[str], text: str) -> None:
    assert report(dict.fromkeys(names, "x")) == f"{text}: x"

"""What a host is asked next."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch import course as module
from ansible_collections.inference.fleet.plugins.module_utils.watch.course import Course
from ansible_collections.inference.fleet.plugins.module_utils.watch.observation import NOT_YET

GPU = {
    "index": 0,
    "uuid": "GPU-1",
    "name": "A100",
    "memory_mib": 40960,
    "power_limit": 400.0,
    "mig": False,
    "links": {},
    "profiles": [],
    "instances": [],
    "containers": [],
    "processes": [],
}
NONE: dict[str, Any] = {"gpus": [], "gpu_note": "", "devices": {}, "last_restore": None, "disk": None}
NONE["root_certificate"] = None


def answer(digest: str = "a", gpus: int | None = None, **more: Any) -> dict[str, Any]:
    """gpus: how many the details have; None for an answer without details."""
    details = None if gpus is None else {**NONE, "gpus": [{**GPU, "uuid": f"GPU-{number}"} for number in range(gpus)]}
    now = {"containers": [], "figures": [], "gpu_note": "", "metrics": None, "alerts": None, "drained_since": None}
    return {**now, "digest": digest, "details": details, **more}


def started(gpus: int = 0, **more: Any) -> Course:
    """After its first two calls, at 0 and 1 s."""
    course = Course("gpu1")
    course.take(answer(**more), 0.0, 0.0)
    course.take(answer(gpus=gpus, **more), 1.0, 0.0)
    return course


def test_first_what_is_quick_then_the_details_then_it_waits() -> None:
    course = Course("gpu1")
    assert course.request(0.0) == {"seconds": 0.0, "seen": "", "details": False, "figures": False}
    seen = course.take(answer(), 0.0, 1795490400.5)
    assert (seen["host"], seen["time"], seen["gpu_note"]) == ("gpu1", 1795490400.5, NOT_YET)
    assert course.request(1.0) == {"seconds": 0.0, "seen": "a", "details": True, "figures": False}
    assert course.take(answer(gpus=1), 1.0, 0.0)["gpus"][0]["uuid"] == "GPU-0"
    assert course.request(2.0) == {"seconds": module.WAIT_S, "seen": "a", "details": False, "figures": True}


@pytest.mark.parametrize(
    ("gpus", "metrics", "seconds"),
    [(0, None, module.QUIET_S), (1, None, module.WAIT_S), (0, {"requests": {}, "tokens": {}}, module.WAIT_S)],
)
def test_waits_longer_where_nothing_changes_by_itself(gpus: int, metrics: Any, seconds: float) -> None:
    assert started(gpus, metrics=metrics).request(2.0)["seconds"] == seconds


def test_a_host_without_gpus_is_not_asked_for_figures_nor_for_details_at_each_change() -> None:
    course = started(gpus=0)
    course.take(answer("b"), 2.0, 0.0)
    request = course.request(8.0)
    assert (request["figures"], request["details"], request["seen"]) == (False, False, "b")


def test_the_details_are_read_each_minute() -> None:
    course = started(gpus=1)
    assert course.request(55.0)["seconds"] == 6.0
    assert course.request(61.0) == {"seconds": 0.0, "seen": "a", "details": True, "figures": True}


def test_who_holds_a_gpu_is_read_soon_after_a_change_but_not_at_each() -> None:
    course = started(gpus=1)
    course.take(answer("b"), 2.0, 0.0)
    assert course.request(2.0)["seconds"] == module.SOON_S - 1.0
    assert not course.request(2.0)["details"]
    assert course.request(6.0)["details"]
    course.take(answer("c", gpus=1), 6.0, 0.0)
    assert course.request(7.0)["seconds"] == module.WAIT_S


def test_a_gpu_that_comes_or_goes_is_a_change() -> None:
    course = started(gpus=1)
    figures = [{"uuid": f"GPU-{number}", "memory_mib": 1} for number in range(2)]
    course.take(answer(figures=figures[:1]), 2.0, 0.0)
    assert not course.request(10.0)["details"]
    course.take(answer(figures=figures), 11.0, 0.0)
    assert course.request(12.0)["details"]


def test_a_driver_that_hangs_is_asked_again_only_with_the_details() -> None:
    course = started(gpus=1)
    hangs = "nvidia-smi: no answer after 3 s"
    assert course.take(answer(gpu_note=hangs), 2.0, 0.0)["gpu_note"] == hangs
    assert not course.request(3.0)["figures"]
    assert course.take(answer(), 13.0, 0.0)["gpu_note"] == hangs, "still known"
    assert course.take(answer(gpus=1), 61.0, 0.0)["gpu_note"] == ""
    assert course.request(62.0)["figures"]


def test_a_host_that_is_away_is_tried_less_and_less() -> None:
    course = started(gpus=1)
    pauses = [course.fail("Connection timed out", 0.0)[1] for _try in range(6)]
    assert pauses == [2.0, 4.0, 8.0, 16.0, 30.0, 30.0]
    assert course.request(100.0) == {"seconds": 0.0, "seen": "", "details": False, "figures": False}
    assert course.take(answer(), 100.0, 0.0)["gpus"], "the last known ones"
    assert course.request(101.0)["details"], "it may have rebooted"
    assert course.fail("away", 0.0)[1] == 2.0


@pytest.mark.parametrize(
    "fault", ["Incorrect sudo password", "Permission denied (publickey,password).", "Missing sudo password"]
)
def test_a_refused_login_is_not_tried_until_the_user_is_locked_out(fault: str) -> None:
    seen, pause = started().fail(fault, 7.0)
    assert pause == module.REFUSED_S
    assert seen == {"schema": 1, "host": "gpu1", "time": 7.0, "fault": fault}


def test_a_fault_is_one_line() -> None:
    seen, _pause = started().fail("lost\n  to\x1b[2J" + " the host" * 1000, 0.0)
    assert seen["fault"].startswith("lost to?[2J the host") and len(seen["fault"]) == 500

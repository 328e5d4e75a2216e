"""The plan for the admin's file of keys."""

from __future__ import annotations

import hashlib
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.gateway.key_values import FilePlan, plan_file
from ansible_collections.inference.fleet.tests.unit.samples import faults

VALUE = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"


def answer(*missing: str, **there: str) -> dict[str, Any]:
    """The result of litellm_key in check mode. there: alias -> value."""
    return {"missing": list(missing), "tokens": {alias: token(value) for alias, value in there.items()}}


def token(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def keys(*aliases: str, **more: Any) -> list[dict[str, Any]]:
    return [{"alias": alias, **more} for alias in aliases]


def plan(kept: dict[str, str], observed: dict[str, dict[str, Any]], lists: dict[str, list[dict[str, Any]]]) -> FilePlan:
    return plan_file(kept, "keys.yml", observed, lists)


def test_every_alias_that_a_host_lacks_gets_one_value() -> None:
    assert plan(
        {"c": VALUE},
        {"gpu1": answer("b", "a"), "gpu2": answer("a", "c")},
        {"gpu1": keys("a", "b"), "gpu2": keys("a", "c")},
    ) == FilePlan(new=("a", "b"))


def test_nothing_missing_is_nothing_to_do() -> None:
    assert plan({"a": VALUE}, {"gpu1": answer(a=VALUE)}, {"gpu1": keys("a")}) == FilePlan()


def test_keys_that_were_made_before_there_was_a_file_stay_out_of_it() -> None:
    assert plan({}, {"gpu1": answer(a=VALUE)}, {"gpu1": keys("a")}) == FilePlan()


def test_a_host_that_came_later_gets_the_value_of_the_others() -> None:
    assert (
        plan(
            {"a": VALUE},
            {"gpu1": answer(a=VALUE), "gpu2": answer("a")},
            {"gpu1": keys("a"), "gpu2": keys("a")},
        )
        == FilePlan()
    )


def test_no_second_value_is_made_up_for_an_application_that_has_one() -> None:
    assert faults(plan, {}, {"gpu1": answer(a=VALUE), "gpu2": answer("a")}, {"gpu1": keys("a"), "gpu2": keys("a")}) == [
        "a: gpu2 has no such key yet and keys.yml has no value for it, while gpu1 has the key already; put its value "
        "into that file, or remove the key on all hosts (state: absent) and then recreate it"
    ]


def test_a_key_that_is_about_to_go_from_a_host_counts_as_gone() -> None:
    assert plan(
        {},
        {"gpu1": answer(a=VALUE), "gpu2": answer("a")},
        {"gpu1": keys("a", state="absent"), "gpu2": keys("a")},
    ) == FilePlan(new=("a",))


def test_an_absent_alias_goes_if_no_host_of_the_fleet_has_it_any_more() -> None:
    kept = {"a": VALUE, "b": OTHER}
    observed = {"gpu1": answer()}
    absent = keys("a", "b", state="absent")
    assert plan(kept, observed, {"gpu1": absent}) == FilePlan(gone=("a", "b"))
    assert plan(kept, observed, {"gpu1": absent, "gpu2": keys("a")}) == FilePlan(gone=("b",))


def test_aliases_that_no_list_has_stay() -> None:
    assert plan({"a": VALUE}, {"gpu1": answer()}, {"gpu1": []}) == FilePlan()


def test_a_host_that_this_run_leaves_out_takes_nothing_away() -> None:
    assert plan({"a": VALUE}, {"gpu1": answer()}, {"gpu1": [], "gpu2": keys("a", state="absent")}) == FilePlan()


def test_a_key_that_differs_from_the_file_is_left_alone_and_reported() -> None:
    found = plan({"a": VALUE}, {"gpu1": answer(a=OTHER)}, {"gpu1": keys("a")})
    assert found.warnings == (
        "a: the key on gpu1 differs from the one in keys.yml and was not changed. To use the key of the file, remove "
        "the key on that host (state: absent) and run again",
    )


def test_a_key_that_is_about_to_get_the_value_of_the_inventory_is_not_reported_as_different() -> None:
    lists = {"gpu1": keys("a", key=VALUE)}
    assert plan({"a": VALUE}, {"gpu1": answer(a=OTHER)}, lists) == FilePlan()


def test_a_value_of_the_inventory_and_another_of_the_file_are_a_fault_that_shows_neither() -> None:
    lists = {"gpu1": keys("a", key=OTHER)}
    assert faults(plan, {"a": VALUE}, {"gpu1": answer()}, lists) == [
        "a: the inventory of gpu1 gives it a value and keys.yml has another; remove one of them"
    ]
    assert plan({"a": OTHER}, {"gpu1": answer()}, lists) == FilePlan()
    assert plan({}, {"gpu1": answer()}, lists) == FilePlan()

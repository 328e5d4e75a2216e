"""The plan for virtual keys: LiteLLM's keys against the inventory."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway import litellm
from ansible_collections.inference.fleet.plugins.module_utils.gateway.keys import (
    ObservedKey,
    Plan,
    expired,
    plan_keys,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import LITELLM_METADATA, VirtualKey
from ansible_collections.inference.fleet.tests.unit.gateway.fake_litellm import FakeLiteLLM
from ansible_collections.inference.fleet.tests.unit.samples import faults
from hypothesis import given, strategies

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
VALUE = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"
ALL = {
    "models": ["a", "b"],
    "max_budget": 20,
    "budget_duration": "30d",
    "rpm_limit": 60,
    "tpm_limit": 1000,
    "max_parallel_requests": 4,
    "expires": "2027-01-31",
    "metadata": {"team": "x", "n": [1, None, True]},
}


def key(alias: str = "app", **entry: Any) -> VirtualKey:
    return VirtualKey.parse({"alias": alias, **entry}, "fleet_keys[0]")


def seen(alias: str | None = "app", value: str = VALUE, **fields: Any) -> ObservedKey:
    token = hashlib.sha256(value.encode()).hexdigest()
    return ObservedKey.parse({"token": token, "key_alias": alias, **fields})


def plan(observed: list[ObservedKey], *desired: VirtualKey, now: datetime = NOW) -> Plan:
    return plan_keys(observed, desired, now)


def actions(observed: list[ObservedKey], *desired: VirtualKey, now: datetime = NOW) -> list[str]:
    return list(map(str, plan(observed, *desired, now=now).actions))


# What there is to do


def test_makes_what_is_missing_changes_what_differs_and_removes_what_is_absent() -> None:
    there = [seen("b", max_budget=1.0), seen("c", OTHER)]
    assert actions(there, key("a"), key("b"), key("c", state="absent")) == [
        "delete c (state: absent)",
        "create a (missing)",
        "update b (changed: max_budget)",
    ]


def test_never_touches_keys_that_are_not_in_the_list() -> None:
    assert actions([seen("other", max_budget=1.0), seen(None, OTHER)]) == []


def test_paths_in_another_order_are_the_same_paths_and_others_are_a_change() -> None:
    limited = key(allowed_routes=["/metrics/", "/metrics"])
    assert actions([seen(allowed_routes=["/metrics", "/metrics/"])], limited) == []
    assert actions([seen(allowed_routes=[])], limited) == ["update app (changed: allowed_routes)"]
    assert actions([seen(allowed_routes=["/metrics"])], key()) == ["update app (changed: allowed_routes)"]


def test_an_absent_key_that_is_not_there_is_nothing_to_do() -> None:
    assert actions([], key(state="absent")) == []


def test_a_new_key_has_every_setting_that_was_asked_for_and_no_other() -> None:
    (action,) = plan([], key(max_budget=5, models=["a"])).actions
    assert action.changes == {"models": ((), ("a",)), "max_budget": (None, 5.0)}


def test_everything_that_changed_is_reported_with_before_and_after() -> None:
    observed = seen(models=["a"], max_budget=10.0, rpm_limit=5, expires="2027-01-31T00:00:00Z", metadata={"a": 1})
    (action,) = plan([observed], key(models=["b"], max_budget=20, metadata={"a": 2}, tpm_limit=7)).actions
    assert action.token == observed.token
    assert action.changes == {
        "models": (("a",), ("b",)),
        "max_budget": (10.0, 20.0),
        "rpm_limit": (5, None),
        "tpm_limit": (None, 7),
        "expires": (datetime(2027, 1, 31, tzinfo=UTC), None),
        "metadata": ({"a": 1}, {"a": 2}),
    }


@pytest.mark.parametrize("name", sorted(ALL))
def test_a_setting_that_is_taken_out_goes_back_to_its_default(name: str) -> None:
    fake = FakeLiteLLM(lambda: NOW)
    apply(plan([], key(**ALL)), fake)
    rest = {other: value for other, value in ALL.items() if other != name}
    left = plan(observe(fake), key(**rest))
    assert [str(action) for action in left.actions] == [f"update app (changed: {name})"]
    apply(left, fake)
    assert fake.by_alias("app")[name] == ([] if name == "models" else {} if name == "metadata" else None)


# What is no difference


@pytest.mark.parametrize(
    ("observed", "desired"),
    [
        ({}, {}),
        ({"models": None, "metadata": None, "expires": None, "max_budget": None}, {}),
        ({"models": ["b", "a"]}, {"models": ["a", "b"]}),
        ({"models": ["a", "a"]}, {"models": ["a"]}),
        ({"max_budget": 20}, {"max_budget": 20.0}),
        ({"metadata": {"n": 1.0}}, {"metadata": {"n": 1}}),
        ({"metadata": {"n": [1, 2]}}, {"metadata": {"n": (1, 2)}}),
        ({"metadata": {"tags": ["x"], "guardrails": [], "team": "a"}}, {"metadata": {"team": "a"}}),
        ({"metadata": {"model_rpm_limit": {"a": 1}}}, {}),
    ],
)
def test_what_litellm_writes_otherwise_is_no_change(observed: dict[str, Any], desired: dict[str, Any]) -> None:
    assert actions([seen(**observed)], key(**desired)) == []


@pytest.mark.parametrize(
    "expires",
    [
        "2027-01-31T12:00:00Z",
        "2027-01-31T12:00:00.405000Z",
        "2027-01-31T12:00:00.405123+00:00",
        "2027-01-31T12:00:00",
        "2027-01-31T14:00:01.5+02:00",
        "2027-01-31 12:00:00.123456789",
        "2027-01-31T11:59:10Z",
    ],
)
def test_an_expiry_is_the_same_in_any_notation_and_within_a_minute(expires: str) -> None:
    assert actions([seen(expires=expires)], key(expires="2027-01-31T12:00:00Z")) == []


@pytest.mark.parametrize(
    ("observed", "desired", "same"),
    [
        ("2027-01-31T12:02:00Z", "2027-01-31T12:00:00Z", False),
        (None, "2027-01-31T12:00:00Z", False),
        ("2027-01-31T12:00:00Z", None, False),
        ("2020-01-01T00:00:00Z", "2021-01-01", True),
        ("2020-01-01T00:00:00Z", "2027-01-01", False),
        ("2027-01-01T00:00:00Z", "2020-01-01", False),
        (None, "2020-01-01", False),
    ],
)
def test_two_moments_that_are_over_are_one(observed: str | None, desired: str | None, same: bool) -> None:
    assert (actions([seen(expires=observed)], key(expires=desired)) == []) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": True}, {"a": 1}),
        ({"a": "1"}, {"a": 1}),
        ({"a": None}, {}),
        ({"a": []}, {"a": {}}),
        ({"a": [1]}, {"a": [1, 1]}),
    ],
)
def test_metadata_that_is_not_the_same_json_is_a_change(one: Any, other: Any) -> None:
    assert actions([seen(metadata=one)], key(metadata=other)) == ["update app (changed: metadata)"]


def test_what_litellm_keeps_in_the_metadata_is_sent_back_with_new_metadata() -> None:
    fake = FakeLiteLLM(lambda: NOW)
    fake.add("app", VALUE, metadata={"tags": ["x"], "old": 1})
    apply(plan(observe(fake), key(metadata={"team": "a"})), fake)
    assert fake.by_alias("app")["metadata"] == {"tags": ["x"], "team": "a"}


# A key whose time is over


def test_a_key_that_is_over_is_not_made() -> None:
    assert actions([], key(expires="2026-11-24T12:00:00Z")) == []
    assert actions([], key(expires="2026-11-24T12:00:01Z")) == ["create app (missing)"]


def test_a_key_that_is_over_is_ended_where_it_still_goes() -> None:
    fake = FakeLiteLLM(lambda: NOW)
    fake.add("app", VALUE)
    apply(plan(observe(fake), key(expires="2020-01-01")), fake)
    assert fake.by_alias("app")["expires"] == "2026-11-24T12:00:00.000Z"
    assert actions(observe(fake), key(expires="2020-01-01")) == []


# Values


def test_a_key_with_the_value_that_was_asked_for_stays() -> None:
    assert actions([seen(value=VALUE)], key(key=VALUE)) == []


def test_a_key_with_another_value_is_recreated() -> None:
    changed = plan([seen(value=OTHER, max_budget=1.0)], key(key=VALUE, rpm_limit=5))
    assert list(map(str, changed.actions)) == ["delete app (has another value)", "create app (missing)"]
    assert changed.actions[1].changes == {"rpm_limit": (None, 5)}


def test_a_key_with_another_value_whose_time_is_over_is_only_removed() -> None:
    assert actions([seen(value=OTHER)], key(key=VALUE, expires="2020-01-01")) == ["delete app (has another value)"]


def test_a_value_that_another_key_has_is_refused_and_not_shown() -> None:
    """LiteLLM would report success without creating the key."""
    assert faults(plan, [seen("old")], key("new", key=VALUE)) == [
        "new: the key 'old' in LiteLLM has the same value; remove that key, or give another value"
    ]
    (fault,) = faults(plan, [seen(None)], key("new", key=VALUE))
    assert fault.startswith("new: a key without an alias (")
    assert VALUE not in fault


def test_a_value_may_move_to_another_alias_in_one_run() -> None:
    assert actions([seen("old")], key("new", key=VALUE), key("old", state="absent")) == [
        "delete old (state: absent)",
        "create new (missing)",
    ]


def test_missing_are_those_that_need_a_value() -> None:
    made = plan([seen("there", OTHER)], key("a"), key("there"), key("given", key=VALUE), key("gone", state="absent"))
    assert made.missing == ["a"]


def test_keys_with_the_exclusive_prefix_are_deleted_unless_they_are_wanted() -> None:
    there = [seen("open-a"), seen("open-b", OTHER), seen("open-b", "sk-0000000000000000"), seen("opener"), seen(None)]
    wanted = key("open-a", key=VALUE)
    left = plan_keys(there, [wanted], NOW, exclusive_prefix="open-").actions
    assert list(map(str, left)) == ["delete open-b (not wanted)", "delete open-b (not wanted)"]
    assert len({action.token for action in left}) == 2
    assert plan_keys(there, [wanted], NOW).actions == ()


def test_two_keys_of_one_alias_are_refused_if_they_are_asked_for() -> None:
    twice = [seen("app", VALUE), seen("app", OTHER)]
    assert actions(twice, key("another")) == ["create another (missing)"]
    for one in (key(), key(state="absent")):
        (fault,) = faults(plan, twice, one)
        assert fault.startswith("app: LiteLLM has 2 keys with this alias; ")


# What is shown


def test_a_diff_shows_what_changes_and_no_key() -> None:
    there = [seen("b", max_budget=1.0, models=["m"]), seen("c", OTHER, rpm_limit=1)]
    shown = plan(
        there,
        key("a", key="sk-aaaaaaaaaaaaaaaa", expires="2027-01-31"),
        key("b", models=["m"]),
        key("c", state="absent"),
    )
    assert shown.diff() == {
        "before": "c.key: (secret)\nc.rpm_limit: 1\nb.max_budget: 1.0\n",
        "after": "a.key: (secret)\na.expires: 2027-01-31T00:00:00Z\nb.max_budget: null\n",
    }
    assert "sk-" not in repr(shown) + "".join(shown.diff().values())


def test_nothing_to_do_is_an_empty_diff() -> None:
    assert plan([seen()], key()).diff() == {"before": "", "after": ""}


# Round trips


def observe(fake: FakeLiteLLM) -> list[ObservedKey]:
    return [ObservedKey.parse(json.loads(json.dumps(row))) for row in fake.keys.values()]


def apply(todo: Plan, fake: FakeLiteLLM) -> None:
    """As litellm.LiteLLM sends it, at the fake's time."""
    for number, action in enumerate(todo.actions):
        if action.verb == "delete":
            fake.delete({"keys": [action.token]})
            continue
        body = litellm.settings(action, fake.clock())
        if action.verb == "create":
            value = (action.key and action.key.key) or f"sk-generated-{action.alias}-{number:010}"
            fake.generate({"key": value, "key_alias": action.alias, **body})
        else:
            fake.update({"key": action.token, **body})


json_values = strategies.recursive(
    strategies.none()
    | strategies.booleans()
    | strategies.integers(-(2**53), 2**53)
    | strategies.text('ab ü"', max_size=3)
    | strategies.floats(-1e9, 1e9),
    lambda inner: (
        strategies.lists(inner, max_size=3)
        | strategies.dictionaries(strategies.text("ab", max_size=2), inner, max_size=3)
    ),
    max_leaves=6,
)
names = strategies.text("ab", min_size=1, max_size=2)
limits = strategies.none() | strategies.integers(1, 2**31 - 1)
moments = strategies.none() | strategies.datetimes(
    datetime(2026, 11, 1), datetime(2026, 12, 31), timezones=strategies.just(UTC)
)
entries = strategies.fixed_dictionaries(
    {
        "state": strategies.sampled_from(["present", "present", "absent"]),
        "models": strategies.lists(strategies.sampled_from("abc"), max_size=3),
        "max_budget": strategies.none() | strategies.floats(0, 1e6) | strategies.integers(0, 1000),
        "budget_duration": strategies.none() | strategies.sampled_from(["30d", "24h", "1mo"]),
        "rpm_limit": limits,
        "tpm_limit": limits,
        "max_parallel_requests": limits,
        "expires": moments.map(lambda moment: moment and moment.replace(microsecond=0)),
        "metadata": strategies.dictionaries(names, json_values, max_size=3),
        "key": strategies.none() | strategies.integers(0, 10**6).map(lambda number: f"sk-own-{number:020}"),
    }
)
inventories = strategies.dictionaries(names, entries, max_size=4).map(
    lambda found: [
        key(alias, **{**entry, "key": entry["key"] and f"{entry['key']}-{alias}"}) for alias, entry in found.items()
    ]
)


@strategies.composite
def litellms(draw: Any) -> FakeLiteLLM:
    """With foreign keys, LiteLLM's own settings, and a time that is not a whole second."""
    fake = FakeLiteLLM(lambda: NOW + timedelta(milliseconds=417))
    for one in draw(inventories):
        if one.state == "present":
            own = draw(strategies.dictionaries(strategies.sampled_from(sorted(LITELLM_METADATA)), names, max_size=2))
            fake.add(
                one.alias,
                f"sk-somebody-else-{one.alias}",
                models=list(one.models),
                max_budget=one.max_budget,
                rpm_limit=one.rpm_limit,
                metadata={**one.metadata, **own},
                expires=one.expires,
            )
    return fake


@given(litellms(), inventories)
def test_a_plan_that_was_carried_out_leaves_nothing_to_do(fake: FakeLiteLLM, desired: list[VirtualKey]) -> None:
    before = {row["key_alias"]: dict(row) for row in fake.keys.values()}
    apply(plan(observe(fake), *desired, now=fake.clock()), fake)
    assert actions(observe(fake), *desired, now=fake.clock()) == []
    wanted = {one.alias for one in desired}
    after = {row["key_alias"]: row for row in fake.keys.values()}
    assert {alias: row for alias, row in after.items() if alias not in wanted} == {
        alias: row for alias, row in before.items() if alias not in wanted
    }


@given(litellms(), inventories, inventories)
def test_any_inventory_can_follow_any_other(
    fake: FakeLiteLLM, first: list[VirtualKey], second: list[VirtualKey]
) -> None:
    for desired in (first, second):
        apply(plan(observe(fake), *desired, now=fake.clock()), fake)
    assert actions(observe(fake), *second, now=fake.clock()) == []


@given(litellms(), inventories)
def test_a_run_cut_off_anywhere_is_put_right_by_the_next(fake: FakeLiteLLM, desired: list[VirtualKey]) -> None:
    whole = plan(observe(fake), *desired, now=fake.clock())
    apply(Plan(whole.actions[: len(whole.actions) // 2]), fake)
    apply(plan(observe(fake), *desired, now=fake.clock()), fake)
    assert actions(observe(fake), *desired, now=fake.clock()) == []


@pytest.mark.parametrize(
    ("expires", "state", "warned"),
    [
        ("2026-11-24T12:00:00Z", "present", True),
        ("2026-11-24T12:00:01Z", "present", False),
        ("2026-11-24T12:00:00Z", "absent", False),
        (None, "present", False),
    ],
)
def test_a_key_whose_expiry_is_past_is_warned_of(expires: str | None, state: str, warned: bool) -> None:
    made = key(state=state) if expires is None else key(expires=expires, state=state)
    text = "app: expires 2026-11-24T12:00:00Z is past, so the key is not created and no longer valid; "
    assert expired([made], NOW) == ([f"{text}set a later expires or state: absent"] if warned else [])

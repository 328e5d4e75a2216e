"""Entries of `fleet_keys`: valid values, faults and their messages."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest
import yaml
from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import (
    LITELLM_METADATA,
    VirtualKey,
    faults_between_keys,
    parse_keys,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, faults, model
from hypothesis import given, strategies

VALUE = "sk-0123456789abcdef"


def parse(**entry: Any) -> VirtualKey:
    return VirtualKey.parse({"alias": "app", **entry}, "fleet_keys[0]")


def key_faults(**entry: Any) -> list[str]:
    """The faults without their common path."""
    found = faults(VirtualKey.parse, {"alias": "app", **entry}, "fleet_keys[0]")
    return [fault.removeprefix("fleet_keys[0].") for fault in found]


def test_an_alias_is_all_it_takes() -> None:
    assert parse() == VirtualKey(
        alias="app",
        state="present",
        models=(),
        max_budget=None,
        budget_duration=None,
        rpm_limit=None,
        tpm_limit=None,
        max_parallel_requests=None,
        expires=None,
        metadata={},
        key=None,
    )


def test_null_is_as_good_as_not_given() -> None:
    """Ansible sets missing options of a task to null."""
    names = "models max_budget budget_duration rpm_limit tpm_limit max_parallel_requests expires metadata key state"
    assert parse(**dict.fromkeys(names.split())) == parse()


def test_takes_all_there_is() -> None:
    key = VirtualKey.parse(
        yaml.safe_load(f"""
            alias: Team A/chat ü
            models: [b, a, b]
            max_budget: 20
            budget_duration: 30d
            rpm_limit: 60
            tpm_limit: 100000
            max_parallel_requests: 4
            expires: 2027-01-31
            metadata: {{team: a, deep: {{list: [1, 2.5, null, true]}}}}
            key: {VALUE}
        """),
        "fleet_keys[0]",
    )
    assert (key.models, key.max_budget, key.expires, key.key) == (("a", "b"), 20.0, "2027-01-31T00:00:00Z", VALUE)
    assert key.expires_at == datetime(2027, 1, 31, tzinfo=UTC)
    assert key.metadata == {"team": "a", "deep": {"list": [1, 2.5, None, True]}}


def test_a_key_is_not_in_what_is_printed_of_it() -> None:
    assert VALUE not in repr(parse(key=VALUE))


# Aliases


@pytest.mark.parametrize("alias", ["a", "team/app", "a..b", "Ünïcode name", "x" * 255, "1"])
def test_takes_printable_aliases(alias: str) -> None:
    assert parse(alias=alias).alias == alias


@pytest.mark.parametrize("alias", ["", "x" * 256, "a\nb", "a\0", "a\u2028b", 7, ["a"], True])
def test_refuses_aliases_that_nobody_could_read(alias: Any) -> None:
    (fault,) = key_faults(alias=alias)
    assert fault.startswith("alias: expected 1 to 255 printable characters, got ")


@pytest.mark.parametrize("alias", [" a", "a ", "..", "../a", "a/../b", "a/.."])
def test_refuses_aliases_that_litellm_or_a_reader_takes_for_something_else(alias: str) -> None:
    assert key_faults(alias=alias) == [
        f"alias: expected a name without blanks around it and without `..` as a folder, got {alias!r}"
    ]


def test_a_key_where_its_alias_should_be_is_not_shown() -> None:
    assert key_faults(alias=VALUE) == ["alias: expected a name, got what looks like a key and is not shown"]


def test_an_alias_is_required() -> None:
    assert faults(VirtualKey.parse, {}, "fleet_keys[0]") == [
        "fleet_keys[0].alias: missing; expected a name for the key"
    ]


# Values


@pytest.mark.parametrize(
    "value", ["sk-012345678901234", "0123456789abcdef0123", f"{VALUE} ", "sk-0123456789abcdé", 7, ""]
)
def test_refuses_values_that_litellm_would_not_take_and_shows_none(value: Any) -> None:
    assert key_faults(key=value) == [
        "key: expected sk- and at least 16 printable ASCII characters without blanks; what was found is not shown"
    ]


def test_an_entry_that_is_a_key_is_not_shown() -> None:
    assert faults(VirtualKey.parse, VALUE, "fleet_keys[0]") == [
        "fleet_keys[0]: expected a mapping, got text that is not shown"
    ]
    assert faults(parse_keys, VALUE) == ["fleet_keys: expected a list, got text that is not shown"]


# Limits


@pytest.mark.parametrize("budget", [-1, -0.01, float("inf"), float("nan"), True, "20", [1]])
def test_refuses_budgets_that_are_no_sum_of_money(budget: Any) -> None:
    (fault,) = key_faults(max_budget=budget)
    assert fault.startswith("max_budget: expected a number of USD of at least 0, got ")


def test_a_budget_of_nothing_is_one() -> None:
    assert parse(max_budget=0).max_budget == 0.0


@pytest.mark.parametrize("duration", ["1s", "90m", "24h", "30d", "2w", "1mo"])
def test_takes_the_durations_that_litellm_takes(duration: str) -> None:
    assert parse(budget_duration=duration).budget_duration == duration


@pytest.mark.parametrize("duration", ["0d", "-1d", "30", 30, "1y", "1.5h", "30 d", "monthly", "1000000d"])
def test_refuses_other_durations(duration: Any) -> None:
    assert key_faults(budget_duration=duration) == [
        f"budget_duration: expected a number and s, m, h, d, w or mo, such as 24h or 30d, got {duration!r}"
    ]


@pytest.mark.parametrize("limit", ["rpm_limit", "tpm_limit", "max_parallel_requests"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "five", True])
def test_refuses_limits_that_are_none(limit: str, value: Any) -> None:
    """For LiteLLM, 0 means no limit in some places, and no requests at all in others."""
    hint = ", which is text: leave the quotes out" if value == "5" else ""
    assert key_faults(**{limit: value}) == [f"{limit}: expected a whole number of at least 1, got {value!r}{hint}"]


def test_refuses_limits_that_litellms_columns_do_not_hold() -> None:
    assert key_faults(max_parallel_requests=2**31) == [
        "max_parallel_requests: expected at most 2147483647, got 2147483648"
    ]
    assert parse(tpm_limit=2**31).tpm_limit == 2**31


# Expiry


@pytest.mark.parametrize(
    ("given_as", "expires"),
    [
        ("2027-01-31", "2027-01-31T00:00:00Z"),
        ("2027-01-31T12:00:00Z", "2027-01-31T12:00:00Z"),
        ("2027-01-31 12:00", "2027-01-31T12:00:00Z"),
        ("0999-01-31", "0999-01-31T00:00:00Z"),
        ("2027-01-31T12:00:00", "2027-01-31T12:00:00Z"),
        ("2027-01-31T12:00:00+02:00", "2027-01-31T10:00:00Z"),
        (date(2027, 1, 31), "2027-01-31T00:00:00Z"),
        (datetime(2027, 1, 31, 12), "2027-01-31T12:00:00Z"),
        (datetime(2027, 1, 31, 12, tzinfo=timezone(timedelta(hours=-5))), "2027-01-31T17:00:00Z"),
    ],
)
def test_takes_dates_and_times_and_means_utc(given_as: Any, expires: str) -> None:
    assert parse(expires=given_as).expires == expires
    assert parse(expires=given_as).expires_at == datetime.fromisoformat(expires)


@pytest.mark.parametrize(
    "value", ["30d", "tomorrow", "2027-02-30", "2027-1-31", "2027-01-31T25:00:00Z", "31.1.2027", 1801396800, "", [1]]
)
def test_refuses_what_is_no_moment(value: Any) -> None:
    (fault,) = key_faults(expires=value)
    assert fault.startswith(
        "expires: expected a date or a time in UTC, such as 2027-01-31 or 2027-01-31T12:00:00Z, got"
    )


def test_refuses_a_moment_that_no_calendar_has() -> None:
    assert key_faults(expires="0001-01-01T00:00:00+02:00")


@given(strategies.datetimes(min_value=datetime(2000, 1, 1), max_value=datetime(2999, 1, 1)))
def test_an_expiry_is_the_same_however_often_it_is_read(moment: datetime) -> None:
    once = parse(expires=moment.replace(microsecond=0)).expires
    assert parse(expires=once).expires == once


# Metadata


@pytest.mark.parametrize("name", sorted(LITELLM_METADATA))
def test_refuses_metadata_that_litellm_takes_for_a_setting(name: str) -> None:
    assert key_faults(metadata={name: 1}) == [
        f"metadata.{name}: LiteLLM reserves this name for a setting; choose another name"
    ]


@pytest.mark.parametrize(
    ("metadata", "fault"),
    [
        ({"a": date(2027, 1, 31)}, "metadata.a: expected text, a number, true, false, null, a list or a mapping"),
        ({"a": {"b": [0, float("nan")]}}, "metadata.a.b[1]: expected a number between -2^53 and 2^53, got nan"),
        ({"a": 2**60}, "metadata.a: expected a number between -2^53 and 2^53"),
        ({"a": "b\0"}, "metadata.a: expected text without NUL"),
        ({"a": {1: 2}}, "metadata.a: expected names that are text without NUL"),
        ({"a": "\ud800"}, "metadata.a: expected text without NUL"),
        ("a", "metadata: expected a mapping, got 'a'"),
    ],
)
def test_refuses_metadata_that_would_come_back_otherwise(metadata: Any, fault: str) -> None:
    (found,) = key_faults(metadata=metadata)
    assert found.startswith(fault)


# Lists of keys


def test_unknown_keys_are_told() -> None:
    assert key_faults(max_budgets=1) == ["max_budgets: unknown key; did you mean 'max_budget'?"]
    assert key_faults(duration="30d") == ["duration: unknown key; did you mean 'budget_duration'?"]


@given(ANYTHING)
def test_anything_at_all_is_read_or_refused_with_its_path(data: Any) -> None:
    for one in (data, {"alias": data}, {"alias": "a", "metadata": data}, {"alias": "a", "expires": data}):
        try:
            VirtualKey.parse(one, "fleet_keys[0]")
        except FleetError as error:
            assert all(fault.startswith("fleet_keys[0]") for fault in error.faults)


def test_two_keys_of_one_alias_or_one_value_are_a_fault_that_shows_no_value() -> None:
    keys = [{"alias": "a", "key": VALUE}, {"alias": "b", "key": VALUE}, {"alias": "a", "state": "absent"}]
    assert faults(parse_keys, keys) == [
        "fleet_keys[1].key: the value is also the key of fleet_keys[0]",
        "fleet_keys[2].alias: 'a' is also the alias of fleet_keys[0]",
    ]


def test_tells_the_faults_of_all_keys_at_once() -> None:
    assert faults(parse_keys, [{"alias": 1}, {"alias": "b"}, {"alias": "c", "state": "presnt"}]) == [
        "fleet_keys[0].alias: expected 1 to 255 printable characters, got 1",
        "fleet_keys[2].state: expected one of present, absent, got 'presnt'; did you mean 'present'?",
    ]


def test_a_model_that_the_fleet_lacks_is_a_fault_that_names_the_nearest() -> None:
    keys = {0: parse(models=["qwen3-8b", "qwen3-8", "whisper"])}
    models = [model(), model(name="whisper", type="stt")]
    assert faults_between_keys(keys, models) == [
        "fleet_keys[0].models: the fleet has no model 'qwen3-8'; did you mean 'qwen3-8b'?",
    ]
    assert faults_between_keys(keys, None) == []
    assert faults_between_keys(keys, []) != []


def test_a_model_that_is_stopped_or_about_to_go_is_no_fault() -> None:
    models = [model(name="a", state="stopped"), model(name="b", state="absent")]
    assert faults_between_keys({0: parse(models=["a", "b"])}, models) == []


def test_what_an_absent_key_opened_does_not_matter() -> None:
    assert faults_between_keys({0: parse(models=["gone"], state="absent")}, [model()]) == []

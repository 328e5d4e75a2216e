"""Access: direct keys, the secrets of the services, the settings of Caddy and LiteLLM."""

from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from ansible_collections.inference.fleet.plugins.lookup import given_secrets
from ansible_collections.inference.fleet.plugins.module_utils.inventory.access import (
    CaddySettings,
    DirectKey,
    LiteLLMSettings,
    check_rotates,
)
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, entry, faults, fleet
from hypothesis import given

SECRET = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"


def fleet_faults(**variables: Any) -> list[str]:
    return faults(lambda: fleet(**variables))


def app(**changes: Any) -> dict[str, Any]:
    """An entry of `fleet_direct_keys`."""
    return {"name": "app", "key": SECRET, **changes}


# Any secret


@pytest.mark.parametrize(
    "value", ["short", "has blanks in it", "ümläutümläut", 12345678, ["sk-01234567"], "", "a\nb" * 9]
)
@pytest.mark.parametrize(
    ("where", "path"),
    [
        (lambda value: {"hf_token": value}, "fleet_hf_token"),
        (lambda value: {"secrets": {"salt_key": value}}, "fleet_secrets.salt_key"),
        (lambda value: {"secrets": {"postgres_password": value}}, "fleet_secrets.postgres_password"),
        (lambda value: {"direct_keys": [{"name": "app", "key": value}]}, "fleet_direct_keys[0].key"),
    ],
)
def test_refuses_a_secret_without_showing_it(where: Any, path: str, value: Any) -> None:
    assert fleet_faults(**where(value)) == [
        f"{path}: expected at least 8 printable ASCII characters without blanks; what was found is not shown"
    ]


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"secrets": SECRET}, "fleet_secrets: expected a mapping, got text that is not shown"),
        ({"secrets": [SECRET]}, "fleet_secrets: expected a mapping, got a list"),
        ({"direct_keys": SECRET}, "fleet_direct_keys: expected a list, got text that is not shown"),
        ({"direct_keys": {"app": SECRET}}, "fleet_direct_keys: expected a list, got a mapping"),
        ({"keys": SECRET}, "fleet_keys: expected a list, got text that is not shown"),
        ({"direct_keys": [SECRET]}, "fleet_direct_keys[0]: expected a mapping, got text that is not shown"),
        (
            {"direct_keys": [{"name": [SECRET], "key": SECRET}]},
            "fleet_direct_keys[0].name: expected a file name of a-z, 0-9 and - inside, got a list",
        ),
        (
            {"direct_keys": [{"name": "app", "kye": SECRET, "key": SECRET}]},
            "fleet_direct_keys[0].kye: unknown key; did you mean 'key'?",
        ),
        ({"hf_tokn": SECRET}, "fleet_hf_tokn: unknown key; did you mean 'fleet_hf_token'?"),
        ({"models": [entry(env=[f"HF_TOKEN={SECRET}"])]}, "fleet_models[0].env: expected a mapping, got a list"),
        ({"models": {"a": {"env": {"A": SECRET}}}}, "fleet_models: expected a list, got a mapping"),
    ],
)
def test_a_secret_in_the_wrong_shape_is_not_shown(variables: dict[str, Any], message: str) -> None:
    found = fleet_faults(**{"models": [], **variables})
    assert found[0] == message
    assert SECRET not in "\n".join(found)


def test_litellm_takes_only_master_keys_that_begin_with_sk() -> None:
    assert fleet_faults(secrets={"master_key": "0123456789"}) == [
        "fleet_secrets.master_key: LiteLLM takes only keys that begin with sk-"
    ]
    assert fleet(secrets={"master_key": SECRET}).secrets.master_key == SECRET


# Direct keys


@pytest.mark.parametrize("name", ["app", "a", "7", "team-1-batch", "x" * 63])
def test_a_direct_key_has_a_name_and_a_key(name: str) -> None:
    assert fleet(direct_keys=[app(name=name)]).direct_keys == (DirectKey(name, SECRET),)


@pytest.mark.parametrize("one", [{"name": "app"}, {"name": "app", "key": None}])
def test_a_direct_key_without_a_key_has_the_host_make_one(one: dict[str, Any]) -> None:
    read = fleet(direct_keys=[one])
    assert read.direct_keys == (DirectKey("app", None),)
    assert read.given_secrets["direct-app"] is None


@pytest.mark.parametrize("name", ["App", "app.previous", "../app", "a_b", "-app", "app-", "", "x" * 64, "app\n"])
def test_refuses_names_that_are_no_part_of_a_file_name_and_shows_none(name: str) -> None:
    """The value may be the key."""
    assert fleet_faults(direct_keys=[app(name=name)]) == [
        "fleet_direct_keys[0].name: expected a file name of a-z, 0-9 and - inside, got text that is not shown"
    ]


def test_refuses_a_key_without_a_name() -> None:
    assert fleet_faults(direct_keys=[{"key": SECRET}]) == [
        "fleet_direct_keys[0].name: missing; expected a file name of a-z, 0-9 and - inside"
    ]


def test_two_direct_keys_cannot_have_one_name() -> None:
    assert fleet_faults(direct_keys=[app(), app(key=OTHER)]) == [
        "fleet_direct_keys[1].name: 'app' is given twice; expected a different name for each key"
    ]


def test_two_direct_keys_cannot_be_the_same_key() -> None:
    assert fleet_faults(direct_keys=[app(), app(name="other", key=OTHER), app(name="again")]) == [
        "fleet_direct_keys[2].key: is also fleet_direct_keys[0].key; expected a key of its own"
    ]


def test_a_direct_key_cannot_be_the_master_key() -> None:
    assert fleet_faults(secrets={"master_key": SECRET}, direct_keys=[app()]) == [
        "fleet_direct_keys[0].key: is also fleet_secrets.master_key; expected a key of its own"
    ]


def test_keys_that_the_host_makes_are_not_taken_for_the_same() -> None:
    made = fleet(direct_keys=[{"name": "app"}, {"name": "other"}])
    assert [one.key for one in made.direct_keys] == [None, None]


def test_faults_between_keys_count_those_with_faults_of_their_own() -> None:
    assert fleet_faults(direct_keys=["app", app(), app(name="again"), app(key=OTHER)]) == [
        "fleet_direct_keys[0]: expected a mapping, got text that is not shown",
        "fleet_direct_keys[2].key: is also fleet_direct_keys[1].key; expected a key of its own",
        "fleet_direct_keys[3].name: 'app' is given twice; expected a different name for each key",
    ]


# The secrets of a host


def test_every_secret_of_a_host_is_named_by_its_file() -> None:
    """Each secret has a file of its own, whatever the name of a direct key."""
    read = fleet(
        secrets={"salt_key": OTHER}, direct_keys=[app(), {"name": "ci"}, {"name": "master-key"}], hf_token="hf_01234567"
    )
    assert read.given_secrets == {
        "master_key": None,
        "salt_key": OTHER,
        "postgres_password": None,
        "open_key": None,
        "direct-app": SECRET,
        "direct-ci": None,
        "direct-master-key": None,
    }


def test_without_an_inventory_the_host_makes_them_all() -> None:
    assert fleet().given_secrets == dict.fromkeys(("master_key", "salt_key", "postgres_password", "open_key"))


def test_the_lookup_gives_them_to_a_task() -> None:
    variables = {"fleet_models": [entry()], "fleet_direct_keys": [app()], "other": 1, "inventory_hostname": "gpu1"}
    lookup = given_secrets.LookupModule(templar=Mock(template=lambda value: value))
    assert lookup.run([], variables) == [fleet(direct_keys=[app()]).given_secrets]


# Settings


@pytest.mark.parametrize(
    ("data", "caddy"),
    [
        ({}, CaddySettings(max_body_mb=512)),
        ({"max_body_mb": None}, CaddySettings()),
        ({"max_body_mb": 1}, CaddySettings(1, 1)),
        ({"max_api_body_mb": 64, "check_key_above_kb": 1}, CaddySettings(512, 64, 1)),
    ],
)
def test_reads_how_large_a_request_may_be(data: Any, caddy: CaddySettings) -> None:
    assert fleet(caddy=data).caddy == caddy


def test_reads_the_settings_of_litellm() -> None:
    given = {"workers": 4, "restart_wait": 0, "spend_log_days": 7}
    assert fleet(schema=2, litellm=given).litellm == LiteLLMSettings(4, 0, 7, 10)


def test_spend_logs_are_kept_for_90_days_and_never_for_ever() -> None:
    assert fleet().litellm.spend_log_days == 90
    for days in (0, -1, "forever"):
        (fault,) = fleet_faults(litellm={"spend_log_days": days})
        assert fault.startswith("fleet_litellm.spend_log_days: expected a whole number of at least 1, got")


def test_the_secret_of_the_sign_in_is_never_generated_and_changes_with_the_inventory() -> None:
    assert fleet(secrets={"oidc_client_secret": SECRET}).given_secrets["oidc_client_secret"] == SECRET
    public = fleet(secrets={"oidc_client_secret": SECRET}).public()
    for special in ("permanent_secrets", "overlapping_secrets", "secret_prefixes"):
        assert "oidc_client_secret" not in public[special]
    assert SECRET not in str(public)
    (fault,) = faults(check_rotates, "oidc_client_secret")
    assert fault.startswith("secret: expected a secret that rotates, got 'oidc_client_secret'")


@pytest.mark.parametrize(("data", "gigabytes"), [({}, 4), ({"workers": 3}, 8), ({"workers": 3, "memory_gb": 2}, 2)])
def test_the_limit_of_memory_grows_with_the_workers(data: Any, gigabytes: int) -> None:
    assert fleet(litellm=data).litellm.memory_gb == gigabytes


def test_refuses_more_processes_of_litellm_than_a_host_has_memory_for() -> None:
    assert faults(lambda: fleet(litellm={"workers": 10**9})) == [
        "fleet_litellm.workers: expected a whole number of at least 1 and at most 256, got 1000000000"
    ]


# Anything at all


@given(ANYTHING)
def test_a_direct_key_is_in_no_fault(value: Any) -> None:
    for entries in (SECRET, [SECRET], [value, SECRET], [{"name": value, "key": [SECRET]}], [app(kee=value)]):
        assert not any(SECRET in fault for fault in fleet_faults(direct_keys=entries))


@pytest.mark.parametrize("alias", ["fleet-open-qwen3-8b", "fleet-metrics"])
def test_aliases_that_the_collection_makes_for_itself_are_refused(alias: str) -> None:
    assert fleet_faults(keys=[{"alias": alias}]) == [
        f"fleet_keys[0].alias: {alias!r} is reserved for the collection; "
        "choose an alias that is not fleet-metrics and does not begin with fleet-open-"
    ]

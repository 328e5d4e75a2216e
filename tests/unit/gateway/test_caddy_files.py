"""The files that Caddy reads: the accepted keys, and the models of each route."""

from __future__ import annotations

import re
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.filter import caddy_files as caddy_files_filter
from ansible_collections.inference.fleet.plugins.filter import open_keys as open_keys_filter
from ansible_collections.inference.fleet.plugins.module_utils.gateway.caddy_files import NOTHING, caddy_files, open_keys
from ansible_collections.inference.fleet.plugins.module_utils.inventory.virtual_key import VirtualKey
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet, model_faults

SECRETS = {"master_key": "sk-master", "salt_key": "sk-salt", "postgres_password": "postgres", "open_key": "sk-open"}
UNTIL = 1_800_000_000


def models(*entries: dict[str, Any]) -> list[dict[str, Any]]:
    """The models as in the fact `fleet`."""
    found: list[dict[str, Any]] = fleet(*entries).public()["models"]
    return found


def files(*entries: dict[str, Any], previous: dict[str, str] | None = None, **more: str) -> dict[str, str]:
    """previous: name -> values separated by blanks, newest first. more: direct keys."""
    kept = {
        name: [{"value": value, "until": UNTIL - index} for index, value in enumerate(values.split())]
        for name, values in (previous or {}).items()
    }
    direct = {f"direct-{name}": key for name, key in more.items()}
    return caddy_files({**SECRETS, **direct}, kept, models(*entries))


# Keys


def test_the_master_key_opens_both_litellm_and_the_direct_routes() -> None:
    found = files()
    assert (found["master"], found["direct"]) == ("Bearer sk-master", "Bearer sk-master")


def test_a_direct_key_opens_the_direct_routes_alone() -> None:
    found = files(app="sk-app", ci="sk-ci")
    assert found["direct"].splitlines() == ["Bearer sk-master", "Bearer sk-app", "Bearer sk-ci"]
    assert found["master"] == "Bearer sk-master"


def test_caddy_comes_to_litellm_with_the_keys_alone() -> None:
    found = files()
    assert (found["litellm"], found["open_key"]) == ("sk-master", "sk-open")


def test_caddy_has_a_password_for_litellm_that_no_rotation_changes() -> None:
    found = files()
    assert found["gateway"] == files(previous={"master_key": "sk-x"})["gateway"]
    assert found["gateway"] == caddy_files({**SECRETS, "master_key": "sk-new"}, {}, [])["gateway"]
    assert found["gateway"] != caddy_files({**SECRETS, "salt_key": "sk-other"}, {}, [])["gateway"]
    assert re.fullmatch("[0-9a-f]{64}", found["gateway"])


@pytest.mark.parametrize("name", ["master", "direct"])
def test_a_rotated_key_is_among_the_previous_ones_before_it_leaves_the_others(name: str) -> None:
    """host_secrets writes the files in this order."""
    order = list(files())
    assert order.index(f"previous-{name}") < order.index(name)


def test_what_does_not_open_the_door_is_in_none_of_its_files() -> None:
    everything = "\n".join(files(previous={"salt_key": "sk-old-salt", "postgres_password": "sk-old"}).values())
    assert [secret for secret in ("sk-salt", "postgres", "sk-old") if secret in everything] == []


def test_keys_of_before_stand_after_the_second_at_which_they_end() -> None:
    found = files(previous={"master_key": "sk-2 sk-1", "direct-app": "sk-app-2 sk-app-1"}, app="sk-app", ci="sk-ci")
    of_master = [f"{UNTIL} Bearer sk-2", f"{UNTIL - 1} Bearer sk-1"]
    assert found["previous-master"].splitlines() == of_master
    assert found["previous-direct"].splitlines() == [
        *of_master,
        f"{UNTIL} Bearer sk-app-2",
        f"{UNTIL - 1} Bearer sk-app-1",
    ]


def test_a_key_of_before_is_not_among_those_without_an_end() -> None:
    found = files(previous={"master_key": "sk-before", "direct-app": "sk-app-before"}, app="sk-app")
    assert not any("before" in found[name] for name in ("master", "direct", "litellm", "open_key"))


def test_a_direct_key_that_is_gone_is_let_in_no_longer_and_neither_is_the_one_before() -> None:
    assert files(previous={"direct-gone": "sk-gone"}) == files()


# Routes


def test_models_stand_with_the_routes_that_they_have() -> None:
    found = files(
        entry(name="plain"),
        entry(name="fast", direct=True),
        entry(name="free", type="embedding", open=True),
        entry(name="both", open=True, direct=True),
        entry(name="voice", type="tts"),
    )
    assert found["direct-models"].splitlines() == ["fast", "both", "voice"]
    assert found["open-models"].splitlines() == ["free", "both"]


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_model_that_does_not_run_has_no_route(state: str) -> None:
    found = files(entry(open=True, direct=True, state=state), entry(name="voice", type="tts", state=state))
    assert (found["direct-models"], found["open-models"]) == (NOTHING, NOTHING)


def test_every_file_is_there_and_has_something_in_it_whatever_the_inventory_says() -> None:
    """Caddy would answer with an error if a file was missing or empty."""
    least = files()
    assert least.keys() == files(entry(open=True, direct=True), previous={"master_key": "sk-x"}, app="sk-app").keys()
    assert all(least.values())


def test_what_stands_for_nothing_is_neither_a_model_nor_a_key() -> None:
    assert model_faults(name=NOTHING)
    assert not set(NOTHING) & set("abcdefghijklmnopqrstuvwxyz0123456789-")  # of which a path's model is
    assert " " not in NOTHING


def test_models_change_the_files_of_models_alone_and_keys_those_of_keys() -> None:
    base = files()
    with_models, with_keys = files(entry(open=True, direct=True)), files(previous={"master_key": "sk-x"}, app="sk-app")
    assert {name for name in base if base[name] != with_models[name]} == {"direct-models", "open-models"}
    assert {name for name in base if base[name] != with_keys[name]} == {
        "direct",
        "previous-master",
        "previous-direct",
    }


# The virtual keys of the open routes


def test_an_open_model_has_a_key_that_opens_it_alone() -> None:
    assert open_keys("sk-open", models(entry(name="free", open=True))) == [
        {"alias": "fleet-open-free", "models": ["free"], "key": "sk-open-free"}
    ]


def test_an_open_model_is_open_with_its_adapters() -> None:
    (key,) = open_keys("sk-open", models(entry(name="free", open=True, adapters={"sql": "own/sql"})))
    assert key["models"] == ["free", "sql"]


@pytest.mark.parametrize("state", ["running", "stopped", "absent"])
def test_where_none_is_open_there_are_no_keys(state: str) -> None:
    closed = state == "running"
    assert open_keys("sk-open", models(entry(open=not closed, state=state), entry(name="v", type="tts"))) == []


def test_the_keys_are_such_as_a_person_could_ask_for() -> None:
    """litellm_key accepts these options."""
    keys = open_keys("sk-open-0123456789", models(entry(name="free", open=True), entry(name="plain")))
    parsed = [VirtualKey.parse(one, f"keys[{index}]") for index, one in enumerate(keys)]
    assert [one.alias for one in parsed] == ["fleet-open-free"]


# The filters


def test_the_filters_take_what_host_secrets_returns() -> None:
    reported = {
        "values": SECRETS,
        "previous": {"master_key": [{"value": "sk-before", "until": UNTIL}]},
        "changed": True,
    }
    fact = models(entry(name="free", open=True))
    (as_files,) = caddy_files_filter.FilterModule().filters().values()
    (as_keys,) = open_keys_filter.FilterModule().filters().values()
    assert as_files(reported, fact) == files(entry(name="free", open=True), previous={"master_key": "sk-before"})
    assert as_keys(reported, fact) == open_keys("sk-open", fact)

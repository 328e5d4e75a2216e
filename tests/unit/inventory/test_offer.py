"""Aliases, fallbacks and prices: what cannot be is told with its place."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.offer import PARTS, Price
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import budget_warnings
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet


def faults(*entries: dict[str, Any], **variables: Any) -> tuple[str, ...]:
    with pytest.raises(FleetError) as error:
        fleet(*entries, **variables)
    return error.value.faults


A, B = entry(name="a"), entry(name="b")


@pytest.mark.parametrize(
    ("aliases", "fault"),
    [
        ({"b": "a"}, "fleet_aliases.b: is also the name of a model or an adapter; choose another alias, or rename"),
        ({"gpt": "c"}, "fleet_aliases.gpt: the fleet has no model 'c'"),
        ({"gpt": "aa"}, "fleet_aliases.gpt: the fleet has no model 'aa'; did you mean 'a'?"),
        ({"x": "gpt", "gpt": "a"}, "fleet_aliases.x: 'gpt' is an alias itself; expected the model 'a'"),
        ({"gpt": 4}, "fleet_aliases.gpt: expected the name of a model, got 4"),
        ({"a b": "a"}, "fleet_aliases.a b: expected a name of letters, digits and . _ : @ / - inside, got 'a b'"),
        (["gpt"], "fleet_aliases: expected a mapping, got a list"),
    ],
)  # fmt: skip
def test_an_alias_stands_for_a_model_alone(aliases: Any, fault: str) -> None:
    (found,) = faults(A, B, aliases=aliases)
    assert found.startswith(fault)


def test_aliases_of_models_and_adapters_are_names_that_keys_may_have() -> None:
    given = fleet(
        entry(name="a", adapters={"sql": "own/sql"}),
        aliases={"openai/gpt-4o": "a", "sql-old": "sql"},
        keys=[{"alias": "app", "models": ["openai/gpt-4o", "sql"]}],
    )
    assert given.aliases == {"openai/gpt-4o": "a", "sql-old": "sql"}
    (found,) = faults(A, aliases={"gpt": "a"}, keys=[{"alias": "app", "models": ["gpd"]}])
    assert found == "fleet_keys[0].models: the fleet has no model 'gpd'; did you mean 'gpt'?"


def test_an_alias_of_a_model_that_is_about_to_go_stands_for_nothing() -> None:
    assert faults(entry(name="a", state="absent"), aliases={"gpt": "a"}) == (
        "fleet_aliases.gpt: the fleet has no model 'a'",
    )


@pytest.mark.parametrize(
    ("fallbacks", "fault"),
    [
        (["a"], "'a' is the model itself"),
        (["c"], "the fleet has no model 'c'"),
        (["embeds"], "'embeds' is of type embedding, and answers no requests for the type chat"),
        (["back"], "'back' has 'a' as its own fallback: a request would go in a circle; remove one of the two"),
    ],
)
def test_another_model_has_to_be_one_that_can_answer(fallbacks: list[str], fault: str) -> None:
    found = faults(
        entry(name="a", fallbacks=fallbacks),
        entry(name="embeds", type="embedding"),
        entry(name="sees", type="vision", fallbacks=[]),
        entry(name="back", fallbacks=["a"]),
    )
    assert f"fleet_models[0].fallbacks: {fault}" in found


def test_chat_and_vision_answer_for_each_other() -> None:
    assert fleet(entry(name="a", fallbacks=["sees"]), entry(name="sees", type="vision")).models[0].fallbacks == (
        "sees",
    )


@pytest.mark.parametrize("type", PARTS)
def test_a_price_has_the_parts_that_are_counted_for_its_type(type: str) -> None:
    price = dict.fromkeys(PARTS[type], 3)
    (model,) = fleet(entry(type=type, price=price)).models
    assert model.price and len(model.price.parameters(type)) == len(PARTS[type])
    other = next(name for name in ("second", "image") if name not in PARTS[type])
    (found,) = faults(entry(type=type, price={other: 1}))
    assert f"price: {other}: not counted for the type {type}" in found


def test_a_price_is_for_a_million_tokens() -> None:
    assert Price(input=0.15).parameters("chat") == {"input_cost_per_token": 0.15 / 1e6}


def test_a_budget_on_models_without_a_price_is_a_warning() -> None:
    keys = [
        {"alias": "all", "max_budget": 5},
        {"alias": "paid", "max_budget": 5, "models": ["paid"]},
        {"alias": "by-alias", "max_budget": 5, "models": ["gpt"]},
        {"alias": "gone", "max_budget": 5, "state": "absent"},
        {"alias": "free"},
    ]
    given = fleet(A, entry(name="paid", price={"input": 1}), aliases={"gpt": "a"}, keys=keys)
    assert budget_warnings(given) == [
        "fleet_keys (all).max_budget: has no effect on a: set `price` of the model",
        "fleet_keys (by-alias).max_budget: has no effect on a: set `price` of the model",
    ]


@pytest.mark.parametrize(
    "origin", ["https://chat.example.com/", "chat.example.com", "https://Chat.example.com", "https://a b", "null", 1]
)
def test_an_origin_is_as_browsers_send_it(origin: Any) -> None:
    (found,) = faults(caddy={"cors_origins": [origin]})
    assert found.startswith("fleet_caddy.cors_origins[0]: expected an origin as browsers send it")


def test_origins_are_names_addresses_or_all() -> None:
    origins = ("https://chat.example.com", "http://localhost:3000", "http://[::1]:8080", "*")
    assert fleet(caddy={"cors_origins": list(origins)}).caddy.cors_origins == origins


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"general_settings": {"master_key": "sk-x"}}, "general_settings.master_key: set by the collection, or against "
         "what it promises; use fleet_secrets.master_key"),
        ({"litellm_settings": {"callbacks": ["x"]}}, "litellm_settings.callbacks: set by the collection"),
        ({"router_settings": {"num_retries": 3}}, "router_settings.num_retries: set by the collection"),
        ({"general_setting": {}}, "general_setting: unknown key; did you mean 'general_settings'?"),
        ({"litellm_settings": ["drop_params"]}, "litellm_settings: expected a mapping"),
    ],
)  # fmt: skip
def test_settings_that_undo_what_is_promised_are_refused(settings: dict[str, Any], fault: str) -> None:
    (found,) = faults(litellm={"settings": settings})
    assert found.startswith(f"fleet_litellm.settings.{fault}")

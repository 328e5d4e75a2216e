"""The rendered configuration of LiteLLM: a deployment for each model and adapter, and no choice of its own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible.parsing.dataloader import DataLoader
from ansible.template import Templar, trust_as_template
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import TYPES
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

ROLE = Path(__file__).resolve().parents[2] / "roles/litellm"


def config(*entries: dict[str, Any], **variables: Any) -> dict[str, Any]:
    """Models, router, and what other models answer for them."""
    data: dict[str, Any] = yaml.safe_load(rendered(*entries, **variables).split("  callbacks:")[0])
    return data


def rendered(*entries: dict[str, Any], **variables: Any) -> str:
    known = yaml.safe_load((ROLE / "vars/main.yml").read_text())
    templar = Templar(DataLoader(), {**known, "fleet": fleet(*entries, **variables).public()}).copy_with_new_env(
        searchpath=[str(ROLE / "templates"), str(ROLE / "files")]
    )
    source = (ROLE / "templates/config.yaml.j2").read_text()
    source = re.sub(r"\{\{ \(lookup.*?\}\}", "x", source)  # a lookup of a file of the role
    text: str = templar.template(trust_as_template(source), escape_backslashes=False, overrides={"trim_blocks": True})
    return text


def deployments(*entries: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    """Name for clients, model of the engine, the model's path at Caddy and ID."""
    return [
        (
            one["model_name"],
            one["litellm_params"]["model"],
            one["litellm_params"]["api_base"].removeprefix("http://caddy:9080/").removesuffix("/v1"),
            one["model_info"]["id"],
        )
        for one in config(*entries)["model_list"]
    ]


def test_deletes_spend_logs_of_older_days_every_hour() -> None:
    settings = yaml.safe_load(rendered(litellm={"spend_log_days": 30}))["general_settings"]
    assert settings["maximum_spend_logs_retention_period"] == "30d"
    assert settings["maximum_spend_logs_cleanup_cron"] == "23 * * * *"


def test_offers_each_adapter_under_its_own_name() -> None:
    assert deployments(entry(name="a", adapters={"sql": "own/sql", "1.50": "/srv/tone"})) == [
        ("a", "hosted_vllm/a", "a", "a"),
        ("1.50", "hosted_vllm/1.50", "a", "a/1.50"),
        ("sql", "hosted_vllm/sql", "a", "a/sql"),
    ]


def test_each_type_is_asked_as_its_engine_has_it() -> None:
    models = config(*(entry(name=type, type=type) for type in TYPES))["model_list"]
    assert {one["model_name"]: (one["litellm_params"]["model"], one["model_info"]["mode"]) for one in models} == {
        "chat": ("hosted_vllm/chat", "chat"),
        "vision": ("hosted_vllm/vision", "chat"),
        "embedding": ("hosted_vllm/embedding", "embedding"),
        "rerank": ("hosted_vllm/rerank", "rerank"),
        "stt": ("hosted_vllm/stt", "audio_transcription"),
        "tts": ("hosted_vllm/tts", "audio_speech"),
        "image": ("hosted_vllm/image", "image_generation"),
    }


def test_a_price_is_what_litellm_counts() -> None:
    prices = {
        "chat": ({"input": 0.15, "output": 0.6}, {"input_cost_per_token": 1.5e-7, "output_cost_per_token": 6e-7}),
        "rerank": ({"request": 0.002}, {"input_cost_per_query": 0.002}),
        "stt": ({"second": 0.0001}, {"input_cost_per_second": 0.0001}),
        "tts": ({"input": 15}, {"input_cost_per_character": 1.5e-5}),
        "image": ({"image": 0.04}, {"output_cost_per_image": 0.04}),
    }
    models = config(*(entry(name=type, type=type, price=price) for type, (price, _counted) in prices.items()))
    for one in models["model_list"]:
        found = {name: value for name, value in one["litellm_params"].items() if "_cost_" in name}
        assert found == pytest.approx(prices[one["model_name"]][1])


def test_another_model_answers_for_a_model_and_for_its_aliases() -> None:
    found = config(
        entry(name="a", fallbacks=["b", "c"], timeout=90), entry(name="b"), entry(name="c"), aliases={"old": "a"}
    )
    assert found["router_settings"]["model_group_alias"] == {"old": "a"}
    for kind in ("fallbacks", "context_window_fallbacks"):
        assert found["litellm_settings"][kind] == [{"a": ["b", "c"]}, {"old": ["b", "c"]}]
    assert found["model_list"][0]["litellm_params"]["timeout"] == 90


def test_further_settings_come_last_in_their_section() -> None:
    given = {"litellm_settings": {"drop_params": True}, "router_settings": {"timeout": 30, "tag_filtering": None}}
    found = config(entry(name="a"), litellm={"settings": given})
    assert found["router_settings"].items() >= {"timeout": 30, "tag_filtering": None, "num_retries": 0}.items()
    text = rendered(entry(name="a"), litellm={"settings": {**given, "general_settings": {"max_request_size_mb": 9}}})
    assert yaml.safe_load(text)["litellm_settings"].items() >= {"drop_params": True, "telemetry": False}.items()
    assert yaml.safe_load(text)["general_settings"]["max_request_size_mb"] == 9


def test_without_aliases_and_fallbacks_there_is_nothing_of_them() -> None:
    found = config(entry(name="a"))
    assert "model_group_alias" not in found["router_settings"]
    assert "fallbacks" not in found["litellm_settings"]


def test_no_number_of_replicas_changes_it() -> None:
    """Replicas come and go without a restart of LiteLLM."""
    assert config(entry(name="a", replicas=3, devices={"cpu": True})) == config(entry(name="a"))


def test_nothing_is_tried_twice_and_no_failure_disables_a_model() -> None:
    found = config(entry(name="a"))
    assert {one["litellm_params"]["max_retries"] for one in found["model_list"]} == {0}
    assert found["router_settings"]["num_retries"] == 0
    assert found["router_settings"]["disable_cooldowns"] is True


def test_offers_the_adapters_in_args_too() -> None:
    found = deployments(entry(name="a", args={"lora-modules": ["sql=own/sql"]}))
    assert [name for name, *_rest in found] == ["a", "sql"]


@pytest.mark.parametrize("changes", [{"state": "stopped"}, {"state": "absent"}])
def test_offers_no_adapter_of_a_model_that_it_does_not_offer(changes: dict[str, Any]) -> None:
    assert deployments(entry(name="a", adapters={"sql": "own/sql"}, **changes)) == []

"""The environment of a model: valid values, and which of them are secret."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import is_secret_name
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, model, model_faults
from hypothesis import given


def test_numbers_become_text_in_the_environment() -> None:
    assert model(env={"B": 1, "A": "x", "C": 0.5, "D": ""}).env == (("A", "x"), ("B", "1"), ("C", "0.5"), ("D", ""))


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ({"DEBUG": True}, "env.DEBUG: expected text or a number (quote true and false), got True"),
        ({"DEBUG": None}, "env.DEBUG: expected text or a number (quote true and false), got None"),
        ({"A-B": "x"}, "env.A-B: expected the name of an environment variable, such as VLLM_LOGGING_LEVEL"),
        ({"1A": "x"}, "env.1A: expected the name of an environment variable, such as VLLM_LOGGING_LEVEL"),
        ({"HF_TOKEN": ["hf_0123456789"]}, "env.HF_TOKEN: expected text or a number (quote true and false), got a list"),
        (["HF_TOKEN=hf_0123456789"], "env: expected a mapping, got a list"),
        ("HF_TOKEN=hf_0123456789", "env: expected a mapping, got text that is not shown"),
    ],
)
def test_refuses_environments_and_shows_no_secret(env: Any, message: str) -> None:
    assert model_faults(env=env) == [message]


@pytest.mark.parametrize("name", ["HF_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE"])
def test_refuses_another_place_of_the_weights_in_the_container(name: str) -> None:
    assert model_faults(env={name: "/srv/own"}) == [
        f"env.{name}: set by the collection; weights are in the cache of all models; fleet_cache.path sets another "
        "folder on the host"
    ]


@pytest.mark.parametrize(
    ("name", "why"), [("NVIDIA_VISIBLE_DEVICES", "set `devices` instead"), ("VLLM_API_KEY", "Caddy checks keys")]
)
def test_refuses_what_the_collection_sets_and_what_closes_the_model(name: str, why: str) -> None:
    assert is_secret_name(name) == ("KEY" in name)
    assert model_faults(env={name: "x"}) == [f"env.{name}: set by the collection; {why}"]


def test_compiled_code_is_not_in_the_cache_into_which_all_models_write() -> None:
    assert model(env={"VLLM_CACHE_ROOT": "/var/cache/inference-fleets"})
    for path in ("/var/cache/inference-fleet", "/var/cache/inference-fleet/x", "/var/cache/x/../inference-fleet//x"):
        (fault,) = model_faults(env={"VLLM_CACHE_ROOT": path})
        assert fault.startswith("env.VLLM_CACHE_ROOT: /var/cache/inference-fleet is the cache of all models")


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "hf_token",
        "HUGGING_FACE_HUB_TOKEN",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "APIKEY",
        "WANDB_KEY",
        "KEY",
        "DB_PASSWORD",
        "DB_PASS",
        "PASSPHRASE",
        "SSH_PRIVATE",
        "GCP_CREDENTIALS",
        "DATABASE_URL",
        "SENTRY_DSN",
    ],
)
def test_takes_names_like_these_for_secret(name: str) -> None:
    assert is_secret_name(name)
    assert model(env={name: "x", "A": "y"}).secret_env == (name,)


@pytest.mark.parametrize(
    "name",
    [
        "VLLM_LOGGING_LEVEL",
        "HF_HUB_OFFLINE",
        "TOKENIZERS_PARALLELISM",
        "MAX_TOKENS",
        "VLLM_KEEP_ALIVE",
        "KEYBOARD",
        "VLLM_USE_V1",
        "BYPASS",
    ],
)
def test_takes_names_like_these_for_open(name: str) -> None:
    """Ansible masks secret values everywhere in a module's output, so `false` or `1` must not count as secret."""
    assert not is_secret_name(name)


@given(ANYTHING)
def test_a_value_in_an_environment_is_never_shown_in_a_fault(value: Any) -> None:
    secret = "hf_0123456789"
    for env in (secret, [secret], [value, secret], {"HF_TOKEN": [secret]}, {"HF_TOKEN": {"value": secret}}):
        assert secret not in str(model_faults(env=env))

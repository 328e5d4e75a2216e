"""Applications by whatever client, with one virtual key. What works is a table of docs/access.md.

`CLIENTS=yes .venv/bin/molecule verify -s access` writes the tables anew.
"""

from __future__ import annotations

import difflib
import os
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx2 as httpx
import openai
import pytest
from lab import clients
from lab.clients import CLIENTS, ERRORS, ROOT, WORKS, Target
from lab.fixtures import Door, wait_until
from lab.virtual_keys import made
from testinfra.host import Host

PAGE = ROOT / "docs" / "access.md"
MODELS = {
    "chat": "eyes",
    "vision": "eyes",
    "real": "tiny-chat",
    "slow": "slow",
    "embedding": "tiny-embedding",
    "stt": "ears",
    "tts": "voice",
    "image": "painter",
    "rerank": "judge",
    "down": "closed",
}
LIMITED = "one-a-minute"
INTERNAL = ["Traceback", "http://", "caddy:", "vllm-"]
GIVES_UP_S = 10
"""How long Caddy waits for a replica before it answers 503."""


@pytest.fixture(scope="module")
def keys(host: Host) -> Iterator[dict[str, str]]:
    good, limited = "sk-of-the-clients-of-the-tests", "sk-limited-clients-of-the-tests"
    with (
        made(host, good, key_alias="clients", models=sorted(set(MODELS.values()))),
        made(host, limited, key_alias=LIMITED, models=[MODELS["chat"]], rpm_limit=1),
    ):
        yield {"good": good, "limited": limited, "wrong": "sk-nobody-has-this-key"}


@contextmanager
def stopped(door: Door, host: Host, model: str) -> Iterator[None]:
    """The model has no replica that is up."""
    host.check_output(f"docker kill vllm-{model}-1")  # Docker leaves alone what a person killed
    try:
        yield
    finally:
        host.check_output(f"docker start vllm-{model}-1")
        wait_until(lambda: door.chat(model).status_code == 200, f"{model} answers again")


@pytest.fixture(scope="module")
def found(door: Door, host: Host, keys: Mapping[str, str]) -> dict[str, clients.Results]:
    clients.prepare()
    said = {"unknown": [MODELS["chat"]], "limited": [LIMITED]}
    target = Target(door.url, keys, {**MODELS, "unknown": "no-such-model"}, said, INTERNAL)
    with stopped(door, host, MODELS["down"]):
        return clients.run_all(target, door.certificate)


@pytest.mark.parametrize("name", [client.name for client in CLIENTS])
def test_all_of_a_client_works(found: Mapping[str, clients.Results], name: str) -> None:
    others = {feature: result for feature, result in found[name].items() if feature not in ERRORS and result != WORKS}
    assert not others


@pytest.mark.parametrize("name", [client.name for client in CLIENTS])
def test_a_client_is_told_what_is_wrong(found: Mapping[str, clients.Results], name: str) -> None:
    told = {feature: result for feature, result in found[name].items() if feature in ERRORS}
    assert all(result.startswith("raises ") for result in told.values()), told
    status = {feature: result.split("(")[1] for feature, result in told.items() if "(" in result}
    assert status == {feature: f"{ERRORS[feature]})" for feature in status}


def test_the_page_has_what_was_found(found: Mapping[str, clients.Results]) -> None:
    page = PAGE.read_text()
    assert not [one for results in found.values() for one in results.values() if one.startswith("fails")]
    right = clients.between_marks(page, clients.tables(found))
    if os.environ.get("CLIENTS"):
        PAGE.write_text(right)
        return
    difference = difflib.unified_diff(
        page.splitlines(), right.splitlines(), "docs/access.md", "found", lineterm="", n=0
    )
    assert page == right, "\n".join(difference)


@pytest.mark.extended
def test_an_sdk_gets_its_answer_once_the_model_is_back(door: Door, host: Host, keys: Mapping[str, str]) -> None:
    """It repeats a request that no engine has received, as Retry-After says."""
    sent: list[Any] = []
    trusting = httpx.Client(verify=door.trust, trust_env=False, event_hooks={"request": [sent.append]})
    client = openai.OpenAI(base_url=f"{door.url}/v1", api_key=keys["good"], http_client=trusting, max_retries=5)
    asked: Any = {"model": MODELS["down"], "max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]}
    with ThreadPoolExecutor() as pool:
        with stopped(door, host, MODELS["down"]):
            answer = pool.submit(client.chat.completions.create, **asked)
            time.sleep(GIVES_UP_S + 2)
        assert answer.result().choices[0].message.content
    assert len(sent) > 1

"""Who has a key of one model, with LiteLLM's administration reachable: each of LiteLLM's routes, and another model."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lab.fixtures import Admin, Door, requests_seen
from lab.litellm_routes import Attempt, attempts, spellings
from testinfra.host import Host

pytestmark = pytest.mark.extended

OTHER = "closed"
CLIENTS = 4
BATCH = 50
HI: dict[str, Any] = {"model": "pair", "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module", autouse=True)
def administration(admin: Admin) -> Iterator[None]:
    run = admin.play("install", variables={"fleet_litellm_admin": True})
    assert run.status == 0, run.output
    yield
    run = admin.play("install")
    assert run.status == 0, run.output


@pytest.fixture(scope="module")
def document(door: Door) -> dict[str, Any]:
    found: dict[str, Any] = door.request("GET", "/openapi.json").json()
    assert len(found["paths"]) > 500
    return found


@pytest.fixture(scope="module")
def key(host: Host) -> str:
    """A virtual key of the model `pair` alone."""
    return host.check_output("cat /etc/inference-fleet/caddy/keys/open_key") + "-pair"


def seen(host: Host) -> int:
    return len(requests_seen(host, OTHER))


def got_in(door: Door, host: Host, key: str, tried: Iterable[Attempt]) -> list[str]:
    """The attempts after which the other model's engine had a request."""

    def send(one: Attempt) -> int:
        return door.request(one.method, one.path, key=key, json=one.body).status_code

    left = list(tried)
    found = []
    with ThreadPoolExecutor(CLIENTS) as pool:
        for start in range(0, len(left), BATCH):
            batch, before = left[start : start + BATCH], seen(host)
            list(pool.map(send, batch))
            if seen(host) == before:
                continue
            for one in batch:  # one after the other, to name those that got in
                before = seen(host)
                status = send(one)
                if seen(host) != before:
                    found.append(f"{one}: {status}")
    return found


def test_no_route_of_litellm_leads_to_another_model(door: Door, host: Host, key: str, document: dict[str, Any]) -> None:
    assert door.request("POST", "/chat/completions", key=key, json=HI).status_code == 200
    tried = list(attempts(document, "pair", OTHER))
    assert len(tried) > 3000
    assert got_in(door, host, key, tried) == []
    assert door.request("POST", "/chat/completions", key=key, json=HI).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        f"/engines/{OTHER}/chat/completions",
        f"/openai/deployments/{OTHER}/chat/completions",
        f"/chat/completions?model={OTHER}",
        f"/v1/chat/completions?model={OTHER}",
        f"/v1beta/models/{OTHER}:generateContent",
    ],
)
def test_no_spelling_of_a_route_leads_to_another_model(door: Door, host: Host, key: str, path: str) -> None:
    tried = [Attempt("POST", one, HI) for one in spellings(path)]
    assert got_in(door, host, key, tried) == []


def test_without_a_key_no_route_leads_to_a_model(door: Door, host: Host, document: dict[str, Any]) -> None:
    before = seen(host)
    tried = [one for one in attempts(document, OTHER, OTHER) if one.body]

    def send(one: Attempt) -> None:
        door.request(one.method, one.path, key="", more={"Authorization": ""}, data=json.dumps(one.body))

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(send, tried))
    assert seen(host) == before

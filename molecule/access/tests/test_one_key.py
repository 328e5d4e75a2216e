"""Everything under one key: whose key it is in which header, other names, other models, and right answers when
something is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

import pytest
from lab.fixtures import Admin, Door, identities, inspect, requests_seen, wait_until
from lab.raw import Wire
from lab.virtual_keys import made
from testinfra.host import Host

CHAT = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
INSIDE = re.compile(r"caddy:|litellm\.|vllm-|\b\d+\.\d+\.\d+\.\d+|[0-9a-f]{64}|Traceback|site-packages")
PAGE = "https://chat.example.com"


@pytest.fixture(scope="module")
def key(host: Host) -> Iterator[str]:
    with made(host, "sk-of-one-application", key_alias="one-app", models=["pair", "away"]) as value:
        yield value


@contextmanager
def killed(host: Host, door: Door, container: str) -> Iterator[None]:
    """Docker leaves alone what a person killed."""
    model = container.removeprefix("vllm-").rpartition("-")[0]
    host.check_output(f"docker kill {container}")
    try:
        yield
    finally:
        host.check_output(f"docker start {container}")
        wait_until(lambda: door.chat(model).json().get("model") == model, f"{model} answers again")


def error_of(answer: Any) -> dict[str, Any]:
    """The error, which has one form on every route."""
    error: dict[str, Any] = answer.json()["error"]
    assert {*error} == {"message", "type", "param", "code"}, error
    assert not INSIDE.search(answer.text), answer.text
    return error


# Whose key, in which header


@pytest.mark.parametrize("path", ["/v1/models", "/models/pair/v1/models", "/open/pair/v1/models"])
@pytest.mark.parametrize(
    "headers",
    [
        lambda key: {"Authorization": f"bearer {key}"},
        lambda key: {"Authorization": f"BEARER \t {key} "},
        lambda key: {"X-Api-Key": key},
        lambda key: {"Api-Key": key},
        lambda key: {"Authorization": f"Bearer {key}", "Api-Key": key, "X-Api-Key": key},
    ],
    ids=["lower case", "upper case and blanks", "Anthropic", "Azure", "all of them"],
)
def test_a_key_is_taken_from_where_clients_put_it(
    door: Door, path: str, headers: Callable[[str], dict[str, str]]
) -> None:
    assert door._session.get(door.url + path, headers=headers(door.key), timeout=30).status_code == 200


@pytest.mark.parametrize("path", ["/v1/models", "/models/pair/v1/models", "/open/pair/v1/models"])
@pytest.mark.parametrize("name", ["X-Api-Key", "Api-Key"])
def test_two_different_keys_are_no_key(door: Door, path: str, name: str) -> None:
    for other in ("sk-another", f"{door.key}x", f"Bearer {door.key}"):
        answer = door.request("GET", path, more={name: other})
        assert answer.status_code == 401
        assert "different ones in several headers" in error_of(answer)["message"]


def test_no_key_of_another_header_reaches_an_engine(door: Door, host: Host) -> None:
    door.request("GET", "/models/pair/v1/models", key=door.key, more={"X-Api-Key": door.key})
    assert not any(one["authorization"] for one in requests_seen(host, "pair"))


# Bodies of unknown length


@pytest.mark.parametrize("path", ["/v1", "/models/pair/v1"])
def test_a_body_of_unknown_length_is_taken_and_its_connection_ends(door: Door, path: str) -> None:
    body = json.dumps({"model": "pair", **CHAT}).encode()
    head = (
        f"POST {path}/chat/completions HTTP/1.1\r\nHost: {door.address}\r\nAuthorization: Bearer {door.key}\r\n"
        "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:20], body[20:])) + b"0\r\n\r\n"
    second = f"GET /v1/models HTTP/1.1\r\nHost: {door.address}\r\nAuthorization: Bearer {door.key}\r\n\r\n"
    assert Wire(door.address, door.trust).statuses(head.encode() + chunks + second.encode()) == [200]


def test_the_key_of_such_a_body_is_looked_at_first(door: Door) -> None:
    def parts() -> Iterator[bytes]:
        yield b"[" * 2_000

    answer = door.request("POST", "/v1/chat/completions", key="sk-unknown-to-all", data=parts())
    assert answer.status_code == 401


# Other names and other models


def test_an_alias_is_a_name_of_its_model(door: Door, key: str) -> None:
    assert door.chat("gpt-4o", key=key).status_code == 200
    listed = {one["id"] for one in door.request("GET", "/v1/models", key=key).json()["data"]}
    assert listed == {"pair", "away", "gpt-4o"}
    assert door.request("GET", "/v1/models/gpt-4o", key=key).json()["id"] == "gpt-4o"


def test_a_model_that_is_not_the_keys_is_as_one_that_does_not_exist(door: Door, key: str) -> None:
    names = "the key 'one-app' may not use it; it may use: away, gpt-4o, pair"
    for name in ("closed", "no-such-model"):
        for ask in (
            lambda name=name: door.chat(name, key=key),
            lambda name=name: door.request("GET", f"/v1/models/{name}", key=key),
            lambda name=name: door.request("POST", "/v1/messages", key=key, json={"model": name, **CHAT}),
            lambda name=name: door.request("POST", "/v1/audio/speech", key=key, json={"model": name, "input": "Hi"}),
            lambda name=name: door.request(
                "POST", "/v1/audio/transcriptions", key=key, data={"model": name}, files={"file": ("a.wav", b"RIFF")}
            ),
        ):
            answer = ask()
            assert answer.status_code == 404, answer.text
            assert error_of(answer)["message"] == f"the model {name!r} does not exist, or {names}"


def test_another_model_answers_where_no_replica_is_up_and_only_there(door: Door, host: Host, key: str) -> None:
    assert door.chat("away", key=key).json()["model"] == "away"
    with killed(host, door, "vllm-away-1"):
        answer = door.chat("away", key=key)
        assert answer.status_code == 200, answer.text
        assert answer.json()["model"] == "other"


@pytest.mark.parametrize(
    "ask",
    [
        lambda door, key: door.chat("away", key=key, messages=[{"role": "user", "content": "STANDIN: end"}]),
        lambda door, key: door.request(
            "POST", "/v1/images/generations", key=key, json={"model": "away", "prompt": "STANDIN: end"}
        ),
    ],
    ids=["chat", "images"],
)
def test_a_request_that_ends_its_engine_reaches_no_other_one(
    door: Door, host: Host, key: str, ask: Callable[[Door, str], Any]
) -> None:
    """Answered with 502, told in LiteLLM's log with its key and its route, and the engine comes back by itself."""
    before, seen = identities(host), len(requests_seen(host, "other"))
    answer = ask(door, key)
    assert answer.status_code == 502, answer.text
    assert "the engine of the model ended, or broke the connection" in error_of(answer)["message"]
    assert len(requests_seen(host, "other")) == seen
    wait_until(lambda: identities(host)["vllm-away-1"] != before["vllm-away-1"], "Docker starts the engine again")
    wait_until(lambda: door.chat("away", key=key).json().get("model") == "away", "the engine answers again")
    others = [name for name in before if name.startswith("vllm-") and name != "vllm-away-1"]
    assert {name: identities(host)[name] for name in others} == {name: before[name] for name in others}
    log = host.check_output("docker logs --since 3m litellm 2>&1")
    assert f"answered 502 on {answer.request.path_url} to the key one-app" in log


# Right answers


def test_where_no_replica_is_up_the_answer_says_how_long_a_start_takes(door: Door, host: Host) -> None:
    asked = {"messages": CHAT, "chat/completions": CHAT, "completions": {"prompt": "Hi"}}

    def ask(path: str) -> Any:
        return door.request("POST", f"/v1/{path}", json={"model": "closed", **asked[path]})

    with killed(host, door, "vllm-closed-1"), ThreadPoolExecutor() as pool:
        for answer in pool.map(ask, asked):
            assert answer.status_code == 503
            assert answer.headers["Retry-After"] == "10"
            message = error_of(answer)["message"]
            assert re.fullmatch(r"no replica of the model closed accepts requests; its last start took \d+ s", message)


def test_a_limit_is_told_with_the_alias_of_the_key(door: Door, host: Host) -> None:
    with made(host, "sk-of-a-slow-application", key_alias="slow-app", models=["pair"], rpm_limit=1) as slow:
        answers = [door.chat("pair", key=slow) for _time in range(2)]
    assert [one.status_code for one in answers] == [200, 429]
    assert error_of(answers[1])["message"].startswith("the key 'slow-app' may have 1 requests a minute (rpm_limit)")


def test_a_budget_that_is_spent_is_told_and_not_tried_again(door: Door, host: Host) -> None:
    settings: Mapping[str, Any] = {"models": ["away"], "max_budget": 1e-9, "budget_duration": "30d"}
    with made(host, f"sk-of-a-poor-application-{uuid4()}", key_alias="poor-app", **settings) as poor:
        assert door.chat("away", key=poor).status_code == 200
        wait_until(lambda: door.chat("away", key=poor).status_code == 429, "the spend counts")
        answer = door.chat("away", key=poor)
    error = error_of(answer)
    assert (error["code"], answer.headers["x-should-retry"]) == ("insufficient_quota", "false")
    assert error["message"].startswith("the key 'poor-app' has spent its budget of 1e-09 USD a 30d")


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        ("chat/completions", [], "expected a JSON object"),
        ("chat/completions", {**CHAT, "model": "pair", "api_base": "http://1.1.1.1"}, "not accepted here: api_base"),
        ("chat/completions", {**CHAT}, "model"),
        ("completions", {"model": "pair", "prompt": 5}, ""),
        ("rerank", {"model": "judge", "query": 5, "documents": ["a"]}, "form that this route expects"),
        ("messages", {"model": "pair", "max_tokens": 4, "messages": [5]}, ""),
        ("embeddings", {"model": "tiny-embedding", "input": "Hi", "dimensions": 99_999}, "dimensions"),
    ],
)
def test_a_mistake_of_the_client_is_told_as_one(door: Door, path: str, body: Any, words: str) -> None:
    answer = door.request("POST", f"/v1/{path}", json=body)
    assert answer.status_code == 400, answer.text
    assert words in error_of(answer)["message"]


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/audio/translations", 404, "/models/NAME/v1/audio/translations with a direct key"),
        ("/v1/score", 404, "/models/NAME/v1/score with a direct key"),
        ("/v1/realtime", 404, "/models/NAME/v1/realtime with a direct key"),
        ("/v1/batches", 501, "send the requests of a batch to /v1/chat/completions"),
        ("/v1/files/x", 501, "keeps no files"),
    ],
)
def test_a_route_that_there_is_not_says_what_there_is(door: Door, path: str, status: int, words: str) -> None:
    answer = door.request("POST", path, json={})
    assert answer.status_code == status
    assert words in error_of(answer)["message"]


# Web pages


def test_a_script_of_a_known_page_may_ask_and_of_no_other(door: Door) -> None:
    for origin, allowed in ((PAGE, PAGE), ("https://evil.example.com", None), (f"{PAGE}.evil.example", None)):
        more = {"Origin": origin, "Access-Control-Request-Method": "POST"}
        asked = door.request("OPTIONS", "/v1/chat/completions", key="", more=more)
        assert asked.headers.get("Access-Control-Allow-Origin") == allowed
        assert asked.status_code == (204 if allowed else 404)
        for answer in (
            door.request("GET", "/v1/models", more={"Origin": origin}),
            door.request("GET", "/v1/models", key="sk-wrong-key", more={"Origin": origin}),
            door.request("GET", "/models/pair/v1/models", more={"Origin": origin}),
        ):
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed


def test_a_start_is_remembered_for_what_caddy_says(host: Host) -> None:
    said = json.loads(host.check_output("cat /etc/inference-fleet/caddy/down/closed.json"))
    assert "its last start took" in said["error"]["message"]
    assert inspect(host, "caddy")["caddy"]["State"]["Running"]


@pytest.mark.extended
def test_a_request_whose_real_engine_dies_is_502_and_the_engine_comes_back(door: Door, host: Host) -> None:
    """vLLM on the CPU: its API server ends well when its engine core dies."""
    before = identities(host)
    with ThreadPoolExecutor() as pool:
        asked = pool.submit(door.chat, "tiny-chat", max_tokens=400, ignore_eos=True)
        read = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:8000/metrics').read().decode())"
        running = f'docker exec vllm-tiny-chat-1 python3 -c "{read}" | grep -q "^vllm:num_requests_running.* 1"'
        wait_until(lambda: host.run(running).succeeded, "the engine has the request")
        (core,) = [
            line.split()[0]
            for line in host.check_output("docker top vllm-tiny-chat-1 -eo pid,args").splitlines()
            if "VLLM::EngineCore" in line
        ]
        host.check_output(f"kill -KILL {core}")
        answer = asked.result()
    assert answer.status_code in (500, 502), answer.text
    error_of(answer)
    wait_until(
        lambda: identities(host)["vllm-tiny-chat-1"] != before["vllm-tiny-chat-1"], "Docker starts it again", 120
    )
    wait_until(lambda: door.chat("tiny-chat").status_code == 200, "it answers again", 600)
    others = [name for name in before if name.startswith("vllm-") and name != "vllm-tiny-chat-1"]
    assert {name: identities(host)[name] for name in others} == {name: before[name] for name in others}


@pytest.mark.extended
def test_a_setting_of_litellm_is_used_or_refused(admin: Admin, door: Door, host: Host) -> None:
    def install(settings: Mapping[str, Any]) -> Any:
        return admin.play("install", variables={"fleet_litellm": {"restart_wait": 20, "settings": settings}})

    before = identities(host)
    refused = install({"litellm_settings": {"no_such_setting": 1}})
    assert refused.status != 0
    assert "fleet_litellm.settings: no_such_setting: not in the LiteLLM of" in refused.messages
    assert identities(host) == before
    assert install({"litellm_settings": {"drop_params": True}}).status == 0
    assert identities(host)["litellm"] != before["litellm"]
    assert "drop_params" in host.check_output("cat /etc/inference-fleet/litellm/config.yaml")
    assert door.chat("pair").status_code == 200
    assert admin.play("install").status == 0

"""Another model than the open one, named in every place where a request can name one."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from lab.fixtures import Door, requests_seen
from testinfra.host import Host

CHAT: dict[str, Any] = {"model": "pair", "max_tokens": 3, "messages": [{"role": "user", "content": "Hi"}]}
URL = "http://caddy:9080/closed/v1"
DEPLOYMENT = {"model": "hosted_vllm/closed", "api_base": URL}
IN_THE_BODY: tuple[dict[str, Any], ...] = (
    *(
        {"model": name}
        for name in ("closed", "other", "closed ", " closed", "closed\n", "CLOSED", "pair,closed", "closed,pair")
    ),
    *(
        {"model": name}
        for name in ("hosted_vllm/closed", "hosted_vllm/pair", "openai/closed", "vllm-closed-1", "*", "pair*")
    ),
    *(
        {"model": name}
        for name in (URL, "pair/../closed", "pair\0", "", None, ["closed"], ["pair", "closed"], {"a": "closed"}, 1)
    ),
    *(
        {"fallbacks": names}
        for names in (["closed"], [{"model": "closed"}], [{"pair": ["closed"]}], "closed", {"pair": "closed"})
    ),
    {"fallbacks": [DEPLOYMENT]},
    {"context_window_fallbacks": [{"pair": ["closed"]}]},
    {"content_policy_fallbacks": [{"pair": ["closed"]}]},
    {"default_fallbacks": ["closed"]},
    {"fallbacks": ["closed"], "mock_testing_fallbacks": True},
    {"user_config": {"model_list": [{"model_name": "pair", "litellm_params": DEPLOYMENT}]}},
    {"model_list": [{"model_name": "pair", "litellm_params": DEPLOYMENT}]},
    {"router_settings_override": {"model_group_alias": {"pair": "closed"}}},
    {"router_settings_override": {"fallbacks": [{"pair": ["closed"]}]}},
    {"litellm_params": DEPLOYMENT},
    {"api_base": URL},
    {"base_url": URL},
    {"model_info": {"id": "closed"}},
    {"api_base": "http://vllm-closed-1:8000/v1"},
    *({name: "closed"} for name in ("target_model_names", "model_group", "deployment", "engine", "model_name")),
    *({name: "closed"} for name in ("deployment_id", "model_id", "specific_deployment")),
    *({name: {"model": "closed"}} for name in ("extra_body", "completion", "session", "data", "request")),
    *(
        {name: {"model": "closed", "api_base": URL, "model_group": "closed"}}
        for name in ("metadata", "litellm_metadata")
    ),
    {"models": ["closed"], "route": "fallback"},
    {"model_group_alias": {"pair": "closed"}},
    {"custom_llm_provider": "openai", "api_base": URL},
)
WRITTEN_ODDLY = (
    b'{"model": "pair", "model": "closed", %s}',
    b'{"model": "closed", "model": "pair", %s}',
    b'{"\\u006dodel": "closed", %s}',
    b'{"model": "pair", "\\u006dodel": "closed", %s}',
    b'{"model": "\\u0063losed", %s}',
    b'{"MODEL": "closed", "Model": "closed", "model": "pair", %s}',
    b'{"model\\u0000": "closed", "model": "pair", %s}',
    b'\xef\xbb\xbf{"model": "closed", %s}',
    b'[{"model": "closed", %s}]',
    b'{"model": "closed", /* "model": "pair", */ %s}',
    b'{"model": "pair", %s}{"model": "closed", %s}',
)
IN_THE_QUERY = (
    *(
        "model=closed",
        "model=pair&model=closed",
        "model=closed&model=pair",
        "%6dodel=closed",
        "model=%63losed",
        "Model=closed",
    ),
    *(
        "model=closed;a=b",
        "a=b;model=closed",
        "a=%zz&model=closed",
        "model=closed&a=%zz",
        "&&model=closed",
        "model[]=closed",
    ),
    *(
        "model=closed#",
        "?model=closed",
        "model=closed%00",
        "+model=closed",
        "target_model_names=closed",
        "api_base=" + URL,
    ),
    *("\xff=&model=closed", "model\t=closed", "fallbacks=closed", "a" * 5000 + "=&model=closed", "model=closed&" * 200),
)
IN_HEADERS = (
    "X-Litellm-Model",
    "X-Litellm-Model-Id",
    "X-Litellm-Fallbacks",
    "Model",
    "X-Model",
    "X-Litellm-Target-Model-Names",
)

# 200: it asked its own model; 500: LiteLLM stumbled over what is no request at all.
ANSWERED = (200, 400, 401, 404, 500)


@pytest.fixture(autouse=True)
def nobody_else_is_asked(host: Host) -> Any:
    """However a request is answered: no other model's engine has it."""
    before = seen(host)
    yield
    assert seen(host) == before


def seen(host: Host) -> list[int]:
    return [len(requests_seen(host, model)) for model in ("closed", "other", "slow")]


def ask(door: Door, body: bytes | dict[str, Any], path: str = "chat/completions", **headers: str) -> int:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    more = {"Content-Type": "application/json", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return door.request("POST", f"/open/pair/v1/{path}", key="any", data=content, more=more).status_code


def test_its_own_model_answers(door: Door) -> None:
    assert ask(door, CHAT) == 200


def test_a_body_that_names_another_model_opens_none(door: Door) -> None:
    got = {json.dumps(more): ask(door, {**CHAT, **more}) for more in IN_THE_BODY}
    assert not {what: status for what, status in got.items() if status not in ANSWERED}


def test_no_way_to_write_a_body_hides_a_model_in_it(door: Door) -> None:
    rest = json.dumps({name: value for name, value in CHAT.items() if name != "model"}).encode()[1:-1]
    got = {body: ask(door, body.replace(b"%s", rest)) for body in WRITTEN_ODDLY}
    assert not {what: status for what, status in got.items() if status not in ANSWERED}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", b"model=pair&model=closed&messages=x"),
        ("application/x-www-form-urlencoded; charset=utf-16", b"model=closed&messages=x"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="model"\r\n\r\nclosed\r\n--x--\r\n',
        ),
        ("text/plain", json.dumps({**CHAT, "model": "closed"}).encode()),
        ("application/json; charset=utf-16", json.dumps({**CHAT, "model": "closed"}).encode("utf-16")),
        ("application/json; charset=utf-32", json.dumps({**CHAT, "model": "closed"}).encode("utf-32")),
        ("application/x-yaml", b"model: closed\nmessages: []\n"),
    ],
)
def test_no_kind_of_body_hides_a_model_in_it(door: Door, kind: str, body: bytes) -> None:
    assert ask(door, body, Content_Type=kind) in (400, 404)


@pytest.mark.parametrize("body", [CHAT, {"messages": CHAT["messages"]}], ids=["named", "unnamed"])
def test_a_query_that_names_another_model_opens_none(door: Door, body: dict[str, Any]) -> None:
    got = {query: ask(door, body, f"chat/completions?{query}") for query in IN_THE_QUERY}
    assert not {query: status for query, status in got.items() if status not in ANSWERED}


@pytest.mark.parametrize(
    "path", ["completions", "embeddings", "messages", "messages/count_tokens", "responses/input_tokens"]
)
def test_every_path_opens_the_same_model_alone(door: Door, path: str) -> None:
    whole = {**CHAT, "prompt": "Hi", "input": "Hi"}
    assert ask(door, {**whole, "model": "closed"}, path) == 404
    ask(door, whole, f"{path}?model=closed")


def test_a_header_that_names_another_model_opens_none(door: Door) -> None:
    assert {name: ask(door, CHAT, **{name: "closed"}) for name in IN_HEADERS} == dict.fromkeys(IN_HEADERS, 200)


def test_a_made_up_response_of_another_model_is_nobody_s(door: Door) -> None:
    told = "litellm:custom_llm_provider:hosted_vllm;model_id:closed;response_id:resp_abc"
    made_up = "resp_" + base64.b64encode(told.encode()).decode().rstrip("=")
    for method, path in (("GET", ""), ("DELETE", ""), ("GET", "/input_items"), ("POST", "/cancel")):
        assert door.request(method, f"/open/pair/v1/responses/{made_up}{path}", key="any").status_code in (
            400,
            403,
            404,
        )
    assert ask(door, {"model": "pair", "input": "Hi", "previous_response_id": made_up}, "responses") in (400, 403, 404)


def test_a_virtual_key_for_one_model_opens_no_other_by_the_query(door: Door, host: Host) -> None:
    key = host.check_output("cat /etc/inference-fleet/caddy/keys/open_key") + "-pair"
    path = "/v1/chat/completions?model=closed"
    assert door.request("POST", path, key=key, json=CHAT).status_code == 200
    assert door.request("POST", path, key=key, json={**CHAT, "model": "closed"}).status_code == 404


def test_the_mistakes_of_one_client_keep_a_model_from_nobody(door: Door) -> None:
    """LiteLLM leaves out deployments that fail; none of this is the deployment's failure."""
    for _turn in range(4):
        assert ask(door, {"model": "pair", "query": "a", "documents": ["b"]}, "rerank") == 404
    in_a_hurry = [ask(door, {**CHAT, "timeout": 0.0001}) for _turn in range(12)]
    assert set(in_a_hurry) <= {200, 408}  # an engine can be quicker than LiteLLM looks at its clock
    assert in_a_hurry.count(408) > 3
    assert ask(door, CHAT) == 200

"""What the routes promise to clients: real Caddy, LiteLLM and PostgreSQL, vLLM itself for chat and embedding."""

from __future__ import annotations

import base64
import socket
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2 as httpx
import openai
import pytest
from lab.fixtures import SECRETS, Door, address, inspect, requests_seen, wait_until
from testinfra.host import Host

CHAT = {"max_tokens": 8, "messages": [{"role": "user", "content": "Say something."}]}
MEGABYTE = 1_000_000
HELD_MB = 60  # more than any buffer on the way


@pytest.fixture(scope="module")
def client(door: Door) -> Callable[[str, str], openai.OpenAI]:
    """An application's own client, that tries nothing twice: base path -> client."""

    def make(path: str, key: str) -> openai.OpenAI:
        trusting = httpx.Client(verify=door.trust, trust_env=False)
        return openai.OpenAI(base_url=door.url + path, api_key=key, http_client=trusting, max_retries=0)

    return make


Client = Callable[[str, str], openai.OpenAI]


# /v1


def test_the_openai_client_chats_with_vllm(client: Client, door: Door) -> None:
    answer = client("/v1", door.key).chat.completions.create(model="tiny-chat", **CHAT)
    assert isinstance(answer.choices[0].message.content, str)  # the tiny model may end at once
    assert answer.usage.completion_tokens > 0


def test_the_openai_client_gets_tokens_as_they_come(client: Client, door: Door) -> None:
    stream = client("/v1", door.key).chat.completions.create(model="slow", stream=True, **CHAT)
    times = [time.monotonic() for part in stream if part.choices and part.choices[0].delta.content]
    assert len(times) == 8
    assert times[-1] - times[0] > 0.8, "all of it came at once"


def test_vllm_embeds(client: Client, door: Door) -> None:
    answer = client("/v1", door.key).embeddings.create(model="tiny-embedding", input=["one", "two"])
    assert len(answer.data) == 2
    assert len(answer.data[0].embedding) == 64


def test_lists_what_litellm_offers(client: Client, door: Door) -> None:
    offered = {model.id for model in client("/v1", door.key).models.list()}
    assert offered == {
        *("tiny-chat", "tiny-embedding", "pair", "slow", "other", "closed", "away", "gpt-4o"),
        *("ears", "voice", "painter", "eyes", "judge"),
    }


@pytest.mark.parametrize("path", ["/v1", "/models/tiny-chat/v1", "/open/pair/v1"])
def test_a_client_without_a_key_is_told_so_in_its_own_terms(client: Client, path: str) -> None:
    with pytest.raises(openai.AuthenticationError) as told:
        client(path, "two words").chat.completions.create(model="tiny-chat", **CHAT)
    assert "expected one header Authorization: Bearer KEY" in str(told.value)


# /models/NAME/v1


@pytest.mark.parametrize("name", ["master_key", "direct-awkward", "direct-made"])
def test_the_direct_route_takes_the_master_key_and_every_direct_key(client: Client, host: Host, name: str) -> None:
    key = host.check_output(f"cat {SECRETS}/{name}")
    answer = client("/models/tiny-chat/v1", key).chat.completions.create(model="tiny-chat", **CHAT)
    assert answer.choices[0].message.content


def test_an_awkward_key_got_there_as_it_was_written(host: Host) -> None:
    assert host.check_output(f"cat {SECRETS}/direct-awkward") == "k$y{env.HOME}{$HOME}\"`#'\\%@:/?="


def test_litellm_takes_no_direct_key(door: Door, host: Host) -> None:
    key = host.check_output(f"cat {SECRETS}/direct-made")
    assert door.request("POST", "/v1/chat/completions", key=key, json={"model": "tiny-chat", **CHAT}).status_code == 401


def test_a_model_that_is_not_direct_is_not_there(door: Door) -> None:
    assert door.request("GET", "/models/closed/v1/models").status_code == 404


def test_the_engine_never_sees_a_key(door: Door, host: Host) -> None:
    assert door.request("POST", "/models/pair/v1/chat/completions", json={"model": "pair", **CHAT}).status_code == 200
    caddy = address(host, "caddy", "fleet-model-pair")
    seen = [one for replica in (1, 2) for one in requests_seen(host, "pair", replica) if one["from"] == caddy]
    assert seen
    assert not any(one["authorization"] for one in seen)


def test_requests_past_litellm_go_to_the_least_busy_replica(door: Door, host: Host) -> None:
    before = [len(requests_seen(host, "pair", replica)) for replica in (1, 2)]
    for _request in range(12):
        assert door.request("GET", "/models/pair/v1/models").status_code == 200
    after = [len(requests_seen(host, "pair", replica)) for replica in (1, 2)]
    assert all(now > then for now, then in zip(after, before, strict=True))


def test_a_dead_replica_costs_no_request(door: Door, host: Host) -> None:
    host.check_output("docker kill vllm-pair-1")  # on-failure: Docker leaves alone what a person killed
    try:
        for _request in range(20):
            answer = door.request("POST", "/models/pair/v1/chat/completions", json={"model": "pair", **CHAT})
            assert answer.status_code == 200, answer.text
    finally:
        host.check_output("docker start vllm-pair-1")
    seen = len(requests_seen(host, "pair"))

    def is_asked_again() -> bool:
        door.request("GET", "/models/pair/v1/models")
        return len(requests_seen(host, "pair")) > seen

    wait_until(is_asked_again, "the replica that came back is asked again")


# stt, tts, image: on stand-ins


def test_all_of_an_upload_gets_to_the_model_that_hears(client: Client, door: Door) -> None:
    recording = b"\0" * (HELD_MB * MEGABYTE)
    answer = client("/models/ears/v1", door.key).audio.transcriptions.create(model="ears", file=("a.wav", recording))
    assert str(len(recording)) in answer.text


def test_speech_comes_as_it_is_made(client: Client, door: Door) -> None:
    with client("/models/voice/v1", door.key).audio.speech.with_streaming_response.create(
        model="voice", voice="any", input="Hello, world.", response_format="wav"
    ) as answer:
        assert answer.read()[:4] == b"RIFF"


def test_a_picture_comes_back(client: Client, door: Door) -> None:
    answer = client("/models/painter/v1", door.key).images.generate(
        model="painter", prompt="a house", size="64x64", response_format="b64_json"
    )
    assert base64.b64decode(answer.data[0].b64_json).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["ears", "voice", "painter"])
def test_what_litellm_does_not_offer_needs_a_key_all_the_same(door: Door, name: str) -> None:
    assert door.request("GET", f"/models/{name}/v1/models", key="sk-wrong-key").status_code == 401


# /open/NAME/v1


@pytest.mark.parametrize("key", ["x", "sk-not-a-key", "EMPTY"])
def test_any_key_opens_an_open_model(client: Client, key: str) -> None:
    answer = client("/open/pair/v1", key).chat.completions.create(model="pair", **CHAT)
    assert answer.choices[0].message.content


@pytest.mark.parametrize(
    "body",
    [
        {"model": "closed"},
        {"model": "other"},  # open as well, by its own route
        {"model": "pair,closed"},
        {"model": "pair", "fallbacks": ["closed"]},
        {"model": "pair", "fallbacks": [{"model": "closed"}]},
    ],
)
def test_an_open_route_opens_no_other_model(door: Door, body: dict[str, Any]) -> None:
    answer = door.request("POST", "/open/pair/v1/chat/completions", key="any", json={**CHAT, **body})
    assert answer.status_code == 404, answer.text


def test_an_open_route_lists_its_model_alone(client: Client) -> None:
    assert [model.id for model in client("/open/pair/v1", "any").models.list()] == ["pair", "gpt-4o"]


def test_other_headers_bring_no_other_key(door: Door) -> None:
    for header in ("x-litellm-api-key", "x-api-key", "api-key", "x-goog-api-key", "ocp-apim-subscription-key"):
        answer = door.request(
            "POST",
            "/open/pair/v1/chat/completions",
            key="any",
            json={"model": "closed", **CHAT},
            more={header: f"Bearer {door.key}"},
        )
        assert answer.status_code in (401, 404), (header, answer.text)


def test_a_model_that_is_not_open_is_not_there(door: Door) -> None:
    assert door.request("GET", "/open/closed/v1/models").status_code == 404


# All else


def test_the_root_says_what_there_is(door: Door) -> None:
    page = door.request("GET", "/", key="")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    for base in ("/v1", "/models/tiny-chat/v1", "/models/ears/v1", "/open/pair/v1"):
        assert f"{base}</code>" in page.text
    assert "closed/v1" not in page.text


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/key/generate",
            "/key/list",
            "/user/new",
            "/ui",
            "/ui/",
            "/health/readiness",
            "/metrics",
            "/docs",
            "/openapi.json",
        ),
        *("/v1/model/info", "/v1/mcp/server", "/v1/agents", "/v1/access_group", "/v1/tool/list", "/chat/completions"),
        *("/grafana/", "/models", "/models/tiny-chat", "/models/tiny-chat/metrics", "/open/pair/health", "/Caddyfile"),
        *("/keys/master", "/status.html", "/models/pair/v1"),
    ],
)
def test_nothing_else_is_there(door: Door, path: str) -> None:
    assert door.request("GET", path).status_code == 404
    assert door.request("POST", path, json={}).status_code == 404


def test_plain_http_only_redirects(door: Door) -> None:
    for path in ("/", "/v1/models?a=b"):
        answer = door.plain(path)
        assert answer.status_code == 308
        assert answer.headers["location"] == f"{door.url}{path}"


def test_another_name_than_its_own_is_refused(door: Door) -> None:
    assert door.request("GET", "/v1/models", more={"Host": "elsewhere.example.com"}).status_code == 421


def test_what_one_client_gets_wrong_keeps_the_model_from_nobody(door: Door) -> None:
    for _request in range(6):
        wrong = door.request("POST", "/v1/rerank", json={"model": "closed", "query": "x", "documents": ["a"]})
        assert wrong.status_code == 404, wrong.text
    assert door.chat("closed").status_code == 200


@pytest.mark.parametrize("parameter", ["custom_llm_provider", "deployment_id", "user_config"])
@pytest.mark.parametrize("path", ["/v1", "/open/pair/v1"])
def test_a_body_sends_litellm_nowhere_else(door: Door, path: str, parameter: str) -> None:
    answer = door.request("POST", f"{path}/chat/completions", json={"model": "pair", parameter: "openai", **CHAT})
    assert answer.status_code in (400, 401, 404), answer.text
    assert door.chat("pair").status_code == 200


def test_answers_do_not_tell_where_containers_are(door: Door) -> None:
    answer = door.request("POST", "/open/pair/v1/chat/completions", key="any", json={"model": "pair", **CHAT})
    assert answer.status_code == 200
    assert "vllm-pair" not in str(answer.headers)


def test_forwarding_headers_from_outside_are_not_believed(door: Door, host: Host) -> None:
    lies = {
        "X-Forwarded-For": "203.0.113.9",
        "X-Forwarded-Proto": "gopher",
        "X-Forwarded-Host": "evil.example.com",
        "X-Real-IP": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
    }
    assert door.request("GET", "/models/voice/v1/models", more=lies).status_code == 200
    seen = requests_seen(host, "voice")[-1]["headers"]
    assert not {"203.0.113.9", "evil.example.com", "gopher"} & set(seen.values())
    assert seen["X-Forwarded-Proto"] == "https"


@pytest.mark.parametrize("path", ["/v1", "/models/slow/v1"])
def test_a_client_that_hangs_up_ends_the_generation(door: Door, host: Host, path: str) -> None:
    before = host.check_output("docker logs vllm-slow-1 2>&1").count("client hung up")
    body = {"model": "slow", "stream": True, "max_tokens": 500, "messages": CHAT["messages"]}
    answer = door.request("POST", f"{path}/chat/completions", json=body, stream=True)
    next(answer.iter_lines())
    answer.close()
    wait_until(
        lambda: host.check_output("docker logs vllm-slow-1 2>&1").count("client hung up") > before,
        "the engine has stopped",
    )


def test_the_network_sees_three_ports(door: Door) -> None:
    """A connection attempt to every TCP port of the host, from outside."""

    def is_open(port: int) -> bool:
        with socket.socket() as attempt:
            attempt.settimeout(3)
            return attempt.connect_ex((door.address, port)) == 0

    ports = range(1, 65536)
    with ThreadPoolExecutor(32) as pool:
        assert [port for port, found in zip(ports, pool.map(is_open, ports), strict=True) if found] == [22, 80, 443]


def test_only_caddy_has_ports_of_the_host(host: Host) -> None:
    bound = {name for name, one in inspect(host).items() if one["HostConfig"]["PortBindings"]}
    assert bound == {"caddy"}

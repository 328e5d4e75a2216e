"""Who has a key and wants more than it opens: LiteLLM's management, other models, the engines' own pages."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest
import yaml
from lab.fixtures import Door
from lab.raw import CLOSED, Answer, Wire, exchange_all
from testinfra.host import Host

BASES = ("/v1/models", "/models/pair/v1/models", "/open/pair/v1/models")
MANAGEMENT = (
    *("/key/list", "/key/generate", "/user/new", "/config/yaml", "/v1/model/info", "/model/info", "/openapi.json"),
    *("/health", "/metrics", "/ui/", "/docs", "/routes", "/spend/logs", "/v1/mcp/server"),
)
UP = (
    *(
        "/v1/..",
        "/v1/../..",
        "/v1/./..",
        "/v1//..",
        "/v1/x/../..",
        "/v1/models/..",
        "/v1/models/../..",
        "/v1/models/x/..",
    ),
    *("/v1/chat/completions/..", "/v1/chat/completions/../../..", "/v1/responses/..", "/v1/responses/x/../../.."),
    *(
        "/v1/%2e%2e",
        "/v1/%2E%2E",
        "/v1/.%2e",
        "/v1/%2e.",
        "/v1/..%2f..",
        "/v1%2f..",
        "/v1/%2e%2e%2f%2e%2e",
        "/v1/%252e%252e",
    ),
    *("/v1/responses/%2e%2e/..", "/v1/responses/..%2f..", "/v1/responses/..%252f..", "/v1/responses/x%2f..%2f..%2f.."),
    *(
        "/v1/..;",
        "/v1/..;/..",
        "/v1;/..",
        "/v1/..\\..",
        "/v1\\..",
        "/v1/..%5c..",
        "/v1/responses/..\\..",
        "/v1/responses/..;a=b",
    ),
    *(
        "/v1/..%00",
        "/v1/..%0a",
        "/v1/..%20",
        "/v1/..%09",
        "/v1/..%c0%af",
        "/v1/%c0%ae%c0%ae",
        "/v1/%u002e%u002e",
        "/v1/...",
    ),
    *(
        "/models/..",
        "/models/pair/..",
        "/models/pair/../..",
        "/models/pair/v1/..",
        "/models/pair/v1/../..",
        "/models/pair/v1/%2e%2e",
    ),
    *(
        "/models/pair/v1/..%2f..",
        "/models/pair/v1/..;",
        "/models/pair/v1/..\\..",
        "/models/pair/v1/x/../..",
        "/models/pair/v1/.%2e",
    ),
    *(
        "/open/..",
        "/open/pair/..",
        "/open/pair/v1/..",
        "/open/pair/v1/../../..",
        "/open/pair/v1/%2e%2e",
        "/open/pair/v1/responses/..%2f..",
    ),
    *(
        "/",
        "//",
        "/.",
        "/./",
        "/v1",
        "/V1",
        "/v1/v1",
        "/open/pair",
        "/models/pair",
        "/x/../v1",
        "/x/..",
        "/keys/..",
        "/grafana/..",
        "/api",
    ),
)
SLASHES = (
    *("//", "///", "/./", "/../", "/x/../", "/%2e/", "%2f", "%2F", "/%2f", "%2f/", "\\", "/\\", "%5c", "%252f"),
    *("/.;/", "/..;/"),
)
OTHER_NAMES = (
    *(
        "PAIR",
        "Pair",
        "paiR",
        "pai",
        "pairr",
        "pair-",
        "-pair",
        "-",
        "--",
        "p%61ir",
        "%70air",
        "pair%20",
        "pair%00",
        "pair%0a",
    ),
    *(
        "pair.",
        "pair.model",
        "pair,slow",
        "pair;slow",
        "pair*",
        "*",
        ".",
        "..",
        "pair@slow",
        "pair:8000",
        "litellm",
        "postgres",
    ),
    *(
        "vllm-pair-1",
        "vllm-slow-1",
        "localhost",
        "127.0.0.1",
        "nothing",
        "removed",
        "{re.model.1}",
        "{env.HOME}",
        "$HOME",
        "\xff",
    ),
    *(
        "closed",
        "pair/v1/../../slow",
        "pair%2fv1%2f..%2f..%2fslow",
        "pair\\..\\slow",
        "a" * 5000,
        "direct-models",
        "tiny_chat",
    ),
)


def request(door: Door, method: str, target: str, *lines: str, version: str = "HTTP/1.1", body: bytes = b"") -> bytes:
    length = [f"Content-Length: {len(body)}"] if body or method in ("POST", "PUT", "PATCH") else []
    head = [
        f"{method} {target} {version}",
        f"Host: {door.address}",
        f"Authorization: Bearer {door.key}",
        *length,
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def is_refusal(answer: Answer) -> bool:
    """Whether it is the door's own: LiteLLM and the engines write JSON without that blank, or no JSON."""
    own = answer.body.startswith((b'{"error": {"message": "', b"400 Bad Request"))
    return answer.status in (CLOSED, 400, 401, 404, 421) and (own or not answer.body)


def not_refused(door: Door, requests: Iterable[bytes]) -> list[tuple[bytes, int, bytes]]:
    """What got past the door: request line, status, how the answer begins."""
    tried = list(requests)
    return [
        (one.split(b"\r\n", 1)[0][:200], answer.status, answer.body[:200])
        for one, answer in zip(tried, exchange_all(door.address, door.trust, tried), strict=True)
        if not is_refusal(answer)
    ]


def crooked(path: str) -> Iterator[str]:
    """The path, written in other ways that some servers take for the same."""
    places = [place for place, letter in enumerate(path) if letter == "/"]
    for slash in SLASHES:
        yield from (path[:place] + slash + path[place + 1 :] for place in places)
        yield path + slash
    for place, letter in enumerate(path):
        if letter.isalnum():
            yield f"{path[:place]}%{ord(letter):02x}{path[place + 1 :]}"
    yield from (path.replace("v1", "V1"), path.upper(), path.replace("/", "\\"), path.replace("v1", "v1."), f"/.{path}")
    yield from (
        f"{path}{end}" for end in ("%20", "%00", "%0a", "%3f", "%23", "/..", "/.", "%2e", "/%2e%2e/", "\\..", "%")
    )


@pytest.mark.parametrize("base", BASES)
def test_a_path_is_written_in_one_way_only(door: Door, base: str) -> None:
    wire = Wire(door.address, door.trust)
    assert wire.exchange(request(door, "GET", base)).status == 200
    assert not_refused(door, [request(door, "GET", path) for path in dict.fromkeys(crooked(base))]) == []


def test_no_way_up_leads_to_management(door: Door) -> None:
    paths = dict.fromkeys(f"{up}{path}" for up in UP for path in MANAGEMENT)
    known = [path for path in paths if path == "/v1/models"]
    assert not known
    for method in ("GET", "POST"):
        assert not_refused(door, [request(door, method, path) for path in paths]) == []


def test_of_all_that_litellm_has_clients_reach_what_is_theirs(door: Door, host: Host) -> None:
    listed = json.loads(
        host.check_output(
            "docker exec litellm python3 -c 'import urllib.request as r; "
            'print(r.urlopen("http://127.0.0.1:4000/openapi.json").read().decode())\''
        )
    )["paths"]
    paths = [re.sub(r"\{[^}]+\}", "x", path) for path in listed]
    assert len(paths) > 500
    theirs = re.compile(f"/v1/{role_variable('caddy_api_paths').strip()}")
    said = re.compile("/v1/(batches|files).*")  # 501, with what there is instead
    rest = [path for path in paths if path != "/" and not theirs.fullmatch(path) and not said.fullmatch(path)]
    through_others = [f"/models/pair{path}" for path in rest if not path.startswith("/v1/")]
    targets = [*rest, *through_others, *(f"/open/pair{path}" for path in rest)]
    for method in ("GET", "POST"):
        assert not_refused(door, [request(door, method, target) for target in targets]) == []


def role_variable(name: str) -> str:
    file = Path(__file__).parents[3] / "roles/caddy/vars/main.yml"
    return str(yaml.safe_load(file.read_text())[name])


@pytest.mark.parametrize(
    "path", ["//", "/.", "/x/..", "/keys/..", "/v1/..", "/models/pair/../..", "/?/../keys", "/%2e%2e"]
)
def test_what_comes_down_to_the_root_is_its_page(door: Door, path: str) -> None:
    answer = Wire(door.address, door.trust).exchange(request(door, "GET", path))
    assert (answer.status == 200 and answer.body.startswith(b"<!doctype html>")) or is_refusal(answer)
    assert door.key.encode() not in answer.body


@pytest.mark.parametrize("pattern", ["/models/{}/v1/models", "/models/{}/v1/chat/completions", "/open/{}/v1/models"])
def test_only_a_model_s_name_is_its_name(door: Door, pattern: str) -> None:
    targets = [pattern.replace("{}", name) for name in OTHER_NAMES]
    assert not_refused(door, [request(door, "GET", target) for target in targets]) == []
    assert not_refused(door, [request(door, "POST", target, body=b"{}") for target in targets]) == []


def test_a_whole_url_as_target_is_no_proxy_request(door: Door) -> None:
    hosts = (
        "evil.example.com",
        "litellm:4000",
        "localhost:4000",
        "127.0.0.1:2019",
        "vllm-pair-1:8000",
        "postgres:5432",
    )
    targets = [f"{scheme}://{name}{path}" for scheme in ("http", "https") for name in hosts for path in MANAGEMENT[:4]]
    own = [
        f"{scheme}://{door.address}{path}" for scheme in ("http", "https") for path in ("/key/list", "/v1/models", "")
    ]
    odd = [
        f"https://u@{door.address}/key/list",
        f"//{door.address}/key/list",
        "http:///key/list",
        "litellm:4000/key/list",
    ]
    for method in ("GET", "POST"):
        tried = [
            request(door, method, target)
            for target in (*targets, *own[:2], *own[3:5], *odd, "v1/models", "\\v1", "?a=b")
        ]
        assert not_refused(door, tried) == []


def test_the_name_that_is_asked_for_opens_nothing(door: Door) -> None:
    names = (
        "litellm",
        "litellm:4000",
        "caddy:2019",
        "vllm-pair-1:8000",
        "evil.example.com",
        f"{door.address}.evil.example.com",
    )
    tried = [
        f"GET {path} HTTP/1.1\r\nHost: {name}\r\nAuthorization: Bearer {door.key}\r\n\r\n".encode()
        for path in ("/key/list", "/v1/models", "/config/")
        for name in (
            *names,
            "",
            "localhost/key/list",
            f"{door.address}\r\nHost: litellm",
            "{env.HOME}",
            "a b",
            "\\",
            "[::1",
        )
    ]
    assert not_refused(door, tried) == []


@pytest.mark.parametrize("base", BASES)
def test_other_methods_get_nothing(door: Door, base: str) -> None:
    methods = ("TRACE", "PUT", "PATCH", "DELETE", "CONNECT", "PROPFIND", "DEBUG", "get", "GETX", "QUERY", "{env.HOME}")
    for method in methods:
        answer = Wire(door.address, door.trust).exchange(request(door, method, base), method)
        assert answer.status in (400, 401, 403, 404, 405, 501), (method, answer.status)
        assert door.key.encode() not in answer.body


def test_connect_and_options_of_everything_get_nothing(door: Door) -> None:
    for target in (
        "evil.example.com:443",
        f"{door.address}:443",
        "litellm:4000",
        "postgres:5432",
        "127.0.0.1:2019",
        "/v1/models",
    ):
        answer = Wire(door.address, door.trust).exchange(request(door, "CONNECT", target), "GET")
        assert is_refusal(answer), (target, answer)
    options = Wire(door.address, door.trust).exchange(request(door, "OPTIONS", "*"))
    assert (options.status, options.body) == (200, b""), "Go's own answer, in which there is nothing"


def test_older_and_newer_versions_of_http_are_no_way_in(door: Door) -> None:
    wire = Wire(door.address, door.trust)
    for version in (
        "HTTP/0.9",
        "HTTP/1.2",
        "HTTP/2.0",
        "HTTP/3",
        "HTTP/1.1.1",
        "http/1.1",
        "HTTP/1,1",
        "ICY/1.0",
        "HTTP",
    ):
        assert wire.exchange(request(door, "GET", "/key/list", version=version)).status in (CLOSED, 400, 404, 505), (
            version
        )
    for whole in (
        b"GET /v1/models\r\n\r\n",
        b"GET /v1/models\r\n",
        b"GET\r\n\r\n",
        b"\r\n\r\n\0\r\n\r\n",
        b"\x16\x03\x01\r\n\r\n",
    ):
        assert wire.statuses(whole, seconds=1) in ([], [400])
    assert wire.statuses(b"GET /v1/models HTTP/1.0\r\n\r\n") == [421]
    assert wire.statuses(f"GET /v1/models HTTP/1.0\r\nHost: {door.address}\r\n\r\n".encode()) == [401]


@pytest.mark.parametrize("base", BASES)
def test_an_upgrade_is_not_had(door: Door, base: str) -> None:
    socket = ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==")
    for target in (base, base.replace("models", "realtime"), base.replace("models", "responses"), "/key/list"):
        for protocol in ("websocket", "h2c", "TLS/1.0", "tcp"):
            lines = ("Connection: Upgrade", f"Upgrade: {protocol}", *socket, "HTTP2-Settings: AAMAAABkAAQAAP__")
            keyless = request(door, "GET", target, *lines).replace(door.key.encode(), b"x")
            answers = [
                Wire(door.address, door.trust).exchange(one) for one in (request(door, "GET", target, *lines), keyless)
            ]
            assert not any(answer.status == 101 for answer in answers), (target, protocol)
            if not base.startswith("/open"):
                assert 400 <= answers[1].status < 500, (target, protocol, answers[1])

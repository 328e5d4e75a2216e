"""URLs in requests: nothing fetches them from inside the network, unless the inventory allows their domain."""

from __future__ import annotations

import json
from typing import Any

import pytest
from lab.fixtures import Door, inspect, requests_seen
from testinfra.host import Host

INSIDE = "http://vllm-closed-1:8000/v1/fetched"  # the stand-in logs each request
ENGINE = "vllm-tiny-chat-1"
PROGRAM = """
import asyncio, http.server, json, sys, threading

fetched = []


class Inside(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        fetched.append(self.path)
        self.send_response(302)
        self.send_header("Location", "http://127.0.0.2:8099/redirected")
        self.end_headers()

    def log_message(self, *parts):
        pass


server = http.server.ThreadingHTTPServer(("", 8099), Inside)
threading.Thread(target=server.serve_forever, daemon=True).start()
from vllm.multimodal.media.connector import MediaConnector
from vllm.multimodal.media.image import ImageMediaIO

domains, urls = json.loads(sys.argv[1])
media = MediaConnector(allowed_media_domains=domains)
for url in urls:
    for load in (media.load_from_url, lambda *what, **how: asyncio.run(media.load_from_url_async(*what, **how))):
        try:
            load(url, ImageMediaIO(), fetch_timeout=1)
        except Exception:
            pass
print("fetched", json.dumps(fetched))
"""
URLS = (
    *("http://127.0.0.1:8099/a", "HTTP://127.0.0.1:8099/b", "http://none/@127.0.0.1:8099/c", "http://none%2f:8099/d"),
    *("http://none%2F@127.0.0.1:8099/e", "http:///127.0.0.1:8099/f", "http:127.0.0.1:8099/g", "//127.0.0.1:8099/h"),
    *("http://127.0.0.1:8099\\@none/i", "http://@127.0.0.1:8099/j", "http://:8099/k", "http://[::1]:8099/l"),
    *("file:///etc/passwd", "http://169.254.169.254/m", "http://prometheus:9090/n", "ftp://127.0.0.1:8099/o"),
)


def option(host: Host, container: str, name: str) -> list[str]:
    """The values after an option of a container's command line."""
    words = inspect(host, container)[container]["Config"]["Cmd"]
    after = words[words.index(name) + 1 :] if name in words else []
    return after[: next((place for place, word in enumerate(after) if word.startswith("--")), len(after))]


def test_every_model_is_started_without_a_domain_and_without_redirects(host: Host) -> None:
    models = {name: one for name, one in inspect(host).items() if name.startswith("vllm-")}
    assert len(models) > 5
    for name, one in models.items():
        assert option(host, name, "--allowed-media-domains") == ["none/"], name
        assert "VLLM_MEDIA_URL_ALLOW_REDIRECTS=0" in one["Config"]["Env"], name


@pytest.mark.extended
def test_vllm_fetches_no_url_of_any_spelling(host: Host) -> None:
    """vLLM's own loader, with the options and in the environment of a model's container."""
    assert fetched(host, option(host, ENGINE, "--allowed-media-domains"), *URLS) == []


@pytest.mark.extended
def test_vllm_fetches_an_allowed_domain_and_follows_no_redirect(host: Host) -> None:
    found = fetched(host, ["127.0.0.1"], "http://127.0.0.1:8099/allowed", "http://127.0.0.2:8099/other")
    assert set(found) == {"/allowed"}


def fetched(host: Host, domains: list[str], *urls: str) -> list[str]:
    settings = json.dumps([domains, urls]).replace("'", "")
    said = host.check_output(f"docker exec -i {ENGINE} python3 - '{settings}' <<'END'\n{PROGRAM}\nEND")
    found: list[str] = json.loads(said.partition("fetched ")[2])
    return found


PARTS: tuple[dict[str, Any], ...] = (
    {"type": "image_url", "image_url": {"url": INSIDE}},
    {"type": "image_url", "image_url": {"url": INSIDE, "detail": "high"}},
    {"type": "video_url", "video_url": {"url": INSIDE}},
    {"type": "audio_url", "audio_url": {"url": INSIDE}},
    {"type": "input_audio", "input_audio": {"data": INSIDE, "format": "wav"}},
    {"type": "input_image", "image_url": INSIDE},
    {"type": "input_file", "file_url": INSIDE},
    {"type": "file", "file": {"file_id": INSIDE}},
    {"type": "file", "file": {"file_data": INSIDE, "format": "application/pdf"}},
    {"type": "image", "source": {"type": "url", "url": INSIDE}},
    {"type": "document", "source": {"type": "url", "url": INSIDE}},
)
ELSEWHERE: tuple[dict[str, Any], ...] = (
    {"tools": [{"type": "mcp", "server_label": "a", "server_url": INSIDE, "require_approval": "never"}]},
    {"mcp_servers": [{"type": "url", "url": INSIDE, "name": "a"}]},
    {"tools": [{"type": "web_search"}, {"type": "url_context"}], "web_search_options": {}},
    {"langfuse_host": INSIDE, "langfuse_public_key": "a", "langfuse_secret": "b", "success_callback": ["langfuse"]},
    *({name: INSIDE} for name in ("api_base", "base_url", "callback_url", "webhook", "url", "tokenizer", "proxy")),
)


@pytest.mark.parametrize("path", ["chat/completions", "messages", "messages/count_tokens", "responses", "embeddings"])
@pytest.mark.parametrize("base", ["/v1", "/open/pair/v1"])
def test_litellm_fetches_no_url_of_a_request(door: Door, host: Host, virtual_key: str, base: str, path: str) -> None:
    before = len(requests_seen(host, "closed"))
    for part in PARTS:
        content = [{"type": "text", "text": "Hi"}, part]
        said = [{"role": "user", "content": content}]
        body = {"model": "pair", "max_tokens": 2, "messages": said, "input": said}
        for more in ({}, {"stream": True}):
            door.request("POST", f"{base}/{path}", key=virtual_key, json={**body, **more})
    for more in ELSEWHERE:
        body = {"model": "pair", "max_tokens": 2, "messages": [{"role": "user", "content": "Hi"}], "input": "Hi"}
        door.request("POST", f"{base}/{path}", key=virtual_key, json={**body, **more})
    assert len(requests_seen(host, "closed")) == before

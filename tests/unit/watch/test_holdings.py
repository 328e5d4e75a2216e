"""Spend and weights of an observation."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.watch.holdings import spends, weights

KEY = "sk-master"


class LiteLLM(http.server.BaseHTTPRequestHandler):
    """A STAND-IN for /key/list. server.pages: the keys of each page, or a text."""

    server: Any

    def do_GET(self) -> None:
        if self.headers["Authorization"] != f"Bearer {KEY}":
            return self.send_error(401)
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        found = self.server.pages[page - 1]
        pages = len(self.server.pages)
        body = found if isinstance(found, str) else json.dumps({"keys": found, "total_pages": pages})
        self.send_response(200)
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())
        return None

    def log_message(self, *_words: Any) -> None:
        pass


@contextmanager
def litellm(*pages: Any) -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), LiteLLM) as server:
        server.pages = pages  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def key(alias: Any, spend: Any = 0.0) -> dict[str, Any]:
    return {"key_alias": alias, "spend": spend, "token": "a-hash"}


def test_all_pages_with_the_largest_spend_first() -> None:
    with litellm([key("a", 1.5), key("b", 2)], [key("c", 9.25)]) as port:
        found = spends("127.0.0.1", KEY, port)
    assert found == [{"alias": "c", "spend": 9.25}, {"alias": "b", "spend": 2.0}, {"alias": "a", "spend": 1.5}]


def test_keys_without_an_alias_and_hashes_stay_out() -> None:
    with litellm([key(None, 3.0), key("", 1.0), key("a")]) as port:
        assert spends("127.0.0.1", KEY, port) == [{"alias": "a", "spend": 0.0}]


@pytest.mark.parametrize("page", ["no JSON", "[]", '{"keys": 3}', '{"keys": [3, null, {}]}', "{}"])
def test_an_answer_of_another_form_has_no_key(page: str) -> None:
    with litellm(page) as port:
        assert not spends("127.0.0.1", KEY, port)


@pytest.mark.parametrize(("spend", "shown"), [("NaN", None), (None, None), ("3.5", 3.5), (1e400, None), ([], None)])
def test_a_spend_that_is_no_number_is_null(spend: Any, shown: float | None) -> None:
    with litellm([key("a", spend)]) as port:
        assert spends("127.0.0.1", KEY, port) == [{"alias": "a", "spend": shown}]


def test_a_hostile_alias_is_cut_and_printable() -> None:
    with litellm([key("x" * 1_000_000), key("a\x1b[2J\n")]) as port:
        found = spends("127.0.0.1", KEY, port)
    assert found is not None
    assert sorted(len(one["alias"]) for one in found) == [6, 200]
    assert all(one["alias"].isprintable() for one in found)


def test_a_wrong_master_key_and_a_closed_port_are_null() -> None:
    with litellm([key("a")]) as port:
        assert spends("127.0.0.1", "sk-other", port) is None
    assert spends("127.0.0.1", KEY, port) is None


def repository(cache: Path, name: str, *sizes: int) -> None:
    blobs = cache / "hub" / f"models--{name.replace('/', '--')}" / "blobs"
    blobs.mkdir(parents=True)
    for number, size in enumerate(sizes):
        (blobs / f"{number:064x}").write_bytes(bytes(size))


def test_the_weights_of_each_repository_the_largest_first(tmp_path: Path) -> None:
    repository(tmp_path, "Qwen/Qwen3-8B", 10, 20)
    repository(tmp_path, "BAAI/bge-m3", 40)
    assert weights(str(tmp_path)) == [
        {"source": "BAAI/bge-m3", "bytes": 40},
        {"source": "Qwen/Qwen3-8B", "bytes": 30},
    ]


def test_a_cache_that_is_empty_or_missing(tmp_path: Path) -> None:
    assert weights(str(tmp_path)) == []
    assert weights(str(tmp_path / "none")) == []


def test_a_link_in_place_of_the_cache_is_not_followed(tmp_path: Path) -> None:
    repository(tmp_path / "elsewhere", "a/b", 10)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "hub").symlink_to(tmp_path / "elsewhere" / "hub")
    assert not weights(str(tmp_path / "cache"))

"""The client of the hub's API, against the lab's stand-in."""

from __future__ import annotations

import http.server
import importlib.util
import json
import socketserver
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import Remote
from ansible_collections.inference.fleet.plugins.module_utils.engine.hub import Hub, Unreachable
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Proxy
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show


def _stand_in() -> Any:
    path = Path(__file__).parents[2] / "lab/hub_stand_in.py"
    spec = importlib.util.spec_from_file_location("hub_stand_in", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["hub_stand_in"] = module
    spec.loader.exec_module(module)
    return module


STAND_IN = _stand_in()
serving: Callable[..., AbstractContextManager[int]] = STAND_IN.serving


@pytest.fixture
def hub(tmp_path: Path) -> Any:
    (tmp_path / "own/a/sub").mkdir(parents=True)
    (tmp_path / "own/a/config.json").write_text("{}")
    (tmp_path / "own/a/sub/model.safetensors").write_bytes(bytes(200_000))
    return STAND_IN.Hub(tmp_path)


@pytest.fixture
def url(hub: Any) -> Iterator[str]:
    with serving(hub, "127.0.0.1") as port:
        yield f"http://127.0.0.1:{port}"


def refused(url: str, repo: str, token: str | None = None, revision: str = "main") -> str:
    with pytest.raises(FleetError) as caught:
        Hub(url, token).revision(repo, revision)
    return str(caught.value)


def test_tells_the_commit_of_a_branch_and_its_files_with_their_sizes(hub: Any, url: str) -> None:
    commit = hub.commit("own/a")
    attributes = {".gitattributes": len(STAND_IN.GITATTRIBUTES)}
    expected = Remote(commit, {**attributes, "config.json": 2, "sub/model.safetensors": 200_000})
    assert Hub(url, None).revision("own/a", "main") == expected
    assert Hub(url, hub.token).revision("own/a", commit) == expected
    assert hub.sent.total() == 0, "no file was fetched for that"


def test_a_gated_repository_is_reported_with_the_page_where_access_is_asked_for(hub: Any, url: str) -> None:
    hub.gated.add("own/a")
    assert refused(url, "own/a", hub.token) == (
        f"own/a: is gated, and the token's account has no access; ask for access at {url}/own/a "
        "with the account of fleet_hf_token"
    )
    assert refused(url, "own/a") == (
        f"own/a: is gated, and there is no token; ask for access at {url}/own/a "
        "and give that account's token as fleet_hf_token"
    )


def test_a_token_that_the_hub_does_not_know_is_reported_and_not_shown(url: str) -> None:
    message = refused(url, "own/a", "hf_wrong")
    assert message.startswith(f"own/a: {url} does not know the token in fleet_hf_token; create a token at ")
    assert "hf_wrong" not in message


def test_a_repository_that_there_is_not_may_be_hidden(hub: Any, url: str) -> None:
    there_is_none = f"own/b: {url} has no such repository, or "
    see = f"; see {url}/own/b and the model's `source`"
    assert refused(url, "own/b", hub.token) == f"{there_is_none}the token may not see it{see}"
    assert refused(url, "own/b") == f"{there_is_none}it is private or gated: set fleet_hf_token{see}"
    hub.private.add("own/a")
    assert "it is private or gated" in refused(url, "own/a")


def test_a_revision_that_there_is_not_is_reported(url: str) -> None:
    assert refused(url, "own/a", revision="v1") == f"own/a: has no revision 'v1'; see {url}/own/a/commits/main"


def test_a_hub_that_cannot_be_reached_is_a_fault_of_its_own_kind() -> None:
    with pytest.raises(Unreachable, match=r"own/a: http://127.0.0.1:9 cannot be reached from this host \(.*refused\)"):
        Hub("http://127.0.0.1:9", None).revision("own/a", "main")


def test_a_mirror_that_tells_no_sizes_is_no_help(hub: Any, url: str) -> None:
    hub.claims["config.json"] = None
    assert refused(url, "own/a").startswith(f"own/a: {url} does not report its commit, its files and their sizes")


@pytest.mark.parametrize("content", [b"<html>Please log in</html>", b"[1]", b'"x"', b"[" * 100_000, b""])
def test_a_mirror_that_answers_with_something_else_is_no_help(
    content: bytes, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(handler: Any, *_arguments: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    monkeypatch.setattr(STAND_IN._Handler, "_info", answer)
    assert refused(url, "own/a").startswith(
        f"own/a: {url} cannot be reached from this host (it answers with something else than a repository's data)"
    )


@pytest.mark.parametrize("siblings", [b"7", b"[7]", b'[{"name": "x"}]'])
def test_a_mirror_that_lists_no_files_is_no_help(siblings: bytes, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b'{"sha": "0123", "siblings": ' + siblings + b"}"

    def answer(handler: Any, *_arguments: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    monkeypatch.setattr(STAND_IN._Handler, "_info", answer)
    assert refused(url, "own/a").startswith(f"own/a: {url} does not report its commit, its files and their sizes")


@pytest.mark.parametrize("sha", ["main", "c" * 39, "c" * 41, "C" * 40, f"../{'c' * 37}", None, 7])
def test_only_40_digits_are_a_commit(sha: Any, hub: Any, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(STAND_IN.Hub, "commit", lambda _hub, _repo: sha)
    assert refused(url, "own/a").startswith(f"own/a: {url} does not report its commit, its files and their sizes")


@pytest.mark.parametrize(
    "path",
    [
        *("../../../../etc/shadow", "a/../../b", "/etc/shadow", "a//b", "./a", "a/.", "..", "", "a/"),
        *("a\nb", "a\r", "\x1b[2J", "a\0", "\ud800", "\u2028", "--local-dir=/etc", "-x", "d/" * 40 + "x"),
    ],
)
def test_a_repository_whose_paths_lead_elsewhere_is_refused(
    path: str, hub: Any, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = json.dumps({"sha": "c" * 40, "siblings": [{"rfilename": "a", "size": 1}, {"rfilename": path, "size": 1}]})

    def answer(handler: Any, *_arguments: Any) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content.encode())

    monkeypatch.setattr(STAND_IN._Handler, "_info", answer)
    message = refused(url, "own/a")
    assert message.startswith(f"own/a: {url} reports a file {show(path)}, expected a relative path")
    assert message.isprintable()


def test_the_token_goes_to_no_other_host(hub: Any, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    other = STAND_IN.Hub(tmp_path)

    def send_away(handler: Any, *_arguments: Any) -> None:
        handler.send_response(302)
        handler.send_header("Location", f"http://localhost:{port}/elsewhere")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with serving(other, "127.0.0.1") as port:
        monkeypatch.setattr(STAND_IN._Handler, "_info", send_away)
        seen.append(refused(url, "own/a", hub.token))
    assert other.asked == []


# A proxy


class Seen(http.server.BaseHTTPRequestHandler):
    """A proxy that writes down what it was asked for, and refuses."""

    asked: ClassVar[list[tuple[str, str, str | None]]] = []

    def refuse(self) -> None:
        self.asked.append((self.command, self.path, self.headers.get("Proxy-Authorization")))
        self.send_error(403)

    do_GET = do_CONNECT = refuse

    def log_message(self, *_arguments: Any) -> None:
        pass


@pytest.fixture
def proxy() -> Iterator[str]:
    Seen.asked = []
    with socketserver.TCPServer(("127.0.0.1", 0), Seen) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://me:secret@127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_asks_a_hub_through_the_proxy_with_its_password(proxy: str) -> None:
    with pytest.raises(FleetError) as caught:
        Hub("https://hub.example", None, Proxy(proxy)).revision("own/a", "main")
    assert Seen.asked == [("CONNECT", "hub.example:443", "Basic bWU6c2VjcmV0")]
    assert "secret" not in str(caught.value)
    with pytest.raises(FleetError):
        Hub("http://hub.example", None, Proxy(proxy)).revision("own/a", "main")
    assert Seen.asked[-1][1].startswith("http://hub.example/api/models/own/a/")


def test_asks_a_hub_that_no_proxy_names_directly(proxy: str, hub: Any, url: str) -> None:
    commit = hub.commit("own/a")
    assert Hub(url, None, Proxy(proxy, ("10.0.0.0/8",))).revision("own/a", "main").commit == commit
    assert Seen.asked == [], "the machine itself is always reached directly"

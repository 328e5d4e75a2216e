"""The client of the hub's API, against the lab's stand-in."""

from __future__ import annotations

import http.server
import importlib.util
import json
import signal
import socket
import socketserver
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import hub as hub_client
from ansible_collections.inference.fleet.plugins.module_utils.engine.cache import Remote
from ansible_collections.inference.fleet.plugins.module_utils.engine.hub import Hub, Unreachable
from ansible_collections.inference.fleet.plugins.module_utils.inventory.network import Proxy
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show
from ansible_collections.inference.fleet.tests.unit.authority import issue


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


# A hub that does what it likes


HEAD = b"HTTP/1.1 200 OK\r\n"
Answer = Callable[[socket.socket], None]


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """The URL of a server that lets `answer` answer each request. heads: what was asked, also without encryption."""
    listeners = []

    def serve(answer: Answer, heads: list[bytes] | None = None, wrap: Any = None) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _address = listener.accept()
                    threading.Thread(target=work, args=(connection,), daemon=True).start()

        def work(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                if wrap and connection.recv(1, socket.MSG_PEEK) == b"\x16":  # the beginning of TLS
                    connection = wrap(connection)
                head = connection.recv(10_000)
                if heads is not None:
                    heads.append(head)
                answer(connection)
                connection.close()

        threading.Thread(target=accept, daemon=True).start()
        return f"{'https' if wrap else 'http'}://127.0.0.1:{listener.getsockname()[1]}"

    yield serve
    for listener in listeners:
        listener.close()


def sends(body: bytes, head: bytes = HEAD) -> Answer:
    return lambda connection: connection.sendall(
        head + b"Content-Length: %d\r\nConnection: close\r\n\r\n" % len(body) + body
    )


def fault(url: str, token: str | None = None) -> FleetError:
    with pytest.raises(FleetError) as caught:
        Hub(url, token).revision("own/a", "main")
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()
    return caught.value


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ("9" * 400, "'9999999"),
        ("9" * 5_000, "'9999999"),
        ("9" * 4_000_000, "'9999999"),
        ("1e999", "inf"),
        ("1e30", "1e+30"),
        ("Infinity", "inf"),
        ("NaN", "nan"),
        ("-1", "-1"),
        ("-" + "9" * 400, "'-999999"),
        ("1.5", "1.5"),
        ("true", "True"),
        ("null", "None"),
        ('"7"', "'7'"),
        ("{}", "an empty mapping"),
        ("[" * 500 + "]" * 500, "a list"),
    ],
    ids=lambda text: text[:12],
)
def test_only_whole_numbers_are_sizes(size: str, shown: str, serve: Callable[..., str]) -> None:
    files = f'[{{"rfilename": "ok", "size": 1}}, {{"rfilename": "a.bin", "size": {size}}}]'
    url = serve(sends(f'{{"sha": "{"c" * 40}", "siblings": {files}}}'.encode()))
    said = str(fault(url))
    assert said.startswith(
        f"own/a: {url} does not report its commit, its files and their sizes in bytes: got the size {shown}"
    )
    assert said.endswith(" of the file 'a.bin'")


@pytest.mark.parametrize("name", ['["x"]', "7", "null", '{"a": 1}', "[" * 500 + "]" * 500])
def test_a_file_whose_name_is_no_text_is_none(name: str, serve: Callable[..., str]) -> None:
    url = serve(sends(f'{{"sha": "{"c" * 40}", "siblings": [{{"rfilename": {name}, "size": 1}}]}}'.encode()))
    assert str(fault(url)).endswith(" and 0 files")


def test_a_name_that_no_disk_can_hold_is_refused(serve: Callable[..., str]) -> None:
    files = json.dumps([{"rfilename": "x" * 256, "size": 1}])
    url = serve(sends(f'{{"sha": "{"c" * 40}", "siblings": {files}}}'.encode()))
    assert "of at most 32 parts of 255 bytes" in str(fault(url))


def drip(begin: bytes, byte: bytes) -> Answer:
    def answer(connection: socket.socket) -> None:
        connection.sendall(begin)
        for _ in range(200):
            time.sleep(0.03)
            connection.sendall(byte)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        drip(b"", b"H"),
        drip(HEAD, b"X"),
        drip(HEAD + b"Content-Length: 1000\r\n\r\n", b" "),
        drip(HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        drip(b"", b""),
    ],
    ids=["status", "headers", "body", "chunks", "100 Continue", "silence"],
)
def test_a_hub_that_answers_a_byte_at_a_time_cannot_hold_the_run(
    answer: Answer, serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_client, "_SECONDS", 0.5)
    url = serve(answer)
    begun = time.monotonic()
    found = fault(url)
    assert time.monotonic() - begun < 3
    assert isinstance(found, Unreachable)
    assert "(expected a complete answer within 0.5 s, got none)" in str(found)
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)


def test_redirects_to_itself_end(serve: Callable[..., str]) -> None:
    asked: list[bytes] = []
    url = serve(sends(b"", b"HTTP/1.1 302 Found\r\nLocation: ?again\r\n"), asked)
    assert str(fault(url)) == f"own/a: {url} redirects again and again"
    assert len(asked) == 5


@pytest.mark.parametrize(
    "begin",
    [
        HEAD + b"\r\n",
        HEAD + b"Content-Length: 999999999999\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n3b9aca00\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n",  # http.client reads on without end
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n-5\r\n",  # ValueError
    ],
    ids=["no length", "length", "chunk", "chunk of -1", "chunk of -5"],
)
def test_of_an_answer_without_end_the_beginning_is_read(begin: bytes, serve: Callable[..., str]) -> None:
    sent = 0

    def answer(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(begin)
        for _ in range(100):
            connection.sendall(bytes(1 << 20))
            sent += 1

    found = fault(serve(answer))
    assert isinstance(found, Unreachable)
    assert "(it answers with more than the 8 MB that a repository's data may have)" in str(found)
    assert sent < 40, "MB; the buffers of both sockets included"


def test_an_answer_of_many_lists_costs_little(serve: Callable[..., str]) -> None:
    url = serve(sends(b'{"siblings": [' + b"{}," * 2_500_000 + b"{}]}"))
    begun = time.process_time()
    assert "it answers with something else than a repository's data" in str(fault(url))
    assert time.process_time() - begun < 1


@pytest.mark.parametrize("status", [b"\x1b[2JHTTP", b"HTTP/1.1 \x1b]0;x\x07", b"\xff" * 60_000])
def test_what_a_hub_says_instead_of_http_is_shown_on_one_plain_line(status: bytes, serve: Callable[..., str]) -> None:
    assert isinstance(fault(serve(lambda connection: connection.sendall(status + b"\r\n\r\n"))), Unreachable)


@pytest.mark.parametrize(
    "location",
    [
        "ftp://{host}/a",
        "file://{host}/etc/passwd",
        "file:///etc/passwd",
        "data:application/json,{{}}",
        "gopher://{host}/",
        "http://localhost:9/a",
        "http://me@{host}/a",
        "//other.example/a",
        "http://[",
        "http://{host}/\u00e9",
    ],
)
def test_only_redirects_to_the_same_host_are_followed(location: str, serve: Callable[..., str]) -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        sends(b"", b"HTTP/1.1 302 Found\r\nLocation: " + there.encode("latin-1") + b"\r\n")(connection)

    url = serve(answer, asked)
    there = location.format(host=url.removeprefix("http://"))
    found = fault(url, "hf_secret")
    assert str(found) == (
        f"own/a: {url}/api/models/own/a/revision/main?blobs=true redirects to {there!r}, expected a path of the same "
        "host, not from https to http"
    )
    assert not isinstance(found, Unreachable)
    assert len(asked) == 1


def test_the_token_is_not_sent_without_the_encryption_that_the_hub_has(
    serve: Callable[..., str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pair = issue("127.0.0.1")
    (tmp_path / "pair.pem").write_text(pair.key + pair.cert)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    monkeypatch.setattr(ssl, "_create_default_https_context", ssl._create_unverified_context)
    asked: list[bytes] = []

    def answer(connection: socket.socket) -> None:
        kind = b"" if isinstance(connection, ssl.SSLSocket) else b"in plain text "
        asked.append(kind)
        sends(b"", b"HTTP/1.1 302 Found\r\nLocation: http:" + url.removeprefix("https:").encode() + b"/a\r\n")(
            connection
        )

    url = serve(answer, wrap=lambda connection: context.wrap_socket(connection, server_side=True))
    assert "not from https to http" in str(fault(url, "hf_secret"))
    assert asked == [b""]


@pytest.mark.parametrize(
    ("url", "location", "target"),
    [
        ("https://hub.example/a", "/b", "https://hub.example/b"),
        ("https://hub.example/a", "https://hub.example/b?x=1", "https://hub.example/b?x=1"),
        ("http://hub.example/a", "https://hub.example/a", "https://hub.example/a"),
        ("https://hub.example/a", "http://hub.example/a", None),
        ("http://hub.example/a", "http://hub.example:81/a", None),
    ],
)
def test_where_a_redirect_may_lead(url: str, location: str, target: str | None) -> None:
    assert hub_client._redirected(url, location) == target


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

"""What the page answers before Gradio gets a request."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.passwords import hashed
from fleet_page import guard
from fleet_page.guard import COOKIE, HEADERS, LARGEST_LOGIN, Guard, person_of
from fleet_page.people import Person, Sessions
from fleet_page.settings import Settings, User

HOST = ("host", "localhost:7860")
SAME = ("origin", "http://localhost:7860")
PASSWORD = hashed("correct horse", n=2)


@dataclass
class Answer:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    text: str = ""
    person: Person | None = None


class App:
    """Stands for Gradio."""

    def __init__(self) -> None:
        self.scope: Any = None

    async def __call__(self, scope: Any, _receive: Any, send: Any) -> None:
        self.scope = scope
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x", b"y")]})
        await send({"type": "http.response.body", "body": b"gradio"})


def settings(address: str = "127.0.0.1", **users: User) -> Settings:
    path = Path("/x")
    return Settings(path, path, path, path, path, address=address, users=users, certificate=path, private_key=path)


def ask(
    guarded: Guard,
    *headers: tuple[str, str],
    method: str = "GET",
    path: str = "/",
    body: Iterable[bytes] = (),
    scheme: str = "http",
    **more: Any,
) -> Answer:
    """One request."""
    answer = Answer()
    parts = [*body] or [b""]
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": b"",
        "scheme": scheme,
        "headers": [(name.encode("latin-1"), text.encode("latin-1")) for name, text in headers],
        "client": ("127.0.0.1", 40000),
        "server": ("127.0.0.1", 7860),
        **more,
    }
    messages = iter(parts)

    async def receive() -> Any:
        part = next(messages, None)
        if part is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": part, "more_body": True}

    async def send(message: Any) -> None:
        answer.status = message.get("status", answer.status)
        answer.headers |= {name.decode(): text.decode() for name, text in message.get("headers", ())}
        answer.text += message.get("body", b"").decode()

    asyncio.run(guarded(scope, receive, send))
    app: Any = guarded._app
    answer.person = app.scope and app.scope.get("person")
    return answer


@pytest.fixture
def local(monkeypatch: pytest.MonkeyPatch) -> Guard:
    """On a loopback address, for root."""
    monkeypatch.setattr(guard, "unix_user", lambda peer, own: "root")
    return Guard(App(), settings(bob=User("look")), Sessions())


@pytest.fixture
def with_login(monkeypatch: pytest.MonkeyPatch) -> Guard:
    monkeypatch.setattr(guard, "WAIT_SECONDS", 0.0)
    return Guard(
        App(), settings(alice=User("change", PASSWORD), bob=User("look", PASSWORD), eve=User("look")), Sessions()
    )


@pytest.mark.parametrize(
    "host",
    [
        "localhost:7860",
        "localhost",
        "LOCALHOST:1",
        "127.0.0.1:7860",
        "127.9.9.9:80",
        "[::1]:7860",
        "[::1]",
        "localhost:39999",
    ],
)
def test_any_loopback_name_and_any_port_of_ssh_is_let_in(local: Guard, host: str) -> None:
    answer = ask(local, ("host", host))
    assert (answer.status, answer.text, answer.person) == (200, "gradio", Person("root", True))
    posted = ask(local, ("host", host), ("origin", f"http://{host}"), ("sec-fetch-site", "same-origin"), method="POST")
    assert posted.status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:7860",
        "localhost.evil.example",
        "127.0.0.1.nip.io",
        "evil.example@localhost",
        "localhost@evil.example",
        "localhost/evil",
        "localhost#",
        "localhost?x",
        "localhost\\evil",
        "[::1",
        "[::1]evil",
        "[evil]",
        "localhost:port:more",
        "::1",
        "0.0.0.0",
        "2130706433",
        "0x7f.1",
        "127.1",
        "",
        " ",
        "localhost localhost",
        "l\xf6calhost",
        "\x00",
        "a" * 100_000,
    ],
)
def test_another_name_is_refused(local: Guard, host: str) -> None:
    answer = ask(local, ("host", host))
    assert answer.status == 403 and answer.text.startswith("refused: Host: expected localhost")
    assert answer.person is None


def test_without_a_name_it_is_refused(local: Guard) -> None:
    assert ask(local).status == 403


@pytest.mark.parametrize("name", ["host", "origin", "sec-fetch-site", "sec-fetch-mode"])
def test_a_header_that_decides_comes_once(local: Guard, name: str) -> None:
    text = dict([HOST, SAME]).get(name, "same-origin")
    others = [one for one in (HOST, SAME) if one[0] != name]
    assert ask(local, *others, (name, text), (name.title(), "evil.example")).status == 400
    assert ask(local, *others, (name, "evil.example"), (name, text)).status == 400


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "https://localhost:7860",
        "http://localhost:8888",
        "http://localhost",
        "http://127.0.0.1:7860",
        "http://localhost:7860.evil.example",
        "http://localhost:7860/",
        "http://localhost:7860, http://evil.example",
        "file://",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE", "HEAD"])
def test_a_request_of_another_page_is_refused(local: Guard, origin: str, method: str) -> None:
    answer = ask(local, HOST, ("origin", origin), method=method)
    assert answer.status == 403 and answer.text.startswith("refused: Origin: expected http://localhost:7860")


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "anything"])
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/gradio_api/queue/join"),
        ("GET", "/gradio_api/queue/data"),
        ("GET", "/gradio_api/file=x"),
        ("POST", "/"),
        ("GET", "/logout"),
    ],
)
def test_data_is_not_for_another_page(local: Guard, site: str, method: str, path: str) -> None:
    given = [HOST, ("sec-fetch-site", site)]
    assert ask(local, *given, method=method, path=path).status == 403
    assert ask(local, *given, ("sec-fetch-mode", "navigate"), method=method, path=path).status == 403
    assert ask(local, *given, ("sec-fetch-mode", "no-cors"), method=method, path=path).status == 403


def test_a_link_elsewhere_may_open_the_page(local: Guard) -> None:
    given = [HOST, ("sec-fetch-site", "cross-site")]
    assert ask(local, *given, ("sec-fetch-mode", "navigate")).status == 200
    assert ask(local, *given, ("sec-fetch-mode", "cors")).status == 403


def test_a_post_with_a_cookie_says_where_it_comes_from(local: Guard) -> None:
    cookie = ("cookie", "x=y")
    assert ask(local, HOST, cookie, method="POST").status == 403
    assert ask(local, HOST, cookie, SAME, method="POST").status == 200
    assert ask(local, HOST, cookie, ("sec-fetch-site", "same-origin"), method="POST").status == 200


def test_a_websocket_is_refused(local: Guard) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(local({"type": "websocket", "headers": []}, None, send))
    assert sent == [{"type": "websocket.close", "code": 1008}]


@pytest.mark.parametrize("more", [{"client": None}, {"server": None}, {"client": None, "server": ("/run/x", None)}])
def test_a_connection_that_nobody_owns_is_refused(more: dict[str, Any]) -> None:
    answer = ask(Guard(App(), settings(), Sessions()), HOST, **more)
    assert answer.status == 403 and "no known user of this machine" in answer.text


@pytest.mark.parametrize(("name", "found"), [("bob", Person("bob", False)), ("eve", None)])
def test_a_user_of_this_machine_has_the_rights_of_the_settings(
    local: Guard, monkeypatch: pytest.MonkeyPatch, name: str, found: Person | None
) -> None:
    monkeypatch.setattr(guard, "unix_user", lambda peer, own: name)
    answer = ask(local, HOST)
    assert (answer.status, answer.person) == (200 if found else 403, found)
    if not found:
        assert "you are eve on this machine" in answer.text


def test_every_answer_has_the_headers_of_a_page_of_its_own(local: Guard, with_login: Guard) -> None:
    for answer in (ask(local, HOST), ask(local), ask(with_login, HOST), ask(with_login, HOST, path="/x")):
        assert HEADERS.items() <= answer.headers.items()


def log_in(guarded: Guard, name: str, password: str, **more: Any) -> Answer:
    body = [urlencode({"name": name, "password": password}).encode()]
    return ask(guarded, HOST, SAME, method="POST", path="/login", body=body, **more)


def test_a_login_gives_a_cookie_that_scripts_and_other_pages_cannot_use(with_login: Guard) -> None:
    answer = log_in(with_login, "alice", "correct horse")
    assert (answer.status, answer.headers["location"]) == (303, "/")
    token, *flags = answer.headers["set-cookie"].split("; ")
    assert flags == ["Path=/", "HttpOnly", "SameSite=Strict"]
    assert ask(with_login, HOST, ("cookie", f"a=b; {token}")).person == Person("alice", True)
    over_tls = [HOST, ("origin", "https://localhost:7860")]
    body = [urlencode({"name": "bob", "password": "correct horse"}).encode()]
    secure = ask(with_login, *over_tls, method="POST", path="/login", body=body, scheme="https")
    assert secure.headers["set-cookie"].endswith("; SameSite=Strict; Secure")


@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("alice", "wrong"),
        ("alice", ""),
        ("nobody", "correct horse"),
        ("eve", ""),
        ("eve", "x"),
        ("root", ""),
        ("", ""),
        ("<b>", "\ud800"),
    ],
)
def test_a_wrong_login_is_refused(with_login: Guard, name: str, password: str) -> None:
    body = [urlencode({"name": name, "password": password}, errors="surrogatepass").encode()]
    answer = ask(with_login, HOST, SAME, method="POST", path="/login", body=body)
    assert answer.status == 403 and "Name or password is wrong" in answer.text
    assert "set-cookie" not in answer.headers and "<b>" not in answer.text


@pytest.mark.parametrize(
    "cookie", ["", f"{COOKIE}=", f"{COOKIE}=x", f"{COOKIE}", "=;;=", "\x00", f'{COOKIE}="x', "x" * 10_000]
)
def test_without_a_session_only_the_login_is_shown(with_login: Guard, cookie: str) -> None:
    page = ask(with_login, HOST, ("cookie", cookie))
    assert page.status == 200 and 'action="/login"' in page.text and page.person is None
    for path in ("/gradio_api/info", "/config", "/gradio_api/queue/data", "/theme.css"):
        assert ask(with_login, HOST, ("cookie", cookie), path=path).status == 401
    assert ask(with_login, HOST, SAME, ("cookie", cookie), method="POST", path="/gradio_api/queue/join").status == 401


def test_another_page_cannot_log_anybody_in(with_login: Guard) -> None:
    body = [urlencode({"name": "alice", "password": "correct horse"}).encode()]
    answer = ask(with_login, HOST, ("origin", "http://evil.example"), method="POST", path="/login", body=body)
    assert answer.status == 403 and "set-cookie" not in answer.headers


def test_a_logout_ends_the_session(with_login: Guard) -> None:
    token = log_in(with_login, "bob", "correct horse").headers["set-cookie"].split(";")[0]
    assert ask(with_login, HOST, ("cookie", token)).person == Person("bob", False)
    answer = ask(with_login, HOST, ("cookie", token), path="/logout")
    assert answer.status == 303 and answer.headers["set-cookie"].endswith("; Max-Age=0")
    assert ask(with_login, HOST, ("cookie", token), path="/x").status == 401


def test_the_body_of_a_login_is_bounded(with_login: Guard) -> None:
    read: list[int] = []

    def parts() -> Iterable[bytes]:
        for number in range(10_000):
            read.append(number)
            yield b"x" * 1000

    scope = {"type": "http", "method": "POST", "path": "/login", "scheme": "http", "query_string": b"",
             "headers": [(b"host", b"localhost:7860"), (b"origin", b"http://localhost:7860")]}  # fmt: skip
    messages = iter(parts())

    async def receive() -> Any:
        return {"type": "http.request", "body": next(messages), "more_body": True}

    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(with_login(scope, receive, send))
    assert sent[0]["status"] == 403 and len(read) <= LARGEST_LOGIN / 1000 + 1


@pytest.mark.parametrize("request_", [None])
def test_nobody_may_change_anything(request_: Any) -> None:
    assert person_of(request_) == Person("nobody", False)

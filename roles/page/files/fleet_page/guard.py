# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""What a request must be before Gradio gets it: from this page in a browser, and from a known person."""

from __future__ import annotations

import asyncio
import html
import http.cookies
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

from fleet_page.oidc import Oidc
from fleet_page.people import WAIT_SECONDS, Person, Sessions, person, proves, unix_user
from fleet_page.settings import Settings, is_loopback

COOKIE, STATE = "inference-fleet-page", "inference-fleet-page-state"
LOGIN, LOGOUT, OIDC = "/login", "/logout", "/oidc"
LARGEST_LOGIN = 10_000
ONCE = ("host", "origin", "sec-fetch-site", "sec-fetch-mode")  # headers that decide
# What Gradio has beside a page: an editor of its own code, a proxy, figures of its own, links to states, an API.
UNUSED = re.compile(
    r"(?:/gradio_api)?/(?:vibe-|undo-vibe-|proxy=|deep_link|monitoring|profiling|process_recording|run-history|runs"
    r"|openapi\.json|dev/|custom_component)"
)
HEADERS = {
    # Gradio's own page has inline scripts, and evaluates templates. Nothing comes from elsewhere, and nobody frames it.
    "content-security-policy": "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; media-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; object-src 'none'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "geolocation=(), camera=(), payment=()",
}
LOGIN_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Log in · inference fleet</title><style>
:root{{color-scheme:light dark}}
body{{font:16px system-ui,sans-serif;display:grid;place-items:center;min-height:90vh;margin:0}}
form{{display:grid;gap:.75rem;width:min(20rem,90vw)}}
input,button,a.button{{font:inherit;padding:.6rem;border-radius:.4rem;border:1px solid #8888}}
button,a.button{{background:#2563eb;color:#fff;border:0;text-align:center;text-decoration:none}}p{{color:#dc2626;margin:0}}
</style><form method="post" action="/login"><h1>inference fleet</h1>{fault}{fields}</form></html>"""
FIELDS = """<label for="name">Name</label><input id="name" name="name" autocomplete="username" autofocus required>
<label for="password">Password</label><input id="password" name="password" type="password"
autocomplete="current-password" required><button>Log in</button>"""


def fault_of_origin(method: str, path: str, headers: Mapping[str, str], own: str, scheme: str) -> str | None:
    """Why a request is not from this page, None if it is. own: the address that the page listens on.

    The name in `Host` must be one of this machine's own, else a page elsewhere could get a name that resolves to
    127.0.0.1 (DNS rebinding). `ssh -L` may use any port.
    """
    host = headers.get("host", "")
    name = _host_name(host)
    if is_loopback(own) and not (is_loopback(name) or name == own):
        return f"Host: expected localhost or {own}, got {name!r}; open the page by that name"
    origin = headers.get("origin")
    if origin is not None and origin != f"{scheme}://{host}":
        return f"Origin: expected {scheme}://{host}, got {origin!r}"
    site = headers.get("sec-fetch-site")
    opened = method == "GET" and headers.get("sec-fetch-mode") == "navigate" and path in ("/", OIDC)
    if site not in (None, "same-origin", "none") and not opened:
        return "the request comes from another web page"
    if method not in ("GET", "HEAD", "OPTIONS") and site is None and origin is None and "cookie" in headers:
        return "Origin: missing"
    return None


def _host_name(host: str) -> str:
    """Of `Host`, without the port; empty if it is none."""
    try:
        parts = urlsplit(f"//{host}")
        known = parts.port is None or parts.port  # raises ValueError if it is no number
        return parts.hostname or "" if known and parts.netloc == host and "@" not in host else ""
    except ValueError:
        return ""


class Guard:
    """ASGI middleware. It puts the person into `scope["person"]`."""

    def __init__(self, app: Any, settings: Settings, sessions: Sessions, oidc: Oidc | None = None) -> None:
        self._app, self._settings, self._sessions, self._oidc = app, settings, sessions, oidc

    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})
        given = [(name.decode("latin-1").lower(), text.decode("latin-1")) for name, text in scope["headers"]]
        if twice := [name for name in ONCE if sum(one == name for one, _text in given) > 1]:
            return await _answer(send, 400, f"refused: several headers {twice[0]}\n")
        headers = dict(given)
        path, method = scope["path"], scope["method"]
        if fault := fault_of_origin(method, path, headers, self._settings.address, scope["scheme"]):
            return await _answer(send, 403, f"refused: {fault}\n")
        token = _cookie(headers)
        if self._settings.logs_in:
            if path == LOGIN and method == "POST":
                return await self._log_in(receive, send, scope["scheme"])
            if path == LOGOUT:
                self._sessions.end(token)
                return await _answer(send, 303, "", {"location": LOGIN, "set-cookie": _set_cookie("", scope["scheme"])})
            if path == OIDC and method == "GET" and self._oidc:
                return await self._oidc_login(self._oidc, scope, send, headers)
            name = self._sessions.name(token)
        else:
            name = unix_user(scope.get("client"), scope.get("server"))
        found = person(self._settings, name)
        if not found and self._settings.logs_in:
            if method == "GET" and path in ("/", LOGIN):
                return await self._login_page(send)
            return await _answer(send, 401, "log in first\n")
        if not found:
            who = f"{name} on this machine" if name else "no known user of this machine"
            words = f"refused: you are {who}; the setting page_users of the playbook page names who may use this page\n"
            return await _answer(send, 403, words)
        if UNUSED.match(path):
            return await _answer(send, 404, "there is no such page\n")
        scope["person"] = found

        async def with_headers(message: Any) -> None:
            if message["type"] == "http.response.start":
                own = [(name.encode(), text.encode()) for name, text in HEADERS.items()]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        return await self._app(scope, receive, with_headers)

    async def _oidc_login(self, oidc: Oidc, scope: Any, send: Any, headers: Mapping[str, str]) -> None:
        """Without a query the way to the provider, with one the way back."""
        scheme, query = scope["scheme"], scope["query_string"].decode("latin-1")
        redirect = f"{scheme}://{headers.get('host', '')}{OIDC}"
        try:
            if not query:
                url, state = await oidc.begin(redirect)
                # Lax: the way back comes from the provider's page.
                cookie = _set_cookie(state, scheme, STATE, "Lax")
                return await _answer(send, 303, "", {"location": url, "set-cookie": cookie})
            name = await oidc.name(query, _cookie(headers, STATE), redirect)
        except FleetError as error:
            return await self._login_page(send, str(error), 403)
        if not person(self._settings, name):
            words = f"{name} may not use this page; the setting page_users of the playbook page names who may."
            return await self._login_page(send, words, 403)
        # A page of our own goes on: a redirect would still count as the provider's, without the cookie
        # (SameSite=Strict).
        token = _set_cookie(self._sessions.start(name), scheme)
        page = '<!doctype html><meta http-equiv="refresh" content="0;url=/"><a href="/">Go on</a>'
        return await _answer(send, 200, page, {"content-type": "text/html; charset=utf-8", "set-cookie": token})

    async def _login_page(self, send: Any, fault: str = "", status: int = 200) -> None:
        fields = FIELDS if any(user.password for user in self._settings.users.values()) else ""
        if self._oidc:
            fields += '<a class="button" href="/oidc">Log in with your company account</a>'
        words = f"<p>{html.escape(fault)}</p>" if fault else ""
        page = LOGIN_PAGE.format(fault=words, fields=fields)
        await _answer(send, status, page, {"content-type": "text/html; charset=utf-8", "cache-control": "no-store"})

    async def _log_in(self, receive: Any, send: Any, scheme: str) -> None:
        body = b""
        while len(body) <= LARGEST_LOGIN:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        form = parse_qs(body[:LARGEST_LOGIN].decode(errors="replace"))
        name, password = (form.get(field, [""])[0] for field in ("name", "password"))
        if not await asyncio.to_thread(proves, password, self._settings.users.get(name)):
            await asyncio.sleep(WAIT_SECONDS)
            return await self._login_page(send, "Name or password is wrong.", 403)
        token = self._sessions.start(name)
        return await _answer(send, 303, "", {"location": "/", "set-cookie": _set_cookie(token, scheme)})


def person_of(request: Any) -> Person:
    """Of a request of Gradio's."""
    found = request.request.scope.get("person") if request is not None else None
    return found if isinstance(found, Person) else Person("nobody", False)


def _cookie(headers: Mapping[str, str], name: str = COOKIE) -> str | None:
    try:
        found = http.cookies.SimpleCookie(headers.get("cookie", "")).get(name)
    except http.cookies.CookieError:
        return None
    return found.value if found else None


def _set_cookie(token: str, scheme: str, name: str = COOKIE, site: str = "Strict") -> str:
    secure = "; Secure" if scheme == "https" else ""
    return f"{name}={token}; Path=/; HttpOnly; SameSite={site}{secure}" + ("" if token else "; Max-Age=0")


async def _answer(send: Any, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
    body = text.encode()
    every = {
        "content-type": "text/plain; charset=utf-8",
        **HEADERS,
        **(headers or {}),
        "content-length": str(len(body)),
    }
    every["content-security-policy"] = HEADERS["content-security-policy"]
    start = [(name.encode(), value.encode()) for name, value in every.items()]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": body})

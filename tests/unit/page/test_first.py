"""The overview inside of the page itself."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
from fleet_page.first import FirstView
from markupsafe import Markup

PAGE = b'<html><head><style>body {}</style></head>\n<body class="x">\n<gradio-app></gradio-app></body></html>'


class Gradio:
    """A STAND-IN that answers each request with the page, in two parts, and compresses what may be compressed."""

    def __init__(self, status: int = 200) -> None:
        self._status = status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        given = dict(scope["headers"])
        headers = [(b"content-type", b"text/html"), (b"Content-Length", str(len(PAGE)).encode())]
        if b"accept-encoding" in given:
            headers.append((b"x-compressed", b"yes"))
        await send({"type": "http.response.start", "status": self._status, "headers": headers})
        await send({"type": "http.response.body", "body": PAGE[:20], "more_body": True})
        await send({"type": "http.response.body", "body": PAGE[20:]})


def answer(path: str = "/", method: str = "GET", status: int = 200, draw: Any = None) -> httpx.Response:
    app = FirstView(Gradio(status), ".a { b: c }", ["Overview", "Models"], draw or (lambda: Markup("<p>gpu1</p>")))

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url="http://127.0.0.1") as client:
            return await client.request(method, path)

    return asyncio.run(ask())


def test_the_overview_is_the_first_thing_in_the_page() -> None:
    found = answer()
    assert '<body class="x"><style>.a { b: c }</style><div id="first-view"' in found.text
    assert "<p>gpu1</p>" in found.text and "<span>Models</span>" in found.text
    assert found.text.endswith("<gradio-app></gradio-app></body></html>")
    assert int(found.headers["content-length"]) == len(found.content)


def test_the_page_that_is_changed_is_not_compressed() -> None:
    assert "x-compressed" not in answer().headers
    assert answer("/config").headers["x-compressed"] == "yes"


def test_other_answers_stay_as_they_are() -> None:
    for found in (answer("/config"), answer("/", "POST"), answer(status=500)):
        assert found.content == PAGE


def test_a_backslash_in_the_overview_is_no_reference_of_a_pattern() -> None:
    assert r"<p>\1 \g<0></p>" in answer(draw=lambda: Markup(r"<p>\1 \g<0></p>")).text

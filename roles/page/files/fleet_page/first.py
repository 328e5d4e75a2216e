# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The overview inside of the page itself, so that it is there before the browser has loaded Gradio's scripts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from markupsafe import Markup

BODY = re.compile(rb"<body[^>]*>")
FRAME = Markup(
    '<style>{}</style><div id="first-view" aria-busy="true"><h1>inference fleet</h1><nav>{}</nav>'
    '<div class="prose">{}</div></div>'
)


class FirstView:
    """ASGI middleware. draw: the overview; the script of the page removes it once Gradio shows its own."""

    def __init__(self, app: Any, css: str, tabs: Iterable[str], draw: Callable[[], Markup]) -> None:
        self._app, self._draw = app, draw
        self._css, self._tabs = Markup(css), Markup("").join(map(Markup("<span>{}</span>").format, tabs))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http" or scope["path"] != "/" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        # The page is changed below, so it must not be compressed.
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        parts: list[Any] = []

        async def kept(message: Any) -> None:
            parts.append(message)

        await self._app({**scope, "headers": plain}, receive, kept)
        start, *rest = parts
        body = b"".join(message.get("body", b"") for message in rest)
        if start["status"] == 200:
            first = str(FRAME.format(self._css, self._tabs, self._draw())).encode()
            body = BODY.sub(lambda found: found[0] + first, body, count=1)
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await send({**start, "headers": [*headers, (b"content-length", str(len(body)).encode())]})
        await send({"type": "http.response.body", "body": body})

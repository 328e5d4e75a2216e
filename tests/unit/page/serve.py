"""Starts the whole page without a socket, and prints its answers as JSON: python serve.py FOLDER."""

import asyncio
import json
import os
import sys
from pathlib import Path

import httpx

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
from fleet_page import guard
from fleet_page.inventory import Inventory
from fleet_page.server import server
from fleet_page.settings import Settings

FOLDER = Path(sys.argv[1])
HOST = {"host": "localhost:7860"}
SAME = {**HOST, "origin": "http://localhost:7860", "sec-fetch-site": "same-origin"}
EVIL = {**HOST, "origin": "http://evil.example", "sec-fetch-site": "cross-site"}


async def main() -> None:
    guard.unix_user = lambda _peer, _own: "root"
    os.environ["GRADIO_TEMP_DIR"] = str(FOLDER / "gradio")
    config = FOLDER / "ansible.cfg"
    settings = Settings(FOLDER / "inventory", FOLDER / "state", FOLDER / "run", FOLDER / "program", config, users={})
    app = server(settings, "10kb")
    answers: dict[str, object] = {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:7860") as client:

        async def ask(name: str, method: str, path: str, **more: object) -> httpx.Response:
            found = await client.request(method, path, **more)  # type: ignore[arg-type]
            answers[name] = {"status": found.status_code, "text": found.text, "headers": dict(found.headers)}
            return found

        await ask("page", "GET", "/", headers=HOST)
        await ask("config", "GET", "/config", headers=SAME)
        await ask("info", "GET", "/gradio_api/info", headers=SAME)
        for name, path in (
            ("passwd", "/etc/passwd"),
            ("settings", str(config)),
            ("inventory", str(FOLDER / "inventory/hosts.yml")),
        ):
            await ask(f"file {name}", "GET", f"/gradio_api/file={path}", headers=SAME)
        await ask("docs", "GET", "/docs", headers=SAME)
        await ask("openapi", "GET", "/gradio_api/openapi.json", headers=SAME)
        await ask("monitoring", "GET", "/monitoring", headers=SAME)
        await ask("small", "POST", "/gradio_api/upload", headers=SAME, files={"files": ("../../a.txt", b"x")})
        await ask("large", "POST", "/gradio_api/upload", headers=SAME, files={"files": ("a.txt", b"x" * 50_000)})
        await ask("upload elsewhere", "POST", "/gradio_api/upload", headers=EVIL, files={"files": ("a.txt", b"x")})
        body = {"data": [], "fn_index": 0, "session_hash": "x", "event_data": None}
        await ask("join elsewhere", "POST", "/gradio_api/queue/join", headers=EVIL, json=body)
        await ask("run elsewhere", "POST", "/gradio_api/run/predict", headers=EVIL, json=body)
        await ask("vibe", "POST", "/gradio_api/vibe-edit", headers=SAME, json={"prompt": "x"})
        await ask("links", "GET", "/gradio_api/deep_link", headers=SAME)
        await ask("proxy", "GET", "/gradio_api/proxy=http://evil.example/", headers=SAME)
    found = Inventory(settings.inventory).snapshot()
    answers["faults"] = [*found.faults, *found.hosts["gpu1"].faults]
    print(json.dumps(answers))


asyncio.run(main())

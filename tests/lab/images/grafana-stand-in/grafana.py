"""NOT Grafana: a stand-in that reads what Grafana is given (environment, provisioning, password, volume) as Grafana
would, and reports this. Dies of what Grafana would die of."""

from __future__ import annotations

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

PROVISIONING = Path("/etc/grafana/provisioning")
DATA = Path("/var/lib/grafana")


def read() -> dict[str, Any]:
    """What is provisioned: names of data sources, and path -> title of dashboards."""
    sources = [
        source["name"]
        for file in PROVISIONING.glob("datasources/*.yml")
        for source in yaml.safe_load(file.read_text())["datasources"]
    ]
    folders = [
        provider["options"]["path"]
        for file in PROVISIONING.glob("dashboards/*.yml")
        for provider in yaml.safe_load(file.read_text())["providers"]
    ]
    files = [file for folder in folders for file in Path(folder).glob("*.json")]
    return {
        "datasources": sources,
        "dashboards": {file.name: json.loads(file.read_text())["title"] for file in files},
        "environment": {name: value for name, value in os.environ.items() if name.startswith("GF_")},
        "password": bool(Path(os.environ["GF_SECURITY_ADMIN_PASSWORD__FILE"]).read_text().strip()),
    }


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        prefix = urlsplit(os.environ.get("GF_SERVER_ROOT_URL", "")).path.rstrip("/")
        path = urlsplit(self.path).path.removeprefix(prefix)
        if path == "/api/health":
            return self.send(200, b"{}")
        if path == "/stand-in":
            return self.send(200, json.dumps(read()).encode())
        if path == "/login":
            return self.send(200, b"<title>Grafana (stand-in)</title>")
        # There is nobody who could be logged in.
        return self.send(302, b"", Location=f"{prefix}/login")

    def send(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    (DATA / "grafana.db").touch()
    print(f"stand-in for Grafana: {json.dumps(read()['dashboards'])}", flush=True)
    ThreadingHTTPServer(("", 3000), Answer).serve_forever()

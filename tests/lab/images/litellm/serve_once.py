"""Serves one model with virtual keys from a database, asks it with one, then stops.

Exits with an error if anything of it fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROXY = "http://127.0.0.1:4000"
MASTER_KEY = "sk-build"
PATIENCE_S = 300
ANSWER = {"role": "assistant", "content": "Hello"}
CONFIG = """
model_list:
  - model_name: tiny
    litellm_params: {model: hosted_vllm/tiny, api_base: "http://127.0.0.1:8000/v1"}
router_settings: {routing_strategy: least-busy}
general_settings:
  master_key: os.environ/LITELLM_MASTER_KEY
  database_url: os.environ/DATABASE_URL
"""


class Upstream(BaseHTTPRequestHandler):
    """Says hello as vLLM would."""

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        stream = json.loads(self.rfile.read(length)).get("stream")
        choice = {"index": 0, "finish_reason": "stop", "delta" if stream else "message": ANSWER}
        body = {
            "id": "1",
            "object": "chat.completion.chunk" if stream else "chat.completion",
            "created": 1,
            "model": "tiny",
            "choices": [choice],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        text = json.dumps(body)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream" if stream else "application/json")
        self.end_headers()
        self.wfile.write((f"data: {text}\n\ndata: [DONE]\n\n" if stream else text).encode())


def call(path: str, key: str, body: dict[str, Any] | None = None) -> str:
    request = urllib.request.Request(
        PROXY + path,
        json.dumps(body).encode() if body else None,
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def connected() -> bool:
    try:
        return bool(json.loads(call("/health/readiness", ""))["db"] == "connected")
    except (OSError, KeyError):
        return False


def use() -> None:
    key = json.loads(call("/key/generate", MASTER_KEY, {"models": ["tiny"], "max_budget": 1}))["key"]
    for stream in (False, True):
        body = {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}], "stream": stream}
        assert ANSWER["content"] in call("/v1/chat/completions", key, body)
    for path in (f"/key/info?key={key}", "/key/list", "/team/list", "/global/spend"):
        call(path, MASTER_KEY)
    call("/key/delete", MASTER_KEY, {"keys": [key]})


def main() -> None:
    threading.Thread(target=ThreadingHTTPServer(("127.0.0.1", 8000), Upstream).serve_forever, daemon=True).start()
    config = Path("/tmp/config.yaml")
    config.write_text(CONFIG)
    started = time.monotonic()
    command = [sys.executable, *sys.argv[1:], "--config", str(config), "--port", "4000"]
    environment = {**os.environ, "LITELLM_MASTER_KEY": MASTER_KEY, "LITELLM_SALT_KEY": "salt"}
    server = subprocess.Popen(command, env=environment)
    try:
        while not connected():
            if server.poll() is not None or time.monotonic() - started > PATIENCE_S:
                sys.exit("LiteLLM did not become ready")
            time.sleep(0.5)
        print(f"ready after {time.monotonic() - started:.0f} s", flush=True)
        use()
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()

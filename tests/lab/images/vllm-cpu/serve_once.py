"""Serves each model given on the command line until it is healthy, then stops it.

Exits with an error if one does not become healthy.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

PORT = 8000
PATIENCE_S = 400


def healthy() -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{PORT}/health", timeout=5):
            return True
    except OSError:
        return False


def serve(model: str) -> None:
    vllm = str(Path(sys.executable).with_name("vllm"))
    flags = ["--max-model-len", "256", "--enforce-eager", "--port", str(PORT)]
    environment = {**os.environ, "VLLM_CPU_KVCACHE_SPACE": "1", "HF_HUB_OFFLINE": "1"}
    started = time.monotonic()
    server = subprocess.Popen([vllm, "serve", model, *flags], env=environment)
    while not healthy():
        if server.poll() is not None or time.monotonic() - started > PATIENCE_S:
            server.kill()
            sys.exit(f"{model} did not become healthy")
        time.sleep(0.5)
    print(f"{model}: healthy after {time.monotonic() - started:.0f} s", flush=True)
    server.terminate()
    server.wait()


if __name__ == "__main__":
    for path in sys.argv[1:]:
        serve(path)

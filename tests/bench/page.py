"""The page in a browser: how soon it shows something, and what it costs, for 3 and for 100 models on 10 hosts.

The hosts are stand-ins: a program in place of ansible-playbook writes what the playbook `watch` would write.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import yaml
from docker import DockerClient
from playbook import BenchError
from playwright.sync_api import Browser, Page, sync_playwright
from report import Findings, against

CHROMIUM = "/usr/bin/chromium"
FILES = Path(__file__).parents[2] / "roles" / "page" / "files"
PORT = 7869
URL = f"http://127.0.0.1:{PORT}/"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "10"))
IDLE_SECONDS, VIEWED_SECONDS = 30, 30
VIEWERS = 5
TABS = ("Models", "GPUs and MIG", "Keys", "HTTPS and settings", "Runs", "Overview")
FIRST = ".cards"
SHOWN = {
    "Overview": "#overview .cards",
    "Models": "#models table",
    "GPUs and MIG": "#gpus .heading",
    "Keys": "#keys .heading",
    "HTTPS and settings": "#settings table",
    "Runs": "#runs .empty",
}
FIRST_VIEW_AIM_S, MEMORY_AIM_MB, IDLE_AIM = 1, 300, 2
# Writes an observation of each host now, and one host's each second. sys.argv: hosts, models of each.
STAND_IN = r"""
import json, os, pathlib, sys, time
options = json.loads(sys.argv[sys.argv.index("-e") + 1])
folder = pathlib.Path(options["dest"])
hosts, models = (int(one) for one in os.environ["STAND_IN_FLEET"].split())
def write(number):
    containers = [{"name": f"vllm-model-{number}-{one}-1", "model": f"model-{number}-{one}", "service": None,
        "type": "chat", "status": "running", "health": "", "ready": True, "image": "vllm/vllm-openai:v0.32.0",
        "image_id": "sha256:1",
        "started_at": "2026-11-29T08:00:00Z", "exit_code": None, "restarts": 0, "devices": [], "device": f"GPU {one}"}
        for one in range(models)]
    gpus = [{"index": one, "uuid": f"GPU-{one}", "name": "NVIDIA H100 80GB HBM3", "memory_mib": 81559,
        "memory_used_mib": 60000, "utilization": 50, "temperature": 60, "power": 400.0, "power_limit": 700.0,
        "mig": False, "links": {},
        "profiles": [], "instances": [], "containers": [f"vllm-model-{number}-{one}-1"], "processes": []}
        for one in range(min(models, 8))]
    data = {"schema": 1, "host": f"host{number}", "time": time.time(), "fault": None, "containers": containers,
        "gpus": gpus, "gpu_note": "", "drained_since": None, "last_restore": None, "metrics": None,
        "alerts": None, "disk": None,
        "root_certificate": None}
    new = folder / f".{number}"
    new.write_text(json.dumps(data))
    new.rename(folder / f"host{number}.json")
for number in range(hosts):
    write(number)
number = 0
while folder.exists():
    time.sleep(1)
    write(number % hosts)
    number += 1
"""


def measure(_docker: DockerClient, say: Callable[[str], None]) -> Iterator[Findings]:
    rows, costs = [], []
    for hosts, models in ((1, 3), (10, 10)):
        name = f"{hosts * models} models on {hosts} host{'s' * (hosts > 1)}"
        say(name)
        with _page(hosts, models) as process, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            first = [_first_view(browser) for _round in range(ROUNDS)]
            usable = [_seconds_until_usable(browser) for _round in range(ROUNDS)]
            again, tabs = _tab_changes(browser)
            rows.append((f"{name}: first view, nothing cached", *_figures(first, FIRST_VIEW_AIM_S)))
            rows.append((f"{name}: until it can be used, nothing cached", *_figures(usable)))
            rows.append((f"{name}: until it can be used, files cached", *_figures(again)))
            rows += [(f"{name}: tab {tab}", *_figures(taken)) for tab, taken in tabs.items()]
            say("nobody looks")
            _until_unwatched(process.pid)
            idle = _used(process.pid, IDLE_SECONDS)
            memory = _memory(process.pid)
            say(f"{VIEWERS} viewers")
            pages = [_opened(browser) for _viewer in range(VIEWERS)]
            viewed = _used(process.pid, VIEWED_SECONDS)
            more = _memory(process.pid)
            for page in pages:
                page.context.close()
            costs.append(
                (name, against(100 * idle, IDLE_AIM, " %"), against(memory / 1e6, MEMORY_AIM_MB, " MB"),
                 f"{100 * viewed:.1f} %", f"{more / 1e6:.0f} MB")
            )  # fmt: skip
            browser.close()
    yield Findings(
        "The page: until something is shown",
        ("what", f"median of {ROUNDS}", "95th percentile"),
        tuple(rows),
        (
            "Chromium on the same machine, 1280 x 900. First view: hosts, models and services are shown, in a new "
            "profile. It can be used: Gradio's scripts are there. A tab: until its content is there.",
        ),
    )
    yield Findings(
        "The page: what it costs",
        ("fleet", "nobody looks: of a core", "memory", f"{VIEWERS} viewers: of a core", "memory, with the watch"),
        tuple(costs),
        (
            "The service and what it starts, without the browser; memory is PSS. The program that watches the hosts is "
            "a stand-in here.",
        ),
    )


@contextmanager
def _page(hosts: int, models: int) -> Iterator[subprocess.Popen[bytes]]:
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        (folder / "hosts.yml").write_text(yaml.safe_dump(_inventory(hosts, models)))
        program = folder / "ansible-playbook"
        program.write_text(f"#!{sys.executable}\n{STAND_IN}")
        program.chmod(0o755)
        (folder / "ansible.cfg").touch()
        (folder / "runtime").mkdir()
        paths = {
            "inventory": "hosts.yml",
            "folder": "state",
            "runtime": "runtime",
            "program": "ansible-playbook",
            "ansible_config": "ansible.cfg",
        }
        settings = {name: str(folder / path) for name, path in paths.items()} | {"port": PORT, "users": {}}
        (folder / "settings.json").write_text(json.dumps(settings))
        environment = {
            **os.environ,
            "PYTHONPATH": str(FILES),
            "INFERENCE_FLEET_PAGE_SETTINGS": str(folder / "settings.json"),
            "STAND_IN_FLEET": f"{hosts} {models}",
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([sys.executable, "-m", "fleet_page"], env=environment, stdout=log, stderr=log)
        try:
            _wait(process, folder / "log")
            yield process
        finally:
            process.terminate()
            process.wait(30)


def _inventory(hosts: int, models: int) -> dict[str, Any]:
    def of_host(number: int) -> dict[str, Any]:
        entries = [
            {
                "name": f"model-{number}-{one}",
                "type": "chat",
                "source": f"example/model-{one}",
                "devices": {"gpus": [one]},
            }
            for one in range(models)
        ]
        return {"ansible_connection": "local", "fleet_schema": 2, "fleet_models": entries}

    return {"fleet": {"hosts": {f"host{number}": of_host(number) for number in range(hosts)}}}


def _wait(process: subprocess.Popen[bytes], log: Path) -> None:
    import httpx

    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            httpx.get(URL)
            return
        except httpx.HTTPError:
            time.sleep(0.2)
    raise BenchError(f"the page does not start: {log.read_text()[-2000:]}")


def _opened(browser: Browser) -> Page:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    page.goto(URL, wait_until="commit")
    page.wait_for_selector(SHOWN["Overview"])
    return page


def _first_view(browser: Browser) -> float:
    page = browser.new_context(viewport={"width": 1280, "height": 900}).new_page()
    began = time.monotonic()
    page.goto(URL, wait_until="commit")
    page.wait_for_selector(FIRST)
    taken = time.monotonic() - began
    page.context.close()
    return taken


def _seconds_until_usable(browser: Browser) -> float:
    began = time.monotonic()
    page = _opened(browser)
    taken = time.monotonic() - began
    page.context.close()
    return taken


def _tab_changes(browser: Browser) -> tuple[list[float], dict[str, list[float]]]:
    page = _opened(browser)
    page.wait_for_load_state("load")
    again, taken = [], {tab: [] for tab in TABS}  # type: ignore[var-annotated]
    for _round in range(ROUNDS):
        began = time.monotonic()
        page.reload(wait_until="commit")
        page.wait_for_selector(SHOWN["Overview"])
        again.append(time.monotonic() - began)
        for tab in TABS:
            began = time.monotonic()
            page.get_by_role("tab", name=tab, exact=True).click()
            page.wait_for_selector(SHOWN[tab])
            taken[tab].append(time.monotonic() - began)
    page.context.close()
    return again, taken


def _figures(taken: list[float], aim: float | None = None) -> tuple[str, str]:
    middle = median(taken)
    return against(middle, aim, " s") if aim else f"{middle:.2f} s", f"{quantiles(taken, n=20)[-1]:.2f} s"


def _until_unwatched(pid: int) -> None:
    deadline = time.monotonic() + 120
    while len(_family(pid)) > 1:
        if time.monotonic() > deadline:
            raise BenchError("the program that watches still runs, though nobody looks")
        time.sleep(1)


def _family(pid: int) -> list[int]:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    threads = [one.name for one in Path(f"/proc/{pid}/task").iterdir()]
    for thread in threads:
        if thread != str(pid):
            children += Path(f"/proc/{pid}/task/{thread}/children").read_text().split()
    return [pid, *(one for child in children for one in _family(int(child)))]


def _used(pid: int, seconds: float) -> float:
    """Of a core, of the service and its children that live throughout."""
    before, began = {one: _ticks(one) for one in _family(pid)}, time.monotonic()
    time.sleep(seconds)
    spent = sum(_ticks(one) - ticks for one, ticks in before.items() if one in _family(pid))
    return spent / os.sysconf("SC_CLK_TCK") / (time.monotonic() - began)


def _ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _memory(pid: int) -> int:
    lines = (line for one in _family(pid) for line in Path(f"/proc/{one}/smaps_rollup").read_text().splitlines())
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))

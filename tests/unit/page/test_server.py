"""The whole page behind its guard: nothing from elsewhere, no file of the machine, bounded uploads."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.tests.unit.page.fleets import ONE, write
from fleet_page.guard import HEADERS

ROOT = Path(__file__).resolve().parents[3]
LOOKUP = "    fleet_secrets: {salt: \"{{ lookup('inference.fleet.virtual_key_values', '/nowhere.yml') | length }}\"}\n"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("server")
    config = f"[defaults]\ncollections_path={ROOT}/.venv/src\n"
    write(folder, {"inventory/hosts.yml": ONE + LOOKUP, "ansible.cfg": config})
    environ = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "roles/page/files"),
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
    }
    script = Path(__file__).with_name("serve.py")
    command = [sys.executable, str(script), str(folder)]
    found = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=300, cwd=folder, check=False)
    assert found.returncode == 0, found.stderr
    made: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return made


def test_the_page_comes_with_the_headers_of_the_guard(answers: dict[str, Any]) -> None:
    page = answers["page"]
    assert page["status"] == 200 and "inference fleet" in page["text"]
    assert HEADERS.items() <= page["headers"].items()


def test_nothing_is_loaded_from_elsewhere(answers: dict[str, Any]) -> None:
    loaded = re.findall(r"<(?:script|link|img|iframe)\b[^>]*?(?:src|href)=[\"']?([^\"' >]+)", answers["page"]["text"])
    assert loaded
    assert not [url for url in loaded if re.match(r"(?:https?:)?//", url) and "//localhost" not in url]


def test_no_file_of_the_machine_is_served(answers: dict[str, Any]) -> None:
    for name in ("file passwd", "file settings", "file inventory"):
        assert answers[name]["status"] in (403, 404), name
        assert "root:" not in answers[name]["text"] and "fleet_models" not in answers[name]["text"]


@pytest.mark.parametrize("name", ["docs", "openapi", "monitoring", "proxy", "vibe", "links"])
def test_there_is_nothing_else(answers: dict[str, Any], name: str) -> None:
    assert answers[name]["status"] == 404


def test_no_handler_is_an_api(answers: dict[str, Any]) -> None:
    assert json.loads(answers["info"]["text"])["named_endpoints"] == {}


def test_uploads_are_bounded(answers: dict[str, Any]) -> None:
    assert answers["small"]["status"] == 200 and ".." not in answers["small"]["text"]
    assert answers["large"]["status"] == 413


@pytest.mark.parametrize("name", ["upload elsewhere", "join elsewhere", "run elsewhere"])
def test_another_web_page_can_do_nothing(answers: dict[str, Any], name: str) -> None:
    assert answers[name]["status"] == 403 and answers[name]["text"].startswith("refused: Origin")


def test_an_inventory_may_use_plugins_of_the_collection(answers: dict[str, Any]) -> None:
    assert not [fault for fault in answers["faults"] if "not found" in fault or "metadata" in fault]

"""Inventories on disk, for tests of the page."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.parsing.vault import VaultLib, VaultSecret
from fleet_page.edits import Edit, Host, entry_edit
from fleet_page.inventory import Inventory

ONE = """\
---
# The fleet of the third floor
fleet:
  hosts:
    gpu1:
      ansible_connection: local # this machine
  vars:
    fleet_schema: 2
    fleet_models: # all of them
      - name: a   # first
        type: chat
        source: Qwen/Qwen3-8B
      # the second
      - name: b
        type: embedding
        source: "BAAI/bge-m3"
        replicas: 2
"""


def inventory(folder: Path, files: Mapping[str, str]) -> Inventory:
    write(folder, files)
    return Inventory(folder)


def write(folder: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def host(found: Inventory, name: str = "gpu1") -> Host:
    return found.snapshot().hosts[name]


def changed(found: Inventory, model: str, of: str = "gpu1", **keys: Any) -> Edit:
    """The edit that changes keys of a model."""
    written = found.snapshot().written(of, "fleet_models")
    entry = next(one for one in written if one["name"] == model)
    return entry_edit(found.snapshot(), of, "fleet_models", model, {**entry, **keys}, f"change {model}")


def git(folder: Path, *arguments: str) -> str:
    who = ("-c", "user.name=Admin", "-c", "user.email=admin@example.com")
    command = ["git", "-C", str(folder), *who, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def repository(folder: Path) -> None:
    git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "The inventory")


def encrypted(text: str) -> str:
    """By Ansible Vault, with a password that nobody has."""
    return str(VaultLib().encrypt(text.encode(), VaultSecret(b"unknown"), vault_id="x").decode())

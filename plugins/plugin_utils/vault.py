# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Passwords and syncing for files encrypted by Ansible Vault on the admin's machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Optional

from ansible.errors import AnsibleError
from ansible.parsing.vault import get_file_vault_secret
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError


def passwords(loader: Any, file: Optional[str], option: str) -> list[tuple[str, Any]]:
    """Vault IDs with passwords: first that of the file, then those given to ansible-playbook.

    file: as ansible-playbook's --vault-password-file. option: the name of the option, for messages.
    """
    given = list(loader._vault.secrets or ())
    if not file:
        return given
    try:
        secret = get_file_vault_secret(file, loader=loader)
        secret.load()
    except AnsibleError as error:
        raise FleetError(f"{option}: {error}") from None
    return [("default", secret), *given]


def sync(folder: Path) -> None:
    """Returns when renames in the folder are on the disk."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

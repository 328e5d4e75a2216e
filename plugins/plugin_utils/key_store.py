# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The admin's key file on the controller: YAML, alias to key, plain or encrypted by Ansible Vault."""

from __future__ import annotations

import fcntl
import os
import re
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import yaml  # type: ignore[import-untyped]  # PyYAML has none
from ansible.errors import AnsibleError
from ansible.parsing.vault import VaultLib, is_encrypted
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.vault import passwords, sync

HEADER = "# Virtual keys by their alias, written by inference.fleet.keys. LiteLLM does not show them again.\n"


class KeyStore:
    """vault_password_file: as ansible-playbook's option of that name; if given, the file is
    encrypted. An encrypted file always stays encrypted.

    stale: whether the file had a wrong mode, or was not encrypted, when it was read.
    """

    def __init__(self, path: str, loader: Any, vault_password_file: Optional[str] = None) -> None:
        self.path = Path(path).expanduser().resolve()  # a link stays a link: its target is replaced
        self.stale = False
        self._secrets = passwords(loader, vault_password_file, "fleet_keys_vault_password_file")
        self._secret: Any = self._secrets[0][1] if vault_password_file else None

    @property
    def encrypted(self) -> bool:
        return self._secret is not None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks out other runs from this machine. Locks the folder, since the file itself is replaced."""
        try:
            folder = os.open(self.path.parent, os.O_RDONLY)
        except OSError as error:
            raise FleetError(f"{self.path.parent}: {error.strerror}; it is the folder of the key file") from None
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield
        finally:
            os.close(folder)

    def read(self) -> dict[str, str]:
        """Raises FleetError for an invalid file; faults never show a value."""
        try:
            data = self.path.read_bytes()
            mode = stat.S_IMODE(self.path.stat().st_mode)
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise FleetError(f"{self.path}: {error.strerror}") from None
        self.stale = mode != 0o600
        if is_encrypted(data):
            data = self._decrypt(data)
        elif self._secret:
            self.stale = True
        try:
            found = yaml.safe_load(data.decode()) or {}
        except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: 2026-13-45 is no day
            line = getattr(getattr(error, "problem_mark", None), "line", None)
            where = "" if line is None else f", line {line + 1}"
            raise FleetError(f"{self.path}: is not YAML{where}") from None
        if not isinstance(found, Mapping):
            raise FleetError(f"{self.path}: expected a mapping of aliases to keys")
        faults = [
            f"{self.path}: {alias}: expected a key, sk- and at least 16 characters; what was found is not shown"
            for alias, value in found.items()
            if not isinstance(alias, str) or not isinstance(value, str) or not re.fullmatch(r"sk-[!-~]{16,}", value)
        ]
        if faults:
            raise FleetError(*faults)
        return dict(found)

    def write(self, keys: Mapping[str, str]) -> None:
        """Replaces and syncs the whole file, or raises FleetError. `read` must have been called before."""
        text = HEADER + yaml.safe_dump(dict(keys), allow_unicode=True, default_flow_style=False)
        data = VaultLib(self._secrets).encrypt(text, self._secret) if self._secret else text.encode()
        try:
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=".fleet-keys-")  # 0600 from the start
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                Path(temporary).replace(self.path)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise
            sync(self.path.parent)
        except OSError as error:
            raise FleetError(f"{self.path}: cannot be written: {error.strerror}") from None

    def _decrypt(self, data: bytes) -> bytes:
        """Remembers the password: `write` encrypts with it, unless another password was given."""
        try:
            text, _name, secret = VaultLib(self._secrets).decrypt_and_get_vault_id(data)
        except AnsibleError:
            raise FleetError(
                f"{self.path}: is encrypted by Ansible Vault, and no given password decrypts it; give "
                f"fleet_keys_vault_password_file, or --vault-password-file to ansible-playbook"
            ) from None
        self.stale = self.stale or (self._secret is not None and secret is not self._secret)
        self._secret = self._secret or secret
        return bytes(text)

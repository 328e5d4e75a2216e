# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Backups as files on the admin's machine, always encrypted by Ansible Vault."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from glob import escape
from pathlib import Path
from typing import Any, BinaryIO, Optional

from ansible.parsing.vault import match_encrypt_secret
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import (
    SUFFIX,
    Backup,
    SupportsRead,
    beyond,
    file_name,
    is_cut_off,
    plain_name,
)
from ansible_collections.inference.fleet.plugins.plugin_utils.vault import passwords, sync
from ansible_collections.inference.fleet.plugins.plugin_utils.vault_stream import (
    PartReader,
    VaultWriter,
    count_digits,
    decrypted,
    is_vault,
    right_password,
)

_PART = SUFFIX + ".part"
_PASSWORDS = "fleet_backup_vault_password_file, or --vault-password-file or --ask-vault-pass to ansible-playbook"


class Vault:
    """The passwords of a run. password_file: as ansible-playbook's --vault-password-file, and preferred to it."""

    def __init__(self, loader: Any, password_file: Optional[str] = None) -> None:
        self._secrets = passwords(loader, password_file, "fleet_backup_vault_password_file")

    def has_password(self) -> bool:
        return bool(self._secrets)

    def require_password(self) -> None:
        """Raises FleetError if there is no password to encrypt with."""
        if not self.has_password():
            raise FleetError(
                f"no password to encrypt the backup with, and a backup is never written unencrypted; give {_PASSWORDS}"
            )

    def writer(self, file: BinaryIO) -> VaultWriter:
        self.require_password()
        _name, secret = match_encrypt_secret(self._secrets)
        return VaultWriter(file, secret.bytes)

    def reader(self, file: BinaryIO, path: str) -> PartReader:
        """Raises FleetError unless the whole file is as it was written. path: for messages."""
        if not is_vault(file):
            raise FleetError(
                f"{path}: is not a backup; a backup is encrypted by Ansible Vault and begins with $ANSIBLE_VAULT"
            )
        if not self._secrets:
            raise FleetError(f"{path}: is encrypted by Ansible Vault; give its password: {_PASSWORDS}")
        password = right_password(file, [secret.bytes for _name, secret in self._secrets])
        if password is not None:
            return decrypted(file, password)
        if is_cut_off(count_digits(file)):
            raise FleetError(f"{path}: is truncated: its end is missing; copy it again, or use another backup")
        raise FleetError(
            f"{path}: no given password decrypts it; give the password of the day of the backup: {_PASSWORDS}. "
            f"If the password is right, the file is damaged"
        )


def read(path: Path, vault: Vault, take: Callable[[bytes], object] = len) -> Backup:
    """take: is called with each part of the dump. Raises FleetError if the file is missing or not a valid backup."""
    try:
        with path.open("rb") as file:
            return Backup.unpack(vault.reader(file, str(path)), str(path), take)
    except OSError as error:
        raise FleetError(f"{path}: {error.strerror}; expected a file that the playbook backup has written") from None


class Folder:
    """The folder with the backups of all hosts."""

    def __init__(self, path: str) -> None:
        self.path = Path(path).expanduser()

    def path_of(self, host: str, made: str) -> Path:
        return self.path / file_name(host, made)

    def begin(self, host: str, vault: Vault, backup: Backup, dump: SupportsRead) -> Path:
        """Writes and syncs a file that does not count as a backup yet, readable by its owner only.

        Removes files of the same host that an interrupted run left, and its own if it fails.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for left in self.path.glob(f".{escape(plain_name(host))}.*{_PART}"):
                left.unlink()
            handle, name = tempfile.mkstemp(dir=self.path, prefix=f".{plain_name(host)}.", suffix=_PART)
        except OSError as error:
            raise self._unwritable(error) from None
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                writer = vault.writer(file)
                backup.pack(writer, dump)
                writer.finish()
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            part.unlink()
            raise self._unwritable(error) from None
        except BaseException:
            part.unlink()
            raise
        return part

    def _unwritable(self, error: OSError) -> FleetError:
        return FleetError(f"{self.path}: {error.strerror or error}; the backup was to be written there")

    def finish(self, part: Path, path: Path) -> None:
        part.replace(path)
        sync(self.path)

    def old(self, host: str, keep: int, coming: str = "") -> list[Path]:
        """Backups of the host that are not among its `keep` newest. coming: the name of a backup not yet written."""
        names = {path.name for path in self.path.iterdir()} if self.path.is_dir() else set()
        return [self.path / name for name in beyond(names | ({coming} if coming else set()), host, keep)]

# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The content of a host's backup, the name of its file, and which files are too old. Pure.

A decrypted backup is a tar file: `manifest.json`, `secrets/NAME` for each secret, and `database.dump`
in pg_dump's custom format. So `ansible-vault decrypt`, `tar` and `pg_restore` can read it.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime, timezone
from typing import Any, BinaryIO, Optional, Protocol, cast
from urllib.parse import quote

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

FORMAT = 1
SUFFIX = ".fleet-backup"
MANIFEST, DUMP, SECRETS = "manifest.json", "database.dump", "secrets/"
PART = 8 * 2**20  # bytes of a dump that are in memory at a time
_STAMP = "%Y%m%dT%H%M%SZ"
_SECRET_NAME = re.compile(r"[A-Za-z0-9][\w.-]*")  # secrets become root's files on a host


class SupportsRead(Protocol):
    def read(self, size: int, /) -> bytes: ...


class SupportsWrite(Protocol):
    def write(self, data: bytes, /) -> object: ...


@dataclass(frozen=True)
class About:
    """The origin of a backup. host: its name in the inventory. made: UTC, as in the file's name.

    postgres: the version of the server, such as `15.19`. collection: the version of this collection.
    """

    host: str
    made: str
    postgres: str
    collection: str
    spend_logs: bool = True

    @property
    def in_words(self) -> str:
        made = datetime.strptime(self.made, _STAMP)
        return f"{self.host} as it was on {made:%Y-%m-%d at %H:%M:%S} UTC, PostgreSQL {self.postgres}"


@dataclass(frozen=True)
class Dump:
    """A dump of the database, which is too large for memory. size: in bytes. sha256: in hexadecimal."""

    size: int
    sha256: str


@dataclass(frozen=True)
class Backup:
    """secrets: file name -> content without the line end. dump: of the database."""

    about: About
    secrets: Mapping[str, str]
    dump: Dump

    def pack(self, file: SupportsWrite, dump: SupportsRead) -> None:
        """Writes the tar file. dump: the content of the dump."""
        members = {SECRETS + name: value.encode() for name, value in self.secrets.items()}
        manifest = {
            "format": FORMAT,
            **asdict(self.about),
            "sha256": {**{name: _digest(members[name]) for name in members}, DUMP: self.dump.sha256},
        }
        # In its modes "w|" and "r|" tarfile uses nothing of the file but `write` or `read`.
        with tarfile.open(fileobj=cast(BinaryIO, file), mode="w|") as tar:
            for name, content in {MANIFEST: json.dumps(manifest, indent=2).encode(), **members}.items():
                tar.addfile(_member(name, len(content)), io.BytesIO(content))
            tar.addfile(_member(DUMP, self.dump.size), cast(BinaryIO, dump))

    @classmethod
    def unpack(cls, file: SupportsRead, path: str, take: Callable[[bytes], object] = len) -> Backup:
        """path: for messages. take: is called with each part of the dump, in order.

        Raises FleetError if the file is not a backup, not complete, or of a newer format.
        """
        members: dict[str, bytes] = {}
        dump = None
        try:
            with tarfile.open(fileobj=cast(BinaryIO, file), mode="r|") as tar:
                for member in tar:
                    if member.isfile() and member.name == DUMP:
                        dump = _pass_on(tar, member, take)
                    elif member.isfile():
                        members[member.name] = _content(tar, member)
            manifest = json.loads(members[MANIFEST])
            newer = manifest["format"] > FORMAT
        except (tarfile.TarError, EOFError, KeyError, TypeError, ValueError):
            raise FleetError(f"{path}: is not a backup; expected a file that the playbook backup has written") from None
        if newer:
            raise FleetError(
                f"{path}: was written by a newer inference.fleet ({manifest.get('collection')}), in format "
                f"{manifest['format']}, where this one reads {FORMAT}; install that version or a later one"
            )
        return cls._parse(manifest, members, dump, path)

    @classmethod
    def _parse(
        cls, manifest: Mapping[str, Any], members: Mapping[str, bytes], dump: Optional[Dump], path: str
    ) -> Backup:
        try:
            about = About(**{name: manifest[name] for name in About.__dataclass_fields__})
            datetime.strptime(about.made, _STAMP)
            if dump is None:
                raise KeyError(DUMP)
            found = {**{name: _digest(content) for name, content in members.items()}, DUMP: dump.sha256}
            wrong = [name for name, digest in manifest["sha256"].items() if found[name] != digest]
            secrets = {
                name.removeprefix(SECRETS): members[name].decode()
                for name in manifest["sha256"]
                if name.startswith(SECRETS)
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise FleetError(f"{path}: is a backup with a missing or invalid part: {error}") from None
        strange = [name for name in secrets if not _SECRET_NAME.fullmatch(name)]
        if wrong or strange:
            raise FleetError(f"{path}: is a backup with changed parts: {', '.join(wrong + strange)}")
        return cls(about, secrets, dump)


def secrets_in(tar: bytes) -> dict[str, str]:
    """Name -> value, from a tar file of a host's folder of secrets. Raises FleetError if `tar` is not one."""
    found = _members(tar)
    secrets = {name.rpartition("/")[2]: content.decode().rstrip("\n") for name, content in found.items()}
    return {name: value for name, value in secrets.items() if _SECRET_NAME.fullmatch(name)}


def stamp(now: datetime) -> str:
    return now.astimezone(timezone.utc).strftime(_STAMP)


def plain_name(host: str) -> str:
    """An inventory name may be any text; characters that a file name cannot have are escaped as in a URL."""
    return quote(host, safe="")


def file_name(host: str, made: str) -> str:
    return f"{plain_name(host)}-{made}{SUFFIX}"


def beyond(names: Collection[str], host: str, keep: int) -> list[str]:
    """The names that are backups of the host but not among its `keep` newest, oldest first."""
    pattern = re.compile(re.escape(plain_name(host)) + r"-\d{8}T\d{6}Z" + re.escape(SUFFIX))
    of_host = sorted(name for name in names if pattern.fullmatch(name))
    return of_host[:-keep]


def is_cut_off(digits: int) -> bool:
    """Whether a tar file encrypted by Ansible Vault, with that many hexadecimal digits, is truncated.

    tar pads to blocks of 10240 bytes. Vault adds one cipher block (16), writes this, a salt and a digest
    (64 each) in hexadecimal separated by line ends, and encodes all of it in hexadecimal again.
    """
    return digits % (4 * tarfile.RECORDSIZE) != 2 * (64 + 1 + 64 + 1 + 2 * 16)


def _members(data: bytes) -> dict[str, bytes]:
    """Name -> content of the regular files of a tar file; empty if `data` is not one."""
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
            return {member.name: _content(tar, member) for member in tar if member.isfile()}
    except (tarfile.TarError, EOFError):
        return {}


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    file = tar.extractfile(member)
    return file.read() if file else b""


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member


def _pass_on(tar: tarfile.TarFile, member: tarfile.TarInfo, take: Callable[[bytes], object]) -> Dump:
    file, digest = tar.extractfile(member), hashlib.sha256()
    while part := file.read(PART) if file else b"":
        digest.update(part)
        take(part)
    return Dump(member.size, digest.hexdigest())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

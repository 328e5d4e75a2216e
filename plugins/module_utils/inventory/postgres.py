# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`fleet_postgres` and `fleet_backup`: the volume of PostgreSQL's data, and its backups. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields

_VOLUME = (r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", "the name of a Docker volume: a-z, A-Z, 0-9, and _ . - inside")


@dataclass(frozen=True)
class Postgres:
    """volume: the Docker volume of the data. A new major version of PostgreSQL needs a new volume."""

    volume: str = "fleet-postgres"

    @classmethod
    def parse(cls, data: object, path: str) -> Postgres:
        with Fields(data, path) as read:
            return cls(volume=read.text("volume", cls.volume, *_VOLUME))


@dataclass(frozen=True)
class Backup:
    """folder: on the admin's machine; a relative path is below the inventory's folder. keep: files per host.

    spend_logs: whether backups contain the table LiteLLM_SpendLogs, which has one row per request. max_mb: the
    largest allowed dump, in MB (10^6 bytes); a larger one is made without spend logs.
    """

    folder: str = ".fleet-backups"  # without the dot, Ansible would read the folder as an inventory
    keep: int = 14
    spend_logs: bool = True
    max_mb: int = 100

    @classmethod
    def parse(cls, data: object, path: str) -> Backup:
        with Fields(data, path) as read:
            return cls(
                folder=read.text("folder", cls.folder),
                keep=read.integer("keep", cls.keep, at_least=1),
                spend_logs=read.flag("spend_logs", cls.spend_logs),
                max_mb=read.integer("max_mb", cls.max_mb, at_least=1),
            )
